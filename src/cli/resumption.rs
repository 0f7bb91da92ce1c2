//! `--resume`, with and without `auto`.
use super::failure::Failure;
use super::mistaken_flags;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use std::ffi::OsString;
use std::path::PathBuf;

/// How a run is gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resumption {
    /// There has to be one that was interrupted, and it keeps its settings.
    Interrupted,
    /// If there is one; settings may be given, for its start.
    Auto,
    /// As [`Resumption::Interrupted`]; the word behind the flag is the first path of its rows.
    Moved(PathBuf),
}

impl Resumption {
    /// Of the word behind the flag, which is empty where there is none.
    pub(super) fn parser() -> impl TypedValueParser<Value = Resumption> {
        OsStringValueParser::new().map(|word: OsString| match word.to_str() {
            Some("") => Resumption::Interrupted,
            Some("auto") => Resumption::Auto,
            _ => Resumption::Moved(word.into()),
        })
    }
}

/// Flags that may stand beside `--resume` without `auto`; all others of training change what the run keeps.
const BESIDE: [&str; 12] = [
    "paths",
    "resume",
    "output",
    "budget",
    "memory_limit",
    "stall_after",
    "threads",
    "json",
    "quiet",
    "isa",
    "help",
    "version",
];

/// Refuses settings beside `--resume` without `auto`.
pub(super) fn check(command: &Command, matches: &ArgMatches) -> Result<(), Failure> {
    let Some(("train", given)) = matches.subcommand() else { return Ok(()) };
    if given.get_one::<Resumption>("resume").is_none_or(|how| *how == Resumption::Auto) {
        return Ok(());
    }
    let said = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
    let flags = command.find_subcommand("train").into_iter().flat_map(Command::get_arguments);
    let mut others = flags.filter(|flag| !BESIDE.contains(&flag.get_id().as_str()));
    match others.find(|flag| said(flag.get_id().as_str())).and_then(|flag| flag.get_long()) {
        Some(other) => Err(mistaken_flags::beside_resume(&format!("--{other}"))),
        None => Ok(()),
    }
}
