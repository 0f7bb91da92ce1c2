//! The command line: one file per subcommand. Only here does dlrm print, read the environment or the clock
//! for behaviour, or exit. Results go to standard output, everything else to standard error.
mod args;
mod bench;
mod bench_args;
mod bench_beside;
mod column_args;
mod compare;
mod completions;
mod counter;
#[cfg(feature = "fetch")]
mod data;
mod demo;
mod demo_args;
mod evaluate;
mod explain;
mod export;
mod failure;
#[cfg(feature = "serve")]
mod features;
#[cfg(feature = "serve")]
mod features_args;
mod files;
mod flags;
mod generate;
mod gone_on;
mod input_args;
mod inspect;
#[cfg(feature = "serve")]
mod items;
mod load;
mod load_args;
mod manual;
mod mistaken_flags;
mod models;
mod output;
mod plan;
mod predict;
mod prepare;
mod progress;
mod ranks;
#[cfg(feature = "serve")]
mod recommend;
mod requests;
mod resumption;
mod rows_to_score;
mod scoring_args;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod serve_args;
mod session;
mod show;
mod train;
mod tune;
mod values;

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use failure::Failure;
use session::Session;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the command where the system has refused so many bytes of memory, and with it files that are not
/// whole.
pub(crate) fn out_of_memory(bytes: usize) {
    output::out_of_memory(bytes);
    session::remove_unfinished_if_free();
    std::process::exit(i32::from(failure::RESOURCES));
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => {
            let given: Vec<String> =
                std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
            if let Some(failure) = mistaken_flags::explain(&error, &given) {
                output::failure(&failure, given.iter().any(|arg| arg == "--json"));
                return ExitCode::from(failure.code);
            }
            if error.use_stderr() {
                // Whoever reads it may have gone.
                let _ = error.print();
                return ExitCode::from(failure::USAGE);
            }
            return ended(output::help(&error), given.iter().any(|arg| arg == "--json"));
        }
    };
    let (cli, checked) = cli;
    let json = cli.json;
    output::AS_JSON.store(json, Ordering::Relaxed);
    ended(checked.and_then(|()| run(cli)), json)
}

/// The flags of this process, and what the parser cannot know of them.
fn parsed() -> Result<(Cli, Result<(), Failure>), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, resumption::check(&command, &matches)))
}

/// The exit code of what was done, and the words for it where it failed.
fn ended(done: Result<(), Failure>, json: bool) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure, json);
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let session = Session {
        threads_said: cli.threads.is_some(),
        threads: cli.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)),
        isa: values::isa(cli.isa.as_deref())?,
        json: cli.json,
        quiet: cli.quiet,
        stop: Arc::new(AtomicBool::new(false)),
        asks: Arc::new(AtomicBool::new(false)),
    };
    session.watch_signals();
    // These write from the beginning. Others that have something to save or to clear away ask for it when
    // they begin to: until then a signal ends them at once.
    if matches!(cli.command, Command::Demo(_) | Command::Generate { .. }) {
        session.stop_by_signal();
    }
    match cli.command {
        Command::Demo(args) => demo::run(&session, &args),
        #[cfg(feature = "fetch")]
        Command::Data(args) => data::run(&session, &args),
        Command::Train(mut args) => {
            args.put_right();
            train::run(&session, &args)
        }
        Command::Plan(args) => plan::run(&session, &args),
        Command::Compare(args) => compare::run(&session, &args),
        Command::Tune(args) => tune::run(&session, &args),
        Command::Evaluate(args) => evaluate::run(&session, &args),
        Command::Predict(args) => predict::run(&session, &args),
        Command::Explain(args) => explain::run(&session, &args),
        Command::Show(args) => show::run(&session, &args),
        Command::Export(args) => export::run(&session, &args),
        Command::Inspect(args) => inspect::run(&session, &args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&session, &args),
        #[cfg(feature = "serve")]
        Command::Recommend(args) => recommend::run(&session, &args),
        #[cfg(feature = "serve")]
        Command::Items(args) => items::run(&session, &args),
        Command::Bench(args) => bench::run(&session, &args),
        Command::Prepare(args) => prepare::run(&session, &args),
        #[cfg(feature = "serve")]
        Command::Features { command } => features::run(&session, &command),
        Command::Generate { command } => generate::run(&session, &command),
        Command::Models => models::run(&session),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => manual::run(&session, &args),
    }
}
