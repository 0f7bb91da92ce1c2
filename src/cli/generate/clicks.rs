//! `dlrm generate clicks`.
use crate::cli::Session;
use crate::cli::failure::Failure;
use clap::{Args, ValueEnum};
use dlrm::synth::criteo::{CriteoConfig, CriteoProcess, Shape, Teacher};
use dlrm::synth::process::DataGeneratingProcess;
use dlrm::synth::writer::{Files, Form};
use dlrm::synth::{ClickConfig, ClickSimulator};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ClicksArgs {
    /// Shape to imitate: columns, cardinalities, empty fields
    #[arg(long, value_enum, default_value_t = Like::CriteoKaggle)]
    like: Like,
    /// Number of rows
    #[arg(long, default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..100_000_000_000))]
    rows: u64,
    /// What clicks depend on: effects of values (lr), also pairs of vectors (fm), also a hidden layer over
    /// them (dlrm)
    #[arg(long, value_enum, default_value_t = TeacherName::Dlrm)]
    teacher: TeacherName,
    /// Seed of the data-generating process and of the rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mean probability of a click (default: 0.256 like Criteo, 0.25 like the demo)
    #[arg(long, value_name = "SHARE")]
    click_rate: Option<f64>,
    /// Number of equal parts of the rows within which effects are constant
    #[arg(long, value_name = "N", default_value_t = 7)]
    days: u64,
    /// Angle, in radians, by which effects turn from the first day to the last
    #[arg(long, value_name = "ANGLE", default_value_t = 0.0)]
    drift: f64,
    /// Share of the values of large columns on the last day that the first day did not have
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    new_ids: f64,
    /// Probability that a label is wrong
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    label_noise: f64,
    /// Exponent e of position^-e, the chance that a row is looked at; adds a column `position`
    #[arg(long, value_name = "EXPONENT", default_value_t = 0.0)]
    position_bias: f64,
    /// Format of the files (default: criteo; csv for the shape of the demo)
    #[arg(long, value_enum)]
    form: Option<FormName>,
    /// One file per day instead of one for all
    #[arg(long)]
    file_per_day: bool,
    /// Directory to write to
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Like {
    CriteoKaggle,
    CriteoTerabyte,
    Demo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TeacherName {
    Lr,
    Fm,
    Dlrm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    Criteo,
    Csv,
    Parquet,
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ClicksArgs) -> Result<(), Failure> {
    let (process, config) = process(args)?;
    let form = form(args)?;
    let files = if args.file_per_day { Files::PerDay } else { Files::One };
    super::write(session, &*process, &config, form, files, &args.output)
}

/// The data-generating process that the flags ask for, and its configuration for the manifest.
fn process(args: &ClicksArgs) -> Result<(Box<dyn DataGeneratingProcess>, serde_json::Value), Failure> {
    let shape = match args.like {
        Like::CriteoKaggle => Shape::Kaggle,
        Like::CriteoTerabyte => Shape::Terabyte,
        Like::Demo => return demo(args),
    };
    let config = CriteoConfig {
        rows: args.rows,
        seed: args.seed,
        shape,
        teacher: match args.teacher {
            TeacherName::Lr => Teacher::Lr,
            TeacherName::Fm => Teacher::Fm,
            TeacherName::Dlrm => Teacher::Dlrm,
        },
        click_rate: args.click_rate.unwrap_or(CriteoConfig::default().click_rate),
        days: args.days,
        drift: args.drift,
        new_ids: args.new_ids,
        label_noise: args.label_noise,
        position_bias: args.position_bias,
    };
    let value = serde_json::to_value(&config).expect("a configuration is plain data");
    let process = CriteoProcess::new(config)
        .map_err(|e| Failure::usage(e.to_string(), "see `dlrm generate clicks --help`"))?;
    Ok((Box::new(process), value))
}

/// The data-generating process of `dlrm demo`, which has no days and no noise.
fn demo(args: &ClicksArgs) -> Result<(Box<dyn DataGeneratingProcess>, serde_json::Value), Failure> {
    let unfit = [
        ("--drift", args.drift),
        ("--new-ids", args.new_ids),
        ("--label-noise", args.label_noise),
        ("--position-bias", args.position_bias),
    ];
    if let Some((flag, value)) = unfit.into_iter().find(|(_, value)| *value != 0.0) {
        let message = format!("{flag}: expected a shape that has it, found {value} with --like demo");
        return Err(Failure::usage(message, "leave it out, or take --like criteo-kaggle"));
    }
    let default = ClickConfig { rows: args.rows, seed: args.seed, ..ClickConfig::default() };
    let config = ClickConfig { click_rate: args.click_rate.unwrap_or(default.click_rate), ..default };
    let value = serde_json::to_value(&config).expect("a configuration is plain data");
    Ok((Box::new(ClickSimulator::new(config)), value))
}

fn form(args: &ClicksArgs) -> Result<Form, Failure> {
    let fits_criteo = args.like != Like::Demo && args.position_bias == 0.0;
    match args.form {
        Some(FormName::Criteo) if !fits_criteo => Err(Failure::usage(
            "--form criteo: expected the columns of Criteo, found others",
            "take --form csv or parquet: they have room for more columns",
        )),
        None if !fits_criteo => Ok(Form::Csv),
        Some(FormName::Criteo) | None => Ok(Form::Criteo),
        Some(FormName::Csv) => Ok(Form::Csv),
        Some(FormName::Parquet) => Ok(Form::Parquet),
    }
}
