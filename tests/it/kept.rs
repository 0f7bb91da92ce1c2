//! What a run keeps on disk while it goes.
use super::common::scratch;
use dlrm::engine::observer::{Observer, Standing};
use dlrm::engine::request::InputRequest;
use dlrm::engine::run::RunObserver;
use dlrm::engine::train_state::Evaluation;
use dlrm::engine::{Error, RunRequest, Start};
use std::path::{Path, PathBuf};

/// Counts the best weights that are kept, and stops after so many evaluations.
struct Counting {
    checkpoints: PathBuf,
    improved: usize,
    most: usize,
    stop_at: usize,
}

impl Observer for Counting {
    fn evaluated(&mut self, _: &Evaluation, standing: Standing) {
        self.improved += usize::from(standing == Standing::Best);
        let entries = std::fs::read_dir(&self.checkpoints).expect("checkpoints");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let kept = names.filter(|name| name.to_string_lossy().starts_with("best-")).count();
        self.most = self.most.max(kept);
    }

    fn should_stop(&mut self) -> bool {
        self.improved >= self.stop_at
    }
}

impl RunObserver for Counting {}

fn run(dir: &Path, out: &str, start: Start, stop_at: usize) -> (Counting, Result<Vec<u8>, Error>) {
    let settings = [
        "train.epochs=2",
        "train.evaluate_every=2",
        "train.checkpoint_every=9",
        "train.patience=0",
        "train.batch_size=32",
        "train.linear_start=model",
        "train.output_bias=model",
        "train.optimizer={ kind = \"sgd\", lr = 0.01 }",
        "train.table_optimizer={ kind = \"sgd\", lr = 0.01 }",
        "data.baseline=mean",
    ];
    let fresh = start == Start::Fresh;
    let out = dir.join(out);
    let request = RunRequest {
        input: InputRequest { paths: vec![dir.join("clicks.csv")], ..InputRequest::default() },
        schema: fresh.then(|| dir.join("schema.toml")),
        settings: if fresh { settings.map(str::to_owned).into() } else { Vec::new() },
        out: Some(out.clone()),
        start,
        ..RunRequest::default()
    };
    let mut counting = Counting { checkpoints: out.join("checkpoints"), improved: 0, most: 0, stop_at };
    let run = request.resolve().expect("a run").0;
    let done = run.execute(&mut counting).map(|_| ());
    (counting, done.map(|()| std::fs::read(out.join("model/weights.safetensors")).expect("weights")))
}

/// The best weights, and those that the newest checkpoint would go back to.
#[test]
fn best_weights_do_not_pile_up() {
    let dir = scratch(1500);
    let (whole, weights) = run(dir.path(), "whole", Start::Fresh, usize::MAX);
    let weights = weights.expect("a model");
    assert!(whole.improved > 20 && whole.most <= 2, "{} of {} kept", whole.most, whole.improved);
    for stop_at in [1, 7, 13] {
        let out = format!("stopped-{stop_at}");
        let (_, stopped) = run(dir.path(), &out, Start::Fresh, stop_at);
        assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{out}");
        let (rest, resumed) = run(dir.path(), &out, Start::Resume, usize::MAX);
        assert!(resumed.expect("the rest") == weights && rest.most <= 2, "{out}");
    }
}
