//! Flags of `dlrm bench`.
use super::values;
use clap::Args;
use dlrm::nn::{Precision, TablePrecision};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Workloads: k (the shape of Criteo Kaggle), p (section 5.2 of the DLRM paper) or a TOML file (default:
    /// k)
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Rows per step; several sizes comma-separated
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "2048")]
    #[arg(value_parser = values::batch)]
    pub batch: Vec<usize>,
    /// Minimum length of a measuring window, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.5, value_parser = values::seconds)]
    pub seconds: f64,
    /// Number of measuring windows, whose median is reported; one more warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::windows)]
    pub windows: usize,
    /// Number format of the matrix products in training steps: f32 or bf16
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = values::precision)]
    pub precision: Precision,
    /// Number format of the embedding tables: f32, bf16 or f16
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = values::table_precision)]
    pub table_precision: TablePrecision,
    /// Divide the rows of all tables by N
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::scale)]
    pub scale: usize,
    /// Small tables and a moment each: shows that everything runs, measures nothing
    #[arg(long)]
    pub quick: bool,
    /// Where to draw the time of a step by operator (SVG)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Replace the file that --svg names
    #[arg(long)]
    pub overwrite: bool,
}
