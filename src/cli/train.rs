//! `dlrm train`.
use super::args::TrainArgs;
use super::failure::Failure;
use super::progress::Progress;
use super::ranks::{self, Job};
use super::resumption::Resumption;
use super::session::Session;
use super::{flags, gone_on, output, requests, values};
use dlrm::data::split::Part;
use dlrm::engine::observer::Observer;
use dlrm::engine::ranks::Ranks;
use dlrm::engine::train_config::TrainConfig;
use dlrm::engine::training::Training;
use dlrm::engine::{Error, Note, Resources, Run, RunConfig, Start};
use dlrm::models::ModelConfig;
use dlrm::report::{RunCard, kept, terminal};
use std::path::PathBuf;
use std::time::Duration;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &TrainArgs) -> Result<(), Failure> {
    let patience = args.stall_after.map(Duration::from_secs_f64);
    let job = ranks::job(session, patience)?;
    let ranks = job.ranks.clone();
    if !ranks.is_first() {
        return assist(session, args, job);
    }
    let done = check_shared(args, &ranks).and_then(|()| train(session, args, job));
    // Whatever went wrong: the others do not wait.
    ranks.leave();
    done
}

/// Does the run.
fn train(session: &Session, args: &TrainArgs, job: Job) -> Result<(), Failure> {
    let out = output_of(args);
    let budget = args.budget.as_deref().map(values::duration).transpose()?;
    let Some(request) = gone_on::requested(session, args, &out)? else {
        return gone_on::finished(session, &out);
    };
    let (mut run, notes) = request.resolve()?;
    let narrow = job.warning(session.threads_said.then_some(session.threads));
    share(session, args, &mut run, job);
    let lowered = run.tell()?;
    session.stop_by_signal();
    // The folds and the model itself have the same share of the time.
    let share = budget.map(|budget| budget / (1 + args.folds.unwrap_or(0)) as u32);
    let mut progress = Progress::new(session, share);
    if args.resume == Some(Resumption::Auto) {
        progress.line(&gone_on::line(run.start, &out));
    }
    narrow.iter().chain(&lowered).for_each(|warning| progress.warned(warning));
    progress.line(&model_line(args, &run.config));
    notes.iter().for_each(|note| progress.line(&output::note(note)));
    let training = match run.start {
        // Model and folds have been seen to.
        Start::GoOn => Training { run: run.clone(), chooses: false, folds: None },
        _ => Training { run: run.clone(), chooses: args.is_auto(), folds: args.folds },
    };
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

/// The run directory.
fn output_of(args: &TrainArgs) -> PathBuf {
    args.output.clone().unwrap_or_else(|| PathBuf::from("runs/model"))
}

/// Refuses what only one process does.
fn check_shared(args: &TrainArgs, ranks: &Ranks) -> Result<(), Failure> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let alone = [("--folds", args.folds.is_some()), ("--model auto", args.is_auto())];
    match alone.into_iter().find(|(_, said)| *said) {
        Some((flag, _)) => Err(Failure::usage(
            format!("{flag}: expected one process, found several ranks of MPI"),
            "run it without mpirun: it ends in the same bytes",
        )),
        None => Ok(()),
    }
}

/// Lets a run be shared with the other ranks, each of which takes its part of the cores that it runs on and
/// of the memory of its machine, unless threads or memory were said.
fn share(session: &Session, args: &TrainArgs, run: &mut Run, job: Job) {
    if !session.threads_said {
        run.resources.threads = job.threads(run.resources.threads);
    }
    if args.memory_limit.is_none() {
        run.resources.memory_limit = run.resources.memory_limit.map(|free| job.memory(free));
    }
    run.ranks = job.ranks;
}

/// What a rank does that is not the first, which tells it of the run: it neither writes nor prints, but where
/// it fails it says so and ends them all.
fn assist(session: &Session, args: &TrainArgs, job: Job) -> Result<(), Failure> {
    let ranks = job.ranks.clone();
    let assisted = || -> Result<(), Failure> {
        let resources = requests::resources(session, args.memory_limit.as_deref())?;
        let mut run = Run::told(ranks.clone(), resources)?;
        share(session, args, &mut run, job);
        session.stop_by_signal();
        Ok(run.assist()?)
    };
    let Err(failure) = assisted() else { return Ok(()) };
    if ranks.fail() {
        // The first one has met the same, and says so.
        return Ok(());
    }
    let message = format!("rank {} of {}: {}", ranks.rank(), ranks.size(), failure.message);
    output::failure(&Failure { message, ..failure.clone() }, session.json);
    ranks.abort(i32::from(failure.code))
}

/// Which model is trained.
fn model_line(args: &TrainArgs, config: &RunConfig) -> String {
    let kind = config.model.kind();
    match ModelConfig::ABOUT.iter().find(|about| about.kind == kind) {
        _ if args.is_auto() => "model: that of the best validation rows".into(),
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

/// Command line, threads and versions for the report.
pub(super) fn run_card(session: &Session) -> RunCard {
    let command: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .map(|arg| if arg.contains([' ', '>', '"']) { format!("'{arg}'") } else { arg })
        .collect();
    let resources = Resources { threads: session.threads, isa: session.isa, memory_limit: None };
    RunCard::of(command.join(" "), resources)
}
