//! `dlrm plan`.
use super::args::PlanArgs;
use super::failure::Failure;
use super::progress::Progress;
use super::session::{Session, stop_at};
use super::{output, requests, values};
use dlrm::bench::{EpochTimeEstimate, EstimateOptions};
use dlrm::data::split::Part;
use dlrm::engine::run::{Foreseen, RankNetwork};
use dlrm::engine::{RunRequest, Start};
use dlrm::report::ranks::{Pace, foreseen_json, foreseen_text};
use std::time::Duration;

/// Time to train for, to know how fast one process is.
const ESTIMATE: Duration = Duration::from_secs(4);

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &PlanArgs) -> Result<(), Failure> {
    super::ranks::check_alone("plan")?;
    let network = RankNetwork {
        bytes_per_second: values::network(&args.network)?,
        latency: values::latency(&args.latency)?,
    };
    let request = RunRequest {
        config: args.config.clone(),
        preset: args.preset.clone(),
        model: args.model.clone(),
        batch_size: args.batch_size,
        start: Start::Fresh,
        ..requests::source(&args.source)
    };
    let (mut run, _) = request.resolve()?;
    run.resources.threads = session.threads;
    run.resources.isa = session.isa;
    run.resources.memory_limit = values::bytes_of("--memory", args.memory.as_deref())?;
    session.stop_by_signal();
    let progress = Progress::new(session, None);
    progress.line("reading what decides the tables");
    let foreseen = run.foresee(args.ranks, &stop_at(&session.stop))?;
    let pace = if args.no_estimate {
        None
    } else {
        progress.line("training for a moment");
        Some(Pace { alone: alone(session, &foreseen)?, threads: session.threads, network })
    };
    drop(progress);
    if session.json {
        return output::print(&format!("{:#}\n", foreseen_json(&foreseen, pace)));
    }
    output::print(&foreseen_text(&foreseen, pace))
}

/// Rows that one process trains a second.
fn alone(session: &Session, foreseen: &Foreseen) -> Result<f64, Failure> {
    let options = EstimateOptions {
        isa: session.isa,
        threads: session.threads,
        rows: foreseen.alone.rows[Part::Train],
        length: ESTIMATE,
    };
    let Foreseen { config, layout, ids_per_row, .. } = foreseen;
    Ok(EpochTimeEstimate::measure(config, layout, ids_per_row, options)?.rows_per_second)
}
