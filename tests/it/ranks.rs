//! A run that several ranks share, as threads of one process: the bytes of one, however it ends.
use crate::common::scratch;
use dlrm::cluster::{Communicator, Threads};
use dlrm::engine::observer::{Observer, Unobserved};
use dlrm::engine::ranks::Ranks;
use dlrm::engine::request::InputRequest;
use dlrm::engine::run::RunObserver;
use dlrm::engine::saved::{Kind, verify};
use dlrm::engine::train_state::{Ending, TrainState};
use dlrm::engine::{Error, Resources, Run, RunRequest, Start};
use dlrm::nn::Holder;
use std::path::Path;

/// A run of [`scratch`]'s rows in its directory `out`, with these settings.
fn run(dir: &Path, out: &str, settings: &[&str]) -> Run {
    let request = RunRequest {
        input: InputRequest { paths: vec![dir.join("clicks.csv")], ..Default::default() },
        schema: Some(dir.join("schema.toml")),
        settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
        out: Some(dir.join(out)),
        ..RunRequest::default()
    };
    let mut run = request.resolve().unwrap().0;
    run.resources.isa = crate::common::isa();
    run
}

/// What each rank returns: the first one does the run under `observer`, the others assist.
fn shared<O: RunObserver>(size: usize, run: &Run, observer: impl Fn() -> O + Sync) -> Vec<Result<(), Error>> {
    Threads::run(size, |rank| {
        let first = rank.rank() == 0;
        let mut run = Run { ranks: Ranks::new(Box::new(rank)), ..run.clone() };
        if first {
            return run.execute(&mut observer()).and_then(|mut outcome| outcome.finish());
        }
        run.resources.threads = 2;
        run.assist()
    })
}

fn model(dir: &Path, out: &str) -> String {
    verify(&dir.join(out).join("model"), Kind::Model).unwrap().id()
}

const SETTINGS: [&[&str]; 4] = [
    &["train.epochs=2", "train.lanes=4", "train.batch_size=64"],
    &["model.kind=deepfm", "train.epochs=2", "train.batch_size=33", "train.clip_norm=0.1"],
    &[
        "model.norm=batch",
        "model.dropout=0.2",
        "train.epochs=3",
        "train.evaluate_every=2",
        "train.patience=2",
    ],
    &["data.loading=stream", "train.precision=bf16", "train.table_precision=bf16", "train.max_steps=7"],
];

#[test]
fn runs_that_ranks_share_are_those_of_one() {
    let dir = scratch(400);
    for (number, settings) in SETTINGS.iter().enumerate() {
        let alone = format!("alone-{number}");
        run(dir.path(), &alone, settings).execute(&mut Unobserved).unwrap().finish().unwrap();
        for size in [2, 3] {
            let out = format!("{size}-{number}");
            let done = shared(size, &run(dir.path(), &out, settings), || Unobserved);
            done.into_iter().for_each(|done| done.unwrap());
            assert_eq!(model(dir.path(), &out), model(dir.path(), &alone), "{size} ranks, {settings:?}");
        }
    }
}

/// Tables that no rank has room for lie with all, row by row, and are saved as those of one process; so are
/// checkpoints, from which any number of ranks goes on.
#[test]
fn tables_beyond_the_memory_of_a_rank_are_trained() {
    let dir = scratch(400);
    let settings = ["train.epochs=2", "train.batch_size=64", "data.baseline=mean", "train.clip_norm=0.5"];
    let mut alone = run(dir.path(), "alone", &settings).execute(&mut Unobserved).unwrap();
    let plan = alone.plan.clone();
    alone.finish().unwrap();
    let limits = (0..1000).map(|part| plan.memory_bytes() * (1000 - part) / 1000);
    // The least memory that will do, and who holds what.
    let planned = limits.map_while(|limit| {
        let (shared, holders) = plan.clone().among(3, Some(limit)).ok()?;
        shared.check(Some(limit)).ok().map(|()| (limit, holders))
    });
    let (limit, holders) = planned.last().unwrap();
    assert!(holders.contains(&Holder::ByRow), "{holders:?}");
    let limited = |out: &str| {
        let mut run = run(dir.path(), out, &settings);
        run.resources.memory_limit = Some(limit);
        run
    };
    assert!(matches!(limited("one").execute(&mut Unobserved), Err(Error::Memory { .. })));
    shared(3, &limited("three"), || Unobserved).into_iter().for_each(|done| done.unwrap());
    assert_eq!(model(dir.path(), "three"), model(dir.path(), "alone"));
    // Stopped, and gone on with by one process that has more room.
    let stop = || At { stop: Some(4), finish: None, step: 0 };
    let done = shared(3, &limited("stopped"), stop).remove(0);
    assert!(matches!(done, Err(Error::Interrupted { step: 4, checkpoint: Some(_) })));
    let out = Some(dir.path().join("stopped"));
    let mut resumed = RunRequest { out, start: Start::Resume, ..RunRequest::default() }.resolve().unwrap().0;
    resumed.resources.isa = crate::common::isa();
    resumed.execute(&mut Unobserved).unwrap().finish().unwrap();
    assert_eq!(model(dir.path(), "stopped"), model(dir.path(), "alone"));
}

