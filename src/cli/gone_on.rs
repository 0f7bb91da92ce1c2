//! `dlrm train --resume auto`: one command for the first start of a run and for every later one.
use super::args::TrainArgs;
use super::failure::Failure;
use super::resumption::Resumption;
use super::session::Session;
use super::{output, requests};
use dlrm::data::Hint;
use dlrm::engine::choice::Choice;
use dlrm::engine::folds::Folded;
use dlrm::engine::training::AUTO;
use dlrm::engine::{Error, RunRequest, Start};
use std::path::Path;

/// What is asked for, at the start that its directory calls for; `None` where the run in it is finished.
pub(super) fn requested(
    session: &Session,
    args: &TrainArgs,
    out: &Path,
) -> Result<Option<RunRequest>, Failure> {
    let request = requests::training(session, args, out)?;
    if args.resume != Some(Resumption::Auto) {
        return Ok(Some(request));
    }
    let request = request.at_its_start()?;
    if request.as_ref().is_some_and(|request| request.start == Start::GoOn) {
        check_before(args, out)?;
    }
    Ok(request)
}

/// What came before a run is not done again, and must be what was asked for.
fn check_before(args: &TrainArgs, out: &Path) -> Result<(), Error> {
    let refused = |key: &str, was: String, said: String| {
        let started = format!("{was}, with which the run in {} was started", out.display());
        let hint = Hint::from("leave it out to go on with the run as it is, or give another ");
        Err(Error::config(key.to_owned(), started, said).with_hint(hint.name("run.out")))
    };
    if args.is_auto() && Choice::read(out)?.is_none() {
        return refused("model.kind", "one kind of model".into(), AUTO.into());
    }
    let (Some(folds), was) = (args.folds, Folded::read(out)?.map(|folded| folded.folds)) else {
        return Ok(());
    };
    let text = |folds: Option<u64>| folds.map_or_else(|| "none".to_owned(), |folds| folds.to_string());
    if was == Some(folds) { Ok(()) } else { refused("run.folds", text(was), folds.to_string()) }
}

/// Says what was decided.
pub(super) fn line(start: Start, out: &Path) -> String {
    match start {
        Start::GoOn => format!("going on with the run in {}", out.display()),
        _ => format!("starting a run in {}", out.display()),
    }
}

/// Says that nothing is left to do.
pub(super) fn finished(session: &Session, out: &Path) -> Result<(), Failure> {
    let out = out.display().to_string();
    if session.json {
        let said = serde_json::json!({"model": format!("{out}/model"), "finished": true});
        return output::print(&format!("{said}\n"));
    }
    output::print(&format!(
        "The run in {out} is finished: nothing is left to do.\nnext:   dlrm show {out}   or train with other \
         settings: --overwrite in the place of --resume auto, or another -o\n"
    ))
}
