//! Flags. Defaults that decide results live in the configuration types, not here.
use super::bench_args::BenchArgs;
use super::column_args::ColumnArgs;
use super::demo_args::DemoArgs;
#[cfg(feature = "serve")]
use super::features_args::FeaturesCommand;
use super::generate::GenerateCommand;
pub(super) use super::input_args::InputArgs;
use super::resumption::Resumption;
use super::scoring_args::{EvaluateArgs, ExplainArgs, ExportArgs, PredictArgs, ShowArgs};
#[cfg(feature = "serve")]
use super::serve_args::{ItemsArgs, RecommendArgs, ServeArgs};
use super::values;
use clap::{Args, Parser, Subcommand};
use dlrm::engine::training::AUTO;
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 internal, 2 flags or configuration, 3 data, 4 saved model or \
    checkpoint, 5 memory, disk, \
files or network, 6 training diverged, 130 interrupted";

/// From raw click logs to a trained, evaluated, explained recommendation model.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true, subcommand_required = true)]
#[command(arg_required_else_help = true, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Worker threads; results do not depend on them (default: all cores)
    #[arg(long, global = true, value_name = "N", value_parser = values::threads)]
    pub threads: Option<usize>,
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Instruction set: scalar, avx2 or avx512 (default: the best this CPU has)
    #[arg(long, global = true, env = "DLRM_ISA", hide_env = true, value_name = "NAME")]
    pub isa: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train on simulated clicks whose best possible result is known; needs no data
    Demo(DemoArgs),
    #[cfg(feature = "fetch")]
    /// Fetch a public data set from its publisher, verified and unpacked; without a name, list them
    Data(DataArgs),
    /// Report what is wrong with data (leaks, repeated rows, drift) and what training on it will take; infer
    /// a schema
    Inspect(InspectArgs),
    /// Encode raw files once, in bounded memory, into a data set that training maps
    Prepare(Box<PrepareArgs>),
    /// Train a model, measure it against baselines, write a model directory and a report
    Train(Box<TrainArgs>),
    /// Say which table which of several ranks will hold, what they send each other, and how fast they will be
    Plan(Box<PlanArgs>),
    /// Train several models on the same rows; report which differences are real and what each model costs
    Compare(Box<CompareArgs>),
    /// Search for better settings within a time; write a table and the best configuration
    Tune(Box<TuneArgs>),
    /// Measure a trained model on labelled rows
    Evaluate(EvaluateArgs),
    /// Score rows with a trained model, as CSV on standard output or into a file
    Predict(PredictArgs),
    /// Say which columns a trained model rests on, or what moves its scores of single rows
    Explain(ExplainArgs),
    /// Describe a trained model
    Show(ShowArgs),
    /// Write a trained model as a file for other runtimes (ONNX)
    Export(ExportArgs),
    #[cfg(feature = "serve")]
    /// Answer requests over HTTP with trained models, until a signal ends it
    Serve(ServeArgs),
    #[cfg(feature = "serve")]
    /// Print the best items for a user
    Recommend(RecommendArgs),
    #[cfg(feature = "serve")]
    /// Write a table of the items that can be recommended, which servers map
    Items(ItemsArgs),
    #[cfg(feature = "serve")]
    /// Fill a store of users and items by key, which requests are joined to; show what it holds
    Features {
        /// What to do
        #[command(subcommand)]
        command: FeaturesCommand,
    },
    /// Train synthetic workloads and report how near they come to the limits of this machine, by operator; or
    /// put a running server under load and report how long its answers take
    Bench(BenchArgs),
    /// Generate synthetic data whose truth is known
    Generate {
        /// What to generate
        #[command(subcommand)]
        command: GenerateCommand,
    },
    /// List the kinds of models
    Models,
    /// Print a script that completes commands and flags in a shell
    Completions(CompletionsArgs),
    /// Print the manual page of dlrm, or of one of its commands
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command, such as `train` (default: dlrm itself)
    pub command: Vec<String>,
    /// Write the pages of all commands into this directory instead
    #[arg(long, short, value_name = "DIR", conflicts_with = "command")]
    pub output: Option<PathBuf>,
    /// Replace pages that the directory holds
    #[arg(long, requires = "output")]
    pub overwrite: bool,
}

