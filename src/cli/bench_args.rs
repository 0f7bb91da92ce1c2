//! Flags of `dlrm bench`.
use super::load_args::LoadArgs;
use super::values;
use clap::Args;
use dlrm::nn::{Precision, TablePrecision};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Workloads: k (the shape of Criteo Kaggle), p (section 5.2 of the DLRM paper), w (a wide bottom
    /// tower), m (many ids of wide vectors), t (MLPerf's model, 8 GB) or a TOML file (default: k);
    /// directories of models to load; or a running server, http://HOST:PORT
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Minimum length of a measuring window, in seconds (default: 1.5); for a server, of the whole (default:
    /// 10)
    #[arg(long, value_name = "S", value_parser = values::seconds)]
    pub seconds: Option<f64>,
    #[command(flatten)]
    pub training: TrainingBenchArgs,
    #[command(flatten)]
    pub load: LoadArgs,
}

/// What is said of training.
#[derive(Debug, Args)]
pub(super) struct TrainingBenchArgs {
    /// Rows per step; several sizes comma-separated (default: 2048)
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = values::batch)]
    pub batch: Vec<usize>,
    /// Number of measuring windows, whose median is reported; one more warms up (default: 5)
    #[arg(long, value_name = "N", value_parser = values::windows)]
    pub windows: Option<usize>,
    /// Number format of the matrix products in training steps: f32 or bf16 (default: f32)
    #[arg(long, value_name = "NAME", value_parser = values::precision)]
    pub precision: Option<Precision>,
    /// Number format of the embedding tables: f32, bf16 or f16 (default: f32)
    #[arg(long, value_name = "NAME", value_parser = values::table_precision)]
    pub table_precision: Option<TablePrecision>,
    /// Divide the rows of all tables by N
    #[arg(long, value_name = "N", value_parser = values::scale)]
    pub scale: Option<usize>,
    /// Small tables and a moment each: shows that everything runs, measures nothing
    #[arg(long)]
    pub quick: bool,
    /// Where to draw the time of a step by operator (SVG)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Show rows per second beside those that an earlier `dlrm bench --json` has printed into FILE
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Replace the file that --svg names
    #[arg(long)]
    pub overwrite: bool,
}

impl TrainingBenchArgs {
    /// The first flag that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--batch", !self.batch.is_empty()),
            ("--windows", self.windows.is_some()),
            ("--precision", self.precision.is_some()),
            ("--table-precision", self.table_precision.is_some()),
            ("--scale", self.scale.is_some()),
            ("--quick", self.quick),
            ("--svg", self.svg.is_some()),
            ("--compare", self.compare.is_some()),
            ("--overwrite", self.overwrite),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}
