//! What a model is compared with does not depend on how the model is trained.
use super::common::scratch;
use dlrm::engine::observer::Unobserved;
use dlrm::engine::request::InputRequest;
use dlrm::engine::{Outcome, RunRequest};
use std::path::Path;

/// A run on streamed rows, whose regression is trained in steps.
fn run(dir: &Path, settings: &[&str]) -> Outcome {
    let usual = ["data.loading=stream", "data.cache=false", "train.seed=3"];
    let request = RunRequest {
        input: InputRequest { paths: vec![dir.join("clicks.csv")], ..InputRequest::default() },
        schema: Some(dir.join("schema.toml")),
        settings: usual.iter().chain(settings).map(|&setting| setting.to_owned()).collect(),
        ..RunRequest::default()
    };
    request.resolve().expect("a run").0.execute(&mut Unobserved).expect("an outcome")
}

#[test]
fn the_baseline_has_a_plan_of_its_own() {
    let dir = scratch(3000);
    let usual = run(dir.path(), &["train.epochs=1"]);
    let others = run(
        dir.path(),
        &[
            "train.epochs=2",
            "train.evaluate_every=3",
            "train.patience=1",
            "train.batch_size=100",
            "train.max_steps=40",
            "train.clip_norm=0.01",
            "train.optimizer.lr=0.5",
            "train.table_optimizer={ kind = \"sgd\", lr = 0.001 }",
            "train.schedule={ kind = \"cosine\", warmup_steps = 10, total_steps = 40, final_factor = 0.1 }",
        ],
    );
    let [usual, others] = [&usual, &others].map(|outcome| &outcome.scorings);
    assert_eq!(usual[1].name, "logistic regression");
    assert_eq!((usual[1].converged, others[1].converged), (Some(false), Some(false)), "trained in steps");
    assert!(usual[0].logits != others[0].logits, "the models are trained otherwise");
    assert!(usual[1].logits == others[1].logits, "what they are compared with is not");
}
