//! `dlrm generate`: synthetic data.
mod clicks;
mod random;
mod trace;

use super::counter::Counter;
use super::failure::{Failure, INTERRUPTED, io};
use super::output;
use super::session::Session;
use clap::Subcommand;
use dlrm::data::durable::{DirLock, write_atomically};
use dlrm::data::format;
use dlrm::synth::process::DataGeneratingProcess;
use dlrm::synth::writer::{self, Files, Form, PROBABILITIES};
use std::fs;
use std::path::Path;

const MANIFEST: &str = "manifest.json";
const SCHEMA: &str = "schema.toml";

/// What to generate.
#[derive(Debug, Subcommand)]
pub(super) enum GenerateCommand {
    /// A click log from a known process, with the true click probability of every row
    Clicks(clicks::ClicksArgs),
    /// Rows in which nothing predicts the label, to put load on a system
    Random(random::RandomArgs),
    /// Traces of ids: profile, synthesise, compare under caches (section 4 of the DLRM paper)
    Trace {
        /// What to do
        #[command(subcommand)]
        command: trace::TraceCommand,
    },
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, command: &GenerateCommand) -> Result<(), Failure> {
    match command {
        GenerateCommand::Clicks(args) => clicks::run(session, args),
        GenerateCommand::Random(args) => random::run(session, args),
        GenerateCommand::Trace { command } => trace::run(session, command),
    }
}

/// Refuses to replace a data set, or any of its `files` that somebody else has written.
fn check(files: &[String], dir: &Path) -> Result<(), Failure> {
    let found = if dir.join(MANIFEST).exists() {
        Some(format!("a data set in {}", dir.display()))
    } else {
        let mut paths = files.iter().map(String::as_str).chain([SCHEMA]).map(|name| dir.join(name));
        paths.find(|path| path.exists()).map(|path| path.display().to_string())
    };
    let Some(found) = found else { return Ok(()) };
    let message = format!("output directory: expected a new or empty directory, found {found}");
    Err(Failure::usage(message, "give another directory with -o, or move this away"))
}

/// Writes the rows of `data-generating process` with schema and manifest into the directory `dir`. `config`
/// is what the data-generating process was made of.
fn write(
    session: &Session,
    process: &dyn DataGeneratingProcess,
    config: &serde_json::Value,
    form: Form,
    files: Files,
    dir: &Path,
) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(io("create", dir))?;
    let _lock = DirLock::of_directory(dir)?.ok_or_else(|| {
        let message = format!("output directory: expected no other work in {}, found some", dir.display());
        Failure::usage(message, "wait for its end, or give another directory with -o")
    })?;
    check(&writer::names(process, form, files), dir)?;
    let [manifest, schema] = [MANIFEST, SCHEMA].map(|name| dir.join(name));
    let mut counter = Counter::new(session);
    counter.stage("generating");
    let written =
        writer::write_log(process, form, files, dir, session.threads, &mut |rows| counter.rows(rows))?;
    drop(counter);
    let Some(written) = written else {
        return Err(Failure { code: INTERRUPTED, message: "nothing was kept".into(), hint: None });
    };
    write_atomically(&schema, process.schema().to_toml().as_bytes())?;
    let facts = serde_json::json!({
        "law": config,
        "written": written,
        "probabilities": PROBABILITIES,
        "dlrm": env!("CARGO_PKG_VERSION"),
    });
    let text = serde_json::to_string_pretty(&facts).expect("a manifest is plain data");
    write_atomically(&manifest, text.as_bytes())?;
    if session.json {
        return output::print(&format!("{facts}\n"));
    }
    let bytes: u64 = written.files.iter().map(|file| file.bytes).sum();
    let (count, first) = (written.files.len(), dir.join(&written.files[0].name));
    output::print(&format!(
        "{} rows in {count} file{}, {}\nbest possible: log loss {:.5}, AUC {:.5} (last day: {:.5}, {:.5}); \
            click rate {:.4}\n\
         true probabilities: {}\nnext:   dlrm train {} --schema {} -o runs/clicks\n",
        format::count(process.rows()),
        if count == 1 { "" } else { "s" },
        dlrm::data::format::bytes(bytes),
        written.all.log_loss,
        written.all.auc,
        written.last_day.log_loss,
        written.last_day.auc,
        written.all.click_rate,
        dir.join(PROBABILITIES).display(),
        if count == 1 { first.as_path() } else { dir }.display(),
        schema.display(),
    ))
}