/// Whose time for training is up, or who wants to stop, at a step.
struct At {
    finish: Option<u64>,
    stop: Option<u64>,
    step: u64,
}

impl Observer for At {
    fn step(&mut self, state: &TrainState, _: f64) {
        self.step = state.step;
    }
    fn should_finish(&mut self) -> bool {
        self.finish.is_some_and(|step| self.step >= step)
    }
    fn should_stop(&mut self) -> bool {
        self.stop.is_some_and(|step| self.step >= step)
    }
}

impl RunObserver for At {}

#[test]
fn the_first_rank_decides_for_all() {
    let dir = scratch(400);
    let settings = ["train.epochs=3", "train.batch_size=32"];
    // The clock of the first rank is everybody's.
    let finish = || At { finish: Some(5), stop: None, step: 0 };
    let mut alone = run(dir.path(), "alone", &settings).execute(&mut finish()).unwrap();
    assert_eq!(alone.state.ending, Some(Ending::Budget));
    alone.finish().unwrap();
    for done in shared(3, &run(dir.path(), "shared", &settings), finish) {
        done.unwrap();
    }
    assert_eq!(model(dir.path(), "shared"), model(dir.path(), "alone"));
    // It stops, and the others have nothing left to do; one process goes on to the same bytes.
    run(dir.path(), "whole", &settings).execute(&mut Unobserved).unwrap().finish().unwrap();
    let mut done =
        shared(3, &run(dir.path(), "stopped", &settings), || At { stop: Some(5), finish: None, step: 0 });
    assert!(matches!(done.remove(0), Err(Error::Interrupted { step: 5, checkpoint: Some(_) })));
    done.into_iter().for_each(|done| done.unwrap());
    // Two others go on, and are stopped; then one process does.
    let stopped = dir.path().join("stopped");
    let resumed = || {
        let request =
            RunRequest { out: Some(stopped.clone()), start: Start::Resume, ..RunRequest::default() };
        let mut run = request.resolve().unwrap().0;
        run.resources.isa = crate::common::isa();
        run
    };
    let mut done = shared(2, &resumed(), || At { stop: Some(9), finish: None, step: 0 });
    assert!(matches!(done.remove(0), Err(Error::Interrupted { step: 9, checkpoint: Some(_) })));
    done.into_iter().for_each(|done| done.unwrap());
    resumed().execute(&mut Unobserved).unwrap().finish().unwrap();
    assert_eq!(model(dir.path(), "stopped"), model(dir.path(), "whole"));
}

/// Only the first one has read what was asked for; where it finds nothing to do, nor have the others.
#[test]
fn ranks_are_told_of_the_run() {
    let dir = scratch(400);
    let settings = ["train.epochs=2", "train.lanes=4", "train.optimizer.lr=0.0123"];
    run(dir.path(), "alone", &settings).execute(&mut Unobserved).unwrap().finish().unwrap();
    let shared = |finished: bool| {
        Threads::run(3, |rank| {
            let ranks = Ranks::new(Box::new(rank));
            if ranks.is_first() && finished {
                ranks.leave();
                return Ok(());
            }
            if ranks.is_first() {
                let mut run = Run { ranks, ..run(dir.path(), "told", &settings) };
                assert_eq!(run.tell()?, None);
                return run.execute(&mut Unobserved).and_then(|mut outcome| outcome.finish());
            }
            let resources = Resources { isa: crate::common::isa(), ..Resources::default() };
            Run::told(ranks, resources)?.assist()
        })
    };
    shared(false).into_iter().for_each(|done| done.unwrap());
    assert_eq!(model(dir.path(), "told"), model(dir.path(), "alone"));
    for done in shared(true).into_iter().skip(1) {
        assert!(matches!(done, Err(Error::Assisted)), "{done:?}");
    }
}

