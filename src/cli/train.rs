//! `dlrm train`.
use super::args::TrainArgs;
use super::failure::Failure;
use super::progress::Progress;
use super::session::Session;
use super::{flags, output, requests, values};
use dlrm::data::split::Part;
use dlrm::engine::train_config::TrainConfig;
use dlrm::engine::training::{AUTO, Training};
use dlrm::engine::{Error, Note, Resources, RunConfig};
use dlrm::models::ModelConfig;
use dlrm::report::{RunCard, kept, terminal};
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
    let training = Training { run: run.clone(), chooses: is_auto(args), folds: args.folds };
    let trained = training.execute(&mut progress).map_err(|error| failure(error, &run.config.train));
    drop(progress);
    let (mut trained, config) = (trained?, &run.config);
    let mut report =
        kept::report(&run, &mut trained, run_card(session), notes.iter().map(Note::to_string).collect())?;
    let mut outcome = trained.outcome;
    kept::finish(&mut outcome, &report)?;
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
        _ if is_auto(args) => "model: that of the best validation rows".into(),
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
    let serve = if cfg!(feature = "serve") { format!("   dlrm serve {out}") } else { String::new() };
    let first = |paths: &[PathBuf]| paths.first().map(|path| path.display().to_string());
    let overlap = !config.trained_and_measured(Part::Test).is_empty();
    match first(&config.data.test).filter(|_| !overlap) {
        Some(test) => {
            format!(
                "next:   dlrm show {out}   dlrm evaluate {out} {test}   dlrm predict {out} {test} > \
                 scores.csv{serve}\n"
            )
        }
        None => {
            let rows = first(&config.input.paths).unwrap_or_else(|| "more.csv".into());
            format!(
                "next:   dlrm show {out}   dlrm predict {out} {rows} > scores.csv{serve}   and for rows that \
                 were not trained on: dlrm evaluate {out} FILE\n"
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

/// Whether the validation rows choose the model.
fn is_auto(args: &TrainArgs) -> bool {
    args.model.as_deref() == Some(AUTO)
}

/// Command line, threads and versions for the report.
pub(super) fn run_card(session: &Session) -> RunCard {
    let command: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .map(|arg| if arg.contains([' ', '>', '"']) { format!("'{arg}'") } else { arg })
        .collect();
    let resources = Resources { threads: session.threads, isa: session.isa, memory_limit: None };
    RunCard::of(command.join(" "), resources)
}
