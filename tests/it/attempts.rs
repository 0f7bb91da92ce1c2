//! A model that gains nothing on the regression it starts from makes a second attempt; whenever it is
//! interrupted, it ends in the same bytes.
use dlrm::engine::observer::Observer;
use dlrm::engine::request::{InputRequest, LabelRequest};
use dlrm::engine::run::RunObserver;
use dlrm::engine::train_state::TrainState;
use dlrm::engine::{Error, Outcome, RunRequest, Start};
use std::fmt::Write;
use std::path::Path;

/// Clicks on which each of two ids has an effect of its own, and their pairs have none.
fn clicks() -> String {
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut text = "click,user,item\n".to_owned();
    for _ in 0..1500 {
        let (user, item) = ((uniform() * 40.0) as u32, (uniform() * 30.0) as u32);
        let z = f64::from(user % 5) * 0.6 - f64::from(item % 4) * 0.5 - 0.5;
        let click = u8::from(uniform() < 1.0 / (1.0 + (-z).exp()));
        writeln!(text, "{click},u{user},i{item}").expect("text");
    }
    text
}

/// Stops where it is told to: in an attempt, after so many of its steps.
struct StopAt {
    attempt: u32,
    steps: u64,
    seen: u64,
}

impl Observer for StopAt {
    fn step(&mut self, state: &TrainState, _loss: f64) {
        self.seen += u64::from(state.attempt == self.attempt);
    }

    fn should_stop(&mut self) -> bool {
        self.seen >= self.steps
    }
}

impl RunObserver for StopAt {}

fn run(root: &Path, out: &str, start: Start, stop: &mut StopAt) -> Result<Outcome, Error> {
    let settings = ["train.epochs=8", "train.patience=3", "train.checkpoint_every=3", "calibration=none"];
    let fresh = start == Start::Fresh;
    let request = RunRequest {
        input: InputRequest { paths: vec![root.join("clicks.csv")], ..InputRequest::default() },
        label: LabelRequest { column: fresh.then(|| "click".to_owned()), ..LabelRequest::default() },
        settings: if fresh { settings.map(str::to_owned).into() } else { Vec::new() },
        model: fresh.then(|| "fm".to_owned()),
        out: Some(root.join(out)),
        start,
        ..RunRequest::default()
    };
    request.resolve()?.0.execute(stop)
}

fn weights(root: &Path, out: &str) -> Vec<u8> {
    std::fs::read(root.join(out).join("model/weights.safetensors")).expect("weights")
}

#[test]
fn an_interrupted_second_attempt_ends_in_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let root = dir.path();
    std::fs::write(root.join("clicks.csv"), clicks()).expect("a file");
    let never = || StopAt { attempt: u32::MAX, steps: 1, seen: 0 };
    let whole = run(root, "whole", Start::Fresh, &mut never()).expect("a run");
    assert_eq!(whole.state.attempt, 1, "the regression is hard to beat here");
    for (out, attempt, steps) in [("early", 0, 5), ("between", 1, 1), ("late", 1, 20)] {
        let stopped = run(root, out, Start::Fresh, &mut StopAt { attempt, steps, seen: 0 });
        assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{out}");
        let resumed = run(root, out, Start::Resume, &mut never()).expect("the rest");
        assert_eq!(resumed.state, whole.state, "{out}");
        assert!(weights(root, out) == weights(root, "whole"), "{out}");
    }
}
