//! Flags of the commands that ask a trained model.
use super::input_args::InputArgs;
use super::values;
use clap::Args;
use dlrm::onnx::Bags;
use std::path::PathBuf;

/// Which rows a model is asked about.
#[derive(Debug, Args)]
pub(super) struct RowArgs {
    /// Files, a data set directory, a prepared data set, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub input: InputArgs,
    /// Rows of a prepared data set: train, validation or test (default: test)
    #[arg(long, value_name = "PART")]
    pub part: Option<String>,
}

/// Where results go.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// Write the results as JSON to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file, if it is there
    #[arg(long, requires = "output")]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// Run or model directory
    pub model: PathBuf,
    #[command(flatten)]
    pub rows: RowArgs,
    #[command(flatten)]
    pub out: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// Run or model directory
    pub model: PathBuf,
    #[command(flatten)]
    pub rows: RowArgs,
    /// Columns of the input that stand before the prediction of their row, comma-separated (may be repeated)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub id: Vec<String>,
    /// Write the logit of each row too, what the model computes before it becomes a probability (JSON always
    /// has it)
    #[arg(long)]
    pub logits: bool,
    /// Write to this file instead of standard output: CSV, JSON lines or Parquet by its ending (.csv, .jsonl,
    /// .parquet)
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file, if it is there
    #[arg(long, requires = "output")]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Run or model directory
    pub model: PathBuf,
    #[command(flatten)]
    pub data: RowArgs,
    #[command(flatten)]
    pub out: OutputArgs,
    /// Explain the first N rows: what each column adds to their logits (Shapley values)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: Option<u64>,
    /// Explain row K; the first is 1 (may be repeated)
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub row: Vec<u64>,
    /// Rows that the columns are measured on, at most; chosen from all
    #[arg(long, value_name = "N", default_value = "20000", value_parser = values::batch)]
    pub sample: usize,
    /// Times that each column is shuffled
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::windows)]
    pub repeats: usize,
    /// Background rows that an explained row is compared with; chosen from all
    #[arg(long, value_name = "N", default_value = "100", value_parser = values::batch)]
    pub background: usize,
    /// Random orders of the columns for each background row; lr, mf, fm and ffm need none
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::windows)]
    pub orders: usize,
    /// Seed of all these choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Run or model directory
    pub model: PathBuf,
    /// Where to draw the model's operations (SVG)
    #[arg(long, value_name = "FILE")]
    pub graph: Option<PathBuf>,
    /// Replace the file of the drawing, if it is there
    #[arg(long, requires = "graph")]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Run or model directory
    pub model: PathBuf,
    /// Write the model to this file as ONNX
    #[arg(long, value_name = "FILE")]
    pub onnx: PathBuf,
    /// Form of columns of several values: offsets (all ids in a row, and where each row begins) or padded (a
    /// row of ids for each row, filled up with -1)
    #[arg(long, value_name = "FORM", default_value = "offsets", value_parser = values::bags)]
    pub onnx_ids: Bags,
    /// Write the weights to FILE.data beside it, as is done anyway beyond 2 GB
    #[arg(long)]
    pub external_data: bool,
    /// Replace the file, if it is there
    #[arg(long)]
    pub overwrite: bool,
}
