//! `dlrm generate random`.
use super::write;
use crate::cli::Session;
use crate::cli::failure::Failure;
use clap::{Args, ValueEnum};
use dlrm::synth::random::{BagLength, Ids, RandomConfig, RandomRows};
use dlrm::synth::writer::{Files, Form};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct RandomArgs {
    /// Number of rows (--data-size of the reference implementation)
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..100_000_000_000))]
    rows: u64,
    /// Seed (--numpy-rand-seed)
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Dense columns, uniform in 0..1 (the first of --arch-mlp-bot)
    #[arg(long, value_name = "N", default_value_t = 4)]
    dense: usize,
    /// Rows of each table (--arch-embedding-size)
    #[arg(long, value_name = "N-N-…", value_delimiter = '-', default_value = "4-3-2")]
    tables: Vec<u32>,
    /// Ids per bag, at most (--num-indices-per-lookup)
    #[arg(long, value_name = "N", default_value_t = 10)]
    ids_per_bag: u32,
    /// Give every bag exactly that many ids instead of 1 to that many (--num-indices-per-lookup-fixed)
    #[arg(long)]
    fixed: bool,
    /// Distribution of the ids (--rand-data-dist)
    #[arg(long, value_enum, default_value_t = Spread::Uniform)]
    ids: Spread,
    /// Exponent of the power law
    #[arg(long, value_name = "X", default_value_t = 1.05)]
    exponent: f64,
    /// Mean of Gaussian ids, as a share of the table (--rand-data-mu)
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    mean: f64,
    /// Standard deviation of Gaussian ids, as a share of the table (--rand-data-sigma)
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    deviation: f64,
    /// Write Parquet instead of CSV
    #[arg(long)]
    parquet: bool,
    /// Directory to write to
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spread {
    Uniform,
    PowerLaw,
    Gaussian,
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &RandomArgs) -> Result<(), Failure> {
    let config = RandomConfig {
        rows: args.rows,
        seed: args.seed,
        dense: args.dense,
        tables: args.tables.clone(),
        bags: if args.fixed { BagLength::Fixed(args.ids_per_bag) } else { BagLength::UpTo(args.ids_per_bag) },
        ids: match args.ids {
            Spread::Uniform => Ids::Uniform,
            Spread::PowerLaw => Ids::PowerLaw { exponent: args.exponent },
            Spread::Gaussian => Ids::Gaussian { mean: args.mean, deviation: args.deviation },
        },
    };
    let facts = serde_json::to_value(&config).expect("a configuration is plain data");
    let rows = RandomRows::new(config)
        .map_err(|e| Failure::usage(e.to_string(), "see `dlrm generate random --help`"))?;
    write(
        session,
        &rows,
        &facts,
        if args.parquet { Form::Parquet } else { Form::Csv },
        Files::One,
        &args.output,
    )
}
