//! Arguments of `dlrm demo`.
use super::values;
use clap::Args;
use dlrm::nn::{Precision, TablePrecision};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Directory for the model and the report (default: runs/demo, replaced each time)
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Seed of the simulator and of training
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Simulated rows
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1000..100_000_000))]
    pub rows: u64,
    /// Number format of the matrix products in training steps: f32 or bf16
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = values::precision)]
    pub precision: Precision,
    /// Number format of the embedding tables: f32, bf16 or f16
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = values::table_precision)]
    pub table_precision: TablePrecision,
}