#[cfg(feature = "fetch")]
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Name of the data set
    pub name: Option<String>,
    /// Directory for it (default: data/NAME)
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Take this archive, or the directory that it was unpacked to, instead of downloading
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    pub from: Option<PathBuf>,
    /// Fetch from this address instead of the publisher's; the data is verified all the same
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Accept the publisher's terms, which are shown
    #[arg(long)]
    pub accept_terms: bool,
}

/// What is predicted.
#[derive(Debug, Args, Default, Clone)]
pub(super) struct LabelArgs {
    /// Label column
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// What counts as a click, such as "rating >= 4"
    #[arg(long, value_name = "RULE")]
    pub label_rule: Option<String>,
    /// Label value that counts as a click (may be repeated)
    #[arg(long, value_name = "VALUE")]
    pub positive: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Files or a data set directory
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub label: LabelArgs,
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// Schema (TOML) to use instead of inferring one
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    #[command(flatten)]
    pub parts: PartArgs,
    /// Memory to use at most, such as 2GB; beyond, counts are estimated (default: 4 GiB for looking at
    /// columns; the default model may take what the system has free)
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Skip the moment of training that estimates the time of an epoch
    #[arg(long)]
    pub no_estimate: bool,
    /// Where to write the schema (TOML), with the findings as comments
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file that -o names
    #[arg(long)]
    pub overwrite: bool,
}

/// Which rows test and validate.
#[derive(Debug, Args, Default, Clone)]
pub(super) struct PartArgs {
    /// File of test rows (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub test: Vec<PathBuf>,
    /// File of validation rows (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub validation: Vec<PathBuf>,
    /// Split: random, order (rows are in time order), time (by the schema's time column) or last-day (one
    /// file per day)
    #[arg(long, value_name = "KIND")]
    pub split: Option<String>,
}

/// Which rows, what their columns mean, and how they are split.
#[derive(Debug, Args, Default, Clone)]
pub(super) struct SourceArgs {
    /// Files, a data set directory or a prepared data set; the configuration may name them instead
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub label: LabelArgs,
    #[command(flatten)]
    pub columns_are: ColumnArgs,
    /// Directory that relative paths in the configuration start from
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Change one key of the configuration (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Schema (TOML, as `inspect` writes it)
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    #[command(flatten)]
    pub parts: PartArgs,
    /// Take Criteo's categorical values, which are hexadecimal integers, modulo N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_ind_range: Option<u32>,
    /// Encode Criteo's rows as the reference implementation does, so that its checkpoints line up (its
    /// dictionary also sees the validation and test rows)
    #[arg(long)]
    pub reference_compat: bool,
    /// Categorical columns whose conjunction the linear part learns (may be repeated; lr, fm, wide_deep, …)
    #[arg(long, value_name = "A,B")]
    pub cross: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Configuration or recipe (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Named set of settings
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Kind of model, see `models`
    #[arg(long, value_name = "KIND")]
    pub model: Option<String>,
    /// Rows per step (default: by the number of rows)
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Ranks that will share the run
    #[arg(long, value_name = "N", value_parser = values::ranks)]
    pub ranks: usize,
    /// Memory of each rank, such as 16GB: tables that fit nowhere whole lie row by row (default: enough)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// What a rank can send, such as 25Gbit (a second) or 3GB
    #[arg(long, value_name = "SPEED", default_value = "10Gbit")]
    pub network: String,
    /// Time until a message is there, such as 30us or 0.1ms
    #[arg(long, value_name = "TIME", default_value = "30us")]
    pub latency: String,
    /// Skip the moment of training that tells how fast one process is
    #[arg(long)]
    pub no_estimate: bool,
}

#[derive(Debug, Args)]
pub(super) struct PrepareArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Configuration or recipe (TOML); its input, split and schema are used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Seed of a random split
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Memory to use at most, such as 2GB (default: what the system has free); what does not fit goes to disk
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Directory of the data set; an interrupted preparation of the same files in it is resumed
    #[arg(long, short, value_name = "DIR", default_value = "prepared")]
    pub output: PathBuf,
    /// Replace the data set that the directory holds
    #[arg(long)]
    pub overwrite: bool,
    /// Add the files to the data set in the directory as rows of this part (train, validation or test),
    /// encoded as its other rows
    #[arg(long, value_name = "PART", conflicts_with_all = [
        "overwrite", "config", "data_dir", "set", "schema", "test", "validation", "split", "seed", "cross",
        "label", "label_rule", "positive", "ignore", "categorical", "weight", "max_ind_range",
        "reference_compat", "memory_limit",
    ])]
    pub extend: Option<String>,
}

