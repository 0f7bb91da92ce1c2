//! Flags that say how files are read.
use clap::Args;

/// How files are read.
#[derive(Debug, Args, Default, Clone)]
pub(super) struct InputArgs {
    /// Format: csv, tsv, jsonl, criteo, movielens, libsvm, libffm, parquet (default: detected)
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Field separator of text files (default: detected; "tab" for a tab)
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// Column names of a headerless file, comma-separated
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Whether the first line of text files names the columns: present, absent or auto
    #[arg(long, value_name = "WHAT")]
    pub header: Option<String>,
    /// Quotes around fields of text files: double ("), none or auto
    #[arg(long, value_name = "KIND")]
    pub quote: Option<String>,
    /// Blanks around fields of text files: blanks (drop them), none (they belong to the field) or auto
    #[arg(long, value_name = "WHAT")]
    pub trim: Option<String>,
    /// Skip up to this many malformed rows; they are counted and listed
    #[arg(long, value_name = "N")]
    pub max_bad_rows: Option<u64>,
}
