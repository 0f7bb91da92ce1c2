//! What a model is compared with does not depend on how the model is trained.
use super::common::scratch;
use dlrm::data::split::Part;
use dlrm::engine::observer::Unobserved;
use dlrm::engine::request::InputRequest;
use dlrm::engine::{Outcome, Parallel, RunRequest, Workspace};
use std::path::Path;

/// A run on streamed rows, whose regression is trained in steps.
fn streamed(dir: &Path, settings: &[&str]) -> Outcome {
    let usual = ["data.loading=stream", "data.cache=false", "train.seed=3"];
    run(dir, &[&usual, settings].concat())
}

fn run(dir: &Path, settings: &[&str]) -> Outcome {
    let request = RunRequest {
        input: InputRequest { paths: vec![dir.join("clicks.csv")], ..InputRequest::default() },
        schema: Some(dir.join("schema.toml")),
        settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
        ..RunRequest::default()
    };
    request.resolve().expect("a run").0.execute(&mut Unobserved).expect("an outcome")
}

#[test]
fn the_baseline_has_a_plan_of_its_own() {
    let dir = scratch(3000);
    let usual = streamed(dir.path(), &["train.epochs=1"]);
    let others = streamed(
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

/// Validation rows choose, measure and calibrate the regression of the training rows alone; test rows measure
/// what is saved.
#[test]
fn a_regression_is_trained_on_validation_rows_after_they_have_measured_it() {
    let dir = scratch(3000);
    let outcome = run(dir.path(), &["model.kind=lr", "calibration=platt"]);
    let without = run(
        dir.path(),
        &[
            "model.kind=lr",
            "calibration=platt",
            "data.split={ kind = \"random\", validation = 0.1, test = 0.0 }",
        ],
    );
    assert!(outcome.refit && !without.refit, "without test rows nothing would tell what came of it");
    let scored = |outcome: &Outcome, part: Part| {
        let rows = &outcome.parts[part];
        let mut logits = vec![0.0; rows.len()];
        outcome.network.logits(rows, &mut logits, &mut Workspace::new(), Parallel::Single);
        logits
    };
    let [validation, test] = &outcome.scorings[0].logits;
    assert_ne!(&scored(&outcome, Part::Validation), validation);
    assert_eq!(&scored(&outcome, Part::Test), test);
    assert_eq!(scored(&without, Part::Validation), without.scorings[0].logits[0]);
    // It is what any other model is compared with.
    let compared = run(dir.path(), &["model.kind=fm", "calibration=none"]);
    let lr = run(dir.path(), &["model.kind=lr", "calibration=none"]);
    assert_eq!(compared.scorings[1].logits, lr.scorings[0].logits);
}