#[derive(Debug, Args, Default)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Configuration or recipe (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings to start from: paper (those of the DLRM paper and its reference)
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub preset: Option<String>,
    /// Kind of model (see `dlrm models`; default: dlrm); auto trains several and keeps the one that the
    /// validation rows choose
    #[arg(long, value_name = "KIND")]
    pub model: Option<String>,
    /// Go on from this trained model, on new rows: values that are new get rows of their own; schema, model
    /// settings are those it was trained with
    #[arg(long, value_name = "MODEL")]
    pub from: Option<PathBuf>,
    /// Save the optimiser's state with the model, for training that goes on from it
    #[arg(long)]
    pub keep_optimizer: bool,
    /// Passes over the training rows, at most
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Time for training, such as 5m: it then ends as after its last step
    #[arg(long, value_name = "TIME")]
    pub budget: Option<String>,
    /// Steps, at most
    #[arg(long, value_name = "N")]
    pub max_steps: Option<u64>,
    /// Rows per step (default: by the number of rows)
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Seed of initial weights, shuffling and random splits
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Measure on K folds first, each trained on the others: for small tables
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(2..=100))]
    pub folds: Option<u64>,
    /// Read the rows from the files instead of keeping them in memory; later epochs read an encoded copy
    /// beside the checkpoints (--set data.cache=false: they read the files again)
    #[arg(long)]
    pub stream: bool,
    /// Do not train the logistic regression beside the model
    #[arg(long)]
    pub no_baseline: bool,
    /// Memory to use at most, such as 8GB (default: what the system has free)
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Run directory: model, report, checkpoints (default: runs/model)
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Resume the interrupted run in the run directory; with auto, start one if the directory holds none, and
    /// do nothing if it is finished: the same command serves every start of a job
    #[arg(long, value_name = "auto", num_args = 0..=1, default_missing_value = "",
        value_parser = Resumption::parser(), conflicts_with = "overwrite")]
    pub resume: Option<Resumption>,
    /// How long the first rank waits for others before it says so (default: 1m), for tests
    #[arg(long, value_name = "SECONDS", hide = true, value_parser = values::seconds)]
    pub stall_after: Option<f64>,
    /// Replace what the run directory holds
    #[arg(long)]
    pub overwrite: bool,
}

impl TrainArgs {
    /// Puts the word that `--resume` took for its own back among the paths.
    pub(super) fn put_right(&mut self) {
        if let Some(Resumption::Moved(path)) = &self.resume {
            self.source.paths.insert(0, path.clone());
            self.resume = Some(Resumption::Interrupted);
        }
    }

    /// Whether the validation rows choose the model.
    pub(super) fn is_auto(&self) -> bool {
        self.model.as_deref() == Some(AUTO)
    }
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Kinds of models (see `dlrm models`), comma-separated
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Seeds per model (default: 3; with folds 1)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: Option<u64>,
    /// Compare on K folds, each trained on the others: for small tables
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(2..=100))]
    pub folds: Option<u64>,
    /// Configuration or recipe (TOML); several give one model each, on the same input, split and schema
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// Passes over the training rows, at most
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Memory to use at most, such as 8GB (default: what the system has free)
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Directory for compare.html and compare.json (with folds for folds.json), and until then for a journal
    /// from which the same command goes on (default: runs/compare)
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace what the directory holds of an earlier comparison, changed or not
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct TuneArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Configuration or recipe (TOML) that the search starts from
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Time for the search, such as 10m or 2h (default: 10m, or none with --trials)
    #[arg(long, value_name = "TIME")]
    pub budget: Option<String>,
    /// Trials, at most, with the default and the regression (default: a quarter of the number of validation
    /// rows)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    pub trials: Option<u64>,
    /// Seed of the search, of initial weights, shuffling and random splits
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Memory to use at most, such as 8GB (default: what the system has free)
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Directory for the journal and best.toml (default: runs/tune); a search that it holds is gone on with
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Begin anew, whatever the directory holds
    #[arg(long)]
    pub overwrite: bool,
}
