//! `dlrm train`.
use super::args::TrainArgs;
use super::failure::{Failure, io};
use super::progress::Progress;
use super::session::Session;
use super::{flags, output, requests, values};
use dlrm::data::readers::Input;
use dlrm::data::rows::OpenRows;
use dlrm::data::split::Part;
use dlrm::engine::train_config::TrainConfig;
use dlrm::engine::{Error, Note, RunConfig};
use dlrm::report::summary::{self, Context};
use dlrm::report::{Fact, InputCard, Report, RunCard, terminal};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &TrainArgs) -> Result<(), Failure> {
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/model"));
    let budget = args.budget.as_deref().map(values::duration).transpose()?;
    let (run, notes) = requests::training(session, args, &out)?.resolve()?;
    let mut progress = Progress::new(session, budget);
    notes.iter().for_each(|note| progress.line(&format!("warning: {}", flags::in_text(&note.to_string()))));
    let mut outcome = run.execute(&mut progress).map_err(|error| failure(error, &run.config.train))?;
    drop(progress);
    let (config, data) = (&run.config, &run.config.data);
    let more = [&data.validation, &data.test].map(|paths| config.input_of(paths));
    let context = Context {
        title: format!("{} on {}", config.model.kind().to_uppercase(), config.input.name()),
        inputs: std::iter::once(&config.input).chain(more.iter().flatten()).flat_map(input_cards).collect(),
        run: run_card(session),
        optimum: None,
        notes: notes.iter().map(Note::to_string).collect(),
    };
    let mut report = summary::report(&outcome, context)?;
    save_report(&out, &report)?;
    // Only now is the run safe without its checkpoints.
    outcome.finish()?;
    let diverged = outcome.state.divergence().map(|error| {
        let failure = failure(error, &config.train);
        let kept = outcome.state.best.map_or(0, |best| best.step);
        Failure {
            message: format!("{}; the model that is saved is that of step {kept}", failure.message),
            ..failure
        }
    });
    if session.json {
        output::print(&format!("{}\n", terminal::run_json(&report, &out)))?;
        return diverged.map_or(Ok(()), Err);
    }
    report.notes.iter_mut().for_each(|note| *note = flags::in_text(note));
    output::print(&terminal::run_text(&report, &out))?;
    output::print(&next(config, &out.display().to_string()))?;
    diverged.map_or(Ok(()), Err)
}

/// What to do with the model. Only rows that took no part are proposed to measure it.
fn next(config: &RunConfig, out: &str) -> String {
    let first = |paths: &[PathBuf]| paths.first().map(|path| path.display().to_string());
    let overlap = !config.trained_and_measured(Part::Test).is_empty();
    match first(&config.data.test).filter(|_| !overlap) {
        Some(test) => {
            format!(
                "next:   dlrm show {out}   dlrm evaluate {out} {test}   dlrm predict {out} {test} > \
                 scores.csv\n"
            )
        }
        None => {
            let rows = first(&config.input.paths).unwrap_or_else(|| "more.csv".into());
            format!(
                "next:   dlrm show {out}   dlrm predict {out} {rows} > scores.csv   and for rows that were \
                 not trained on: dlrm evaluate {out} FILE\n"
            )
        }
    }
}

/// Of a run with these settings.
fn failure(error: Error, train: &TrainConfig) -> Failure {
    let diverged = matches!(error, Error::Diverged { .. });
    let failure = Failure::from(error);
    if !diverged {
        return failure;
    }
    // Of one precision, so that a tenth of 0.05 is written as 0.005.
    let shown = |rate: f64| {
        let rate = rate as f32;
        if (1e-5..1e5).contains(&rate) { rate.to_string() } else { format!("{rate:e}") }
    };
    let rates = [
        ("train.optimizer.lr", train.optimizer.lr()),
        ("train.table_optimizer.lr", train.table_optimizer.lr()),
    ];
    let now = rates.map(|(key, rate)| format!("{key} = {}", shown(rate))).join(", ");
    let tenth = rates.map(|(key, rate)| format!("--set {key}={}", shown(rate / 10.0))).join(" ");
    let hint = format!(
        "the learning rate is too large for these rows ({now}): take a tenth, {tenth}, or bound the steps \
         with --set train.clip_norm=1"
    );
    Failure { hint: Some(hint), ..failure }
}

/// Command line, threads and versions for the report.
pub(super) fn run_card(session: &Session) -> RunCard {
    let command: Vec<String> = std::env::args()
        .map(|arg| if arg.contains([' ', '>', '"']) { format!("'{arg}'") } else { arg })
        .collect();
    let fact = |name: &str, value: String| Fact { name: name.into(), value };
    RunCard {
        command: command.join(" "),
        threads: session.threads as u64,
        facts: vec![
            fact("dlrm", env!("CARGO_PKG_VERSION").into()),
            fact("instruction set", session.isa.level().name().into()),
            fact("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ],
        ..RunCard::default()
    }
}

fn input_cards(input: &Input) -> Vec<InputCard> {
    let files = input.files().unwrap_or_default();
    let card = |path: PathBuf| InputCard {
        name: path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        format: input.format.name().into(),
        rows: None,
        bytes: fs::metadata(&path).ok().map(|m| m.len()),
    };
    files.into_iter().map(card).collect()
}

/// Writes `report.html` and `report.json` beside the model.
pub(super) fn save_report(out: &Path, report: &Report) -> Result<(), Failure> {
    for (name, text) in [("report.html", report.to_html()), ("report.json", report.to_json())] {
        let path = out.join(name);
        fs::write(&path, text).map_err(io("write", &path))?;
    }
    Ok(())
}
