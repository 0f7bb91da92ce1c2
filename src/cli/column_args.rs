//! Flags about single columns.
use clap::Args;

/// What columns are, where a schema is inferred or changed.
#[derive(Debug, Args, Default, Clone)]
pub(super) struct ColumnArgs {
    /// Columns that are no input, comma-separated
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Columns that are categorical, whatever they look like, comma-separated
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub categorical: Vec<String>,
    /// Column of sample weights
    #[arg(long, value_name = "COLUMN")]
    pub weight: Option<String>,
}