/// Machines of a cluster may be of several ages.
#[test]
fn ranks_compute_with_what_all_their_machines_can() {
    let dir = scratch(400);
    let isas: Vec<_> = dlrm::nn::Isa::available().collect();
    let (least, best) = (isas[0], isas[isas.len() - 1]);
    let of = |out, isa| {
        let mut run = run(dir.path(), out, &["train.max_steps=4", "train.lanes=4"]);
        run.resources.isa = isa;
        run
    };
    of("alone", least).execute(&mut Unobserved).unwrap().finish().unwrap();
    let done = Threads::run(3, |rank| {
        let isa = if rank.rank() == 1 { least } else { best };
        let ranks = Ranks::new(Box::new(rank));
        if ranks.is_first() {
            let mut run = Run { ranks, ..of("shared", isa) };
            let said = run.tell()?.unwrap_or_default();
            let expected = format!(": all compute with {}", least.level().name());
            assert!(least == best || said.starts_with("rank 1 has ") && said.ends_with(&expected), "{said}");
            return run.execute(&mut Unobserved).and_then(|mut outcome| outcome.finish());
        }
        Run::told(ranks, Resources { isa, ..Resources::default() })?.assist()
    });
    done.into_iter().for_each(|done| done.unwrap());
    assert_eq!(model(dir.path(), "shared"), model(dir.path(), "alone"));
}

/// Others would round otherwise, and nothing would tell.
#[test]
fn ranks_of_other_instruction_sets_are_refused() {
    let dir = scratch(100);
    let run = run(dir.path(), "out", &[]);
    let isas: Vec<_> = dlrm::nn::Isa::available().collect();
    let done = Threads::run(2, |rank| {
        let mut run = run.clone();
        run.resources.isa = if rank.rank() == 0 { isas[0] } else { isas[isas.len() - 1] };
        run.ranks = Ranks::new(Box::new(rank));
        if run.ranks.is_first() { run.execute(&mut Unobserved).map(drop) } else { run.assist() }
    });
    // Vector instructions of any width agree; the first of them is scalar.
    let refused = isas.len() > 1;
    assert!(done.iter().all(|done| done.is_err() == refused), "{done:?}");
    if let Some(Err(error)) = done.first() {
        assert!(error.to_string().contains("rank 1 is dlrm "), "{error}");
        assert!(!dir.path().join("out").exists());
    }
}

#[test]
fn more_ranks_than_lanes_are_refused() {
    let dir = scratch(100);
    let done = shared(3, &run(dir.path(), "out", &["train.lanes=2"]), || Unobserved);
    for done in done {
        let error = done.unwrap_err().to_string();
        assert!(error.contains("train.lanes: expected one for each of 3 ranks, found 2"), "{error}");
    }
}

/// Each would take itself for the only one.
#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_is_not_started_by_it() {
    let dir = scratch(100);
    let output = crate::common::command(dir.path(), &["train", "clicks.csv", "--schema", "schema.toml"])
        .env("OMPI_COMM_WORLD_SIZE", "4")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["one of 4 by MPI", "--features mpi", "without mpirun"] {
        assert!(said.contains(part), "{said}");
    }
    // These have no part for several, however they were built.
    for verb in ["compare", "tune"] {
        let output = crate::common::command(dir.path(), &[verb, "clicks.csv", "--schema", "schema.toml"])
            .env("OMPI_COMM_WORLD_SIZE", "4")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("dlrm {verb}: expected one process, found one of 4")), "{said}");
    }
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn a_process_with_fewer_cores_than_threads_is_told_of_it() {
    let test = "a_process_with_fewer_cores_than_threads_is_told_of_it";
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let bind = std::process::Command::new("taskset").args(["-c", "0", "true"]).status();
    if !bind.is_ok_and(|status| status.success()) || !online.contains(['-', ',']) {
        println!("skipped: {test} (taskset is missing, or there is one core)");
        return;
    }
    let dir = scratch(100);
    let said = |more: &[&str]| {
        let mut bound = std::process::Command::new("taskset");
        bound.args(["-c", "0", env!("CARGO_BIN_EXE_dlrm"), "train", "clicks.csv", "--schema", "schema.toml"]);
        bound.args(["--max-steps", "1", "--overwrite"]).args(more).current_dir(dir.path());
        let ran = crate::common::finished(bound.output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    let warned = said(&["--threads", "2"]);
    assert!(warned.contains("warning: this process is bound to 1 of "), "{warned}");
    assert!(warned.contains("--bind-to none"), "{warned}");
    for more in [&["--threads", "1"][..], &[], &["--threads", "2", "-q"]] {
        assert!(!said(more).contains("is bound to"), "{more:?}");
    }
}
