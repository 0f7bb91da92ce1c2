//! `dlrm train`.
use super::args::TrainArgs;
use super::failure::Failure;
use super::progress::Progress;
use super::session::Session;
use super::{flags, output, requests, values};
use dlrm::data::readers::Input;
use dlrm::data::rows::OpenRows;
use dlrm::data::split::Part;
use dlrm::engine::choice::{CANDIDATES_FILE, Choice, ChosenRun};
use dlrm::engine::folds::{FOLDS_FILE, Folded, FoldedRun};
use dlrm::engine::train_config::TrainConfig;
use dlrm::engine::{Error, Note, Outcome, Run, RunConfig};
use dlrm::models::ModelConfig;
use dlrm::report::summary::{self, Context};
use dlrm::report::{Fact, InputCard, Report, RunCard, terminal};
use std::fs;
use std::path::PathBuf;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &TrainArgs) -> Result<(), Failure> {
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/model"));
    let budget = args.budget.as_deref().map(values::duration).transpose()?;
    let (run, notes) = requests::training(session, args, &out)?.resolve()?;
    session.stop_by_signal();
    // The folds and the model itself have the same share of the time.
    let share = budget.map(|budget| budget / (1 + args.folds.unwrap_or(0)) as u32);
    let mut progress = Progress::new(session, share);
    progress.line(&model_line(args, &run.config));
    notes.iter().for_each(|note| progress.line(&output::note(note)));
    let done = execute(args, &run, &mut progress)?;
    drop(progress);
    let Done { choice, folded, mut outcome } = done;
    let (config, data) = (&run.config, &run.config.data);
    let more = [&data.validation, &data.test].map(|paths| config.input_of(paths));
    let context = Context {
        title: format!("{} on {}", outcome.config.model.kind().to_uppercase(), config.input.name()),
        inputs: std::iter::once(&config.input).chain(more.iter().flatten()).flat_map(input_cards).collect(),
        run: run_card(session),
        optimum: None,
        notes: notes.iter().map(Note::to_string).collect(),
    };
    let mut report = Report { choice, folds: folded, ..summary::report(&outcome, context)? };
    save_report(&mut outcome, &report)?;
    // What an earlier run has found out about its model, which is no longer here.
    let found_out = [(FOLDS_FILE, report.folds.is_some()), (CANDIDATES_FILE, report.choice.is_some())];
    found_out.iter().filter(|(_, now)| !now).try_for_each(|(name, _)| outcome.forget(name))?;
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
    // Decisions stand in the first lines and in the page.
    let decisions: Vec<String> = notes.iter().filter(|n| n.is_decision()).map(Note::to_string).collect();
    report.notes.retain(|note| !decisions.contains(note));
    report.notes.iter_mut().for_each(|note| *note = flags::in_text(note));
    output::print(&terminal::run_text(&report, &out))?;
    output::print(&next(config, &out.display().to_string()))?;
    diverged.map_or(Ok(()), Err)
}

/// Which model is trained.
fn model_line(args: &TrainArgs, config: &RunConfig) -> String {
    let kind = config.model.kind();
    match ModelConfig::ABOUT.iter().find(|about| about.kind == kind) {
        _ if args.model.as_deref() == Some(requests::AUTO) => {
            "model: that of the best validation rows".into()
        }
        Some(about) if args.model.is_none() && kind == "fm" && args.config.is_none() => format!(
            "model: {kind} ({}), which suits a few columns of ids without numbers; --model names another",
            about.idea
        ),
        Some(about) => format!("model: {kind} ({})", about.idea),
        None => format!("model: {kind}"),
    }
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

/// What comes of training.
struct Done {
    choice: Option<Choice>,
    folded: Option<Folded>,
    outcome: Outcome,
}

/// Does the run, after what is asked for before it.
fn execute(args: &TrainArgs, run: &Run, progress: &mut Progress) -> Result<Done, Failure> {
    let auto = args.model.as_deref() == Some(requests::AUTO);
    let told = |error| failure(error, &run.config.train);
    match (auto, args.folds) {
        (true, Some(_)) => Err(Failure::usage(
            "--folds: expected one kind of model, found auto",
            "compare the kinds on folds: dlrm compare --folds K --models lr,fm,dlrm",
        )),
        (true, None) => {
            let (choice, outcome) = ChosenRun::new(run.clone()).execute(progress).map_err(told)?;
            Ok(Done { choice: Some(choice), folded: None, outcome })
        }
        (false, Some(folds)) => {
            let folded = FoldedRun { run: run.clone(), folds };
            let (folded, outcome) = folded.execute(progress).map_err(told)?;
            Ok(Done { choice: None, folded: Some(folded), outcome })
        }
        (false, None) => {
            // What a run that is resumed had found out before it was interrupted.
            let kept = run.out.as_deref().filter(|_| args.resume);
            let choice = kept.map(Choice::read).transpose()?.flatten();
            let folded = kept.map(Folded::read).transpose()?.flatten();
            Ok(Done { choice, folded, outcome: run.execute(progress).map_err(told)? })
        }
    }
}

/// Command line, threads and versions for the report.
pub(super) fn run_card(session: &Session) -> RunCard {
    let command: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
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
pub(super) fn save_report(outcome: &mut Outcome, report: &Report) -> Result<(), Failure> {
    outcome.write("report.html", report.to_html().as_bytes())?;
    Ok(outcome.write("report.json", report.to_json().as_bytes())?)
}
