//! What is kept of a run beside its model: the report, as a page and as data.
use crate::summary::{self, Context};
use crate::{Fact, InputCard, Report, RunCard};
use dlrm_data::readers::Input;
use dlrm_data::rows::OpenRows;
use dlrm_engine::choice::CANDIDATES_FILE;
use dlrm_engine::error::Result;
use dlrm_engine::folds::FOLDS_FILE;
use dlrm_engine::run::{Outcome, Resources, Run};
use dlrm_engine::training::Trained;
use std::fs;
use std::path::PathBuf;

impl RunCard {
    /// Of a run that `command` asked for, by this build.
    pub fn of(command: String, resources: Resources) -> Self {
        let fact = |name: &str, value: String| Fact { name: name.into(), value };
        RunCard {
            command,
            threads: resources.threads as u64,
            facts: vec![
                fact("dlrm", env!("CARGO_PKG_VERSION").into()),
                fact("instruction set", resources.isa.level().name().into()),
                fact("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
            ],
            ..RunCard::default()
        }
    }
}

impl InputCard {
    /// The files of an input.
    fn of_files(input: &Input) -> Vec<Self> {
        let files = input.files().unwrap_or_default();
        let card = |path: PathBuf| InputCard {
            name: path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            format: input.format.name().into(),
            rows: None,
            bytes: fs::metadata(&path).ok().map(|m| m.len()),
        };
        files.into_iter().map(card).collect()
    }
}

/// The report of what came of `run`, on the rows that messages call `name`.
///
/// # Errors
/// If rows cannot be scored.
pub fn report(run: &Run, trained: &mut Trained, card: RunCard, notes: Vec<String>) -> Result<Report> {
    let (config, data) = (&run.config, &run.config.data);
    let more = [&data.validation, &data.test].map(|paths| config.input_of(paths));
    let files = std::iter::once(&config.input).chain(more.iter().flatten());
    let (rows, inputs) = match &run.rows {
        None => (config.input.name(), files.flat_map(InputCard::of_files).collect()),
        Some(rows) => (rows.main.name(), Vec::new()),
    };
    let outcome = &trained.outcome;
    let title = format!("{} on {rows}", outcome.config.model.kind().to_uppercase());
    let context = Context { title, inputs, run: card, optimum: None, notes };
    let report = summary::report(outcome, context)?;
    Ok(Report { choice: trained.choice.take(), folds: trained.folded.take(), ..report })
}

/// Writes `report.html` and `report.json` beside the model.
///
/// # Errors
/// If the file system refuses.
pub fn write(outcome: &mut Outcome, report: &Report) -> Result<()> {
    outcome.write("report.html", report.to_html().as_bytes())?;
    outcome.write("report.json", report.to_json().as_bytes())
}

/// Writes the report of a run in place of what an earlier one has left, and finishes the run.
///
/// # Errors
/// If the file system refuses.
pub fn finish(outcome: &mut Outcome, report: &Report) -> Result<()> {
    write(outcome, report)?;
    // What an earlier run has found out about its model, which is no longer here.
    let found_out = [(FOLDS_FILE, report.folds.is_some()), (CANDIDATES_FILE, report.choice.is_some())];
    found_out.iter().filter(|(_, now)| !now).try_for_each(|(name, _)| outcome.forget(name))?;
    // Only now is the run safe without its checkpoints.
    outcome.finish()
}
