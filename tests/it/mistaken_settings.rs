//! Mistakes in configurations, schemas and rules: each is refused before work starts, with the key and what
//! was expected.
use crate::common::{dlrm, fails, scratch};
use std::fs;

const USAGE: i32 = 2;
const DATA: i32 = 3;

#[test]
fn a_mistyped_key() {
    let dir = scratch(60);
    let args = ["train", "clicks.csv", "--schema", "schema.toml", "--set", "model.embeding_dim=32"];
    fails(dir.path(), &args, USAGE, &["embeding_dim", "did you mean \"embedding_dim\"?"]);
}

#[test]
fn tables_compressed_in_no_way_or_in_two() {
    let dir = scratch(60);
    let base = ["train", "clicks.csv", "--schema", "schema.toml", "--set"];
    let one = [&base[..], &["model.quotient_remainder.collisions=1"]].concat();
    fails(dir.path(), &one, USAGE, &["model.quotient_remainder.collisions", "at least 2", "found 1"]);
    let both =
        [&base[..], &["model.quotient_remainder.collisions=4", "--set", "model.mixed_dims.temperature=0.3"]]
            .concat();
    fails(dir.path(), &both, USAGE, &["one of", "model.quotient_remainder", "model.mixed_dims", "both"]);
}

#[test]
fn a_value_of_the_wrong_type() {
    let dir = scratch(60);
    let args = ["train", "clicks.csv", "--schema", "schema.toml", "--set", "train.epochs=many"];
    fails(dir.path(), &args, USAGE, &["many"]);
}

#[test]
fn a_malformed_label_rule() {
    let dir = scratch(60);
    fails(
        dir.path(),
        &["train", "clicks.csv", "--schema", "schema.toml", "--label-rule", "age = 30"],
        DATA,
        &["label rule", "rating >= 4"],
    );
}

#[test]
fn a_schema_that_contradicts_itself() {
    let dir = scratch(60);
    for (text, part) in [
        ("label = { column = \"click\" }", "at least one"),
        ("label = { column = \"click\" }\ndense = [{ name = \"click\" }]", "label"),
        (
            "label = { column = \"click\" }\ndense = [{ name = \"age\", transfrom = \"log1p\" }]",
            "did you mean \"transform\"?",
        ),
        (
            "label = { column = \"click\" }\ndense = [{ name = \"age\", clip_quantiles = [0.9, 0.1] }]",
            "quantiles",
        ),
        (
            "label = { column = \"click\", task = \"rating\", positive = [\"5\"] }\ndense = [{ name = \
                \"age\" }]",
            "rating task",
        ),
        (
            "weight = \"click\"\nlabel = { column = \"click\" }\ndense = [{ name = \"age\" }]",
            "weight column other than the label",
        ),
        (
            "label = { column = \"click\" }\ncategorical = [{ name = \"tags\", pooling = \"mean\", \
             multi = { separator = \"|\", weight_separator = \":\" } }]",
            "found pooling = \"mean\"",
        ),
        (
            "label = { column = \"click\" }\ncategorical = [{ name = \"tags\", multi = { separator = \"|\", \
                weight_separator = \"|\" } }]",
            "a weight_separator other than the separator",
        ),
        ("label = ", "schema.toml"),
    ] {
        fs::write(dir.path().join("schema.toml"), text).unwrap();
        fails(dir.path(), &["train", "clicks.csv", "--schema", "schema.toml"], DATA, &[part]);
    }
}

#[test]
fn settings_that_cannot_be() {
    let dir = scratch(60);
    let base = ["train", "clicks.csv", "--schema", "schema.toml"];
    for (setting, part) in [
        ("train.batch_size=0", "batch_size"),
        ("train.loss.kind=mse", "train.loss"),
        ("train.monitor=rmse", "train.monitor"),
        ("train.clip_norm=-1.0", "clip_norm"),
        ("model.embedding_dim=0", "embedding_dim"),
        ("model.top=[0]", "top.0"),
        ("data.split.validation=0.7", "split"),
    ] {
        let extra: &[&str] = if setting.starts_with("data.split") {
            &["--set", "data.split.kind=random", "--set", "data.split.test=0.6"]
        } else {
            &[]
        };
        let ran = dlrm(dir.path(), &[&base[..], &["--set", setting], extra].concat());
        assert!(
            ran.code == USAGE && ran.err.contains(part) && !ran.err.contains("panicked"),
            "{setting}: {} {}",
            ran.code,
            ran.err
        );
    }
}

#[test]
fn optimizer_settings_that_cannot_be() {
    let dir = scratch(60);
    for (setting, key) in [
        ("train.optimizer.beta1=1.5", "train.optimizer.beta1"),
        ("train.optimizer.lr=-1", "train.optimizer.lr"),
        ("train.table_optimizer.lr=inf", "train.table_optimizer.lr"),
        ("train.table_optimizer.l2=-1", "train.table_optimizer.l2"),
        ("train.epochs=0", "train.epochs"),
        ("train.loss={kind=\"bce\", positive_weight=-2}", "positive_weight"),
        (
            "train.schedule={kind=\"warmup_decay\", warmup_steps=9, decay_start_step=3, decay_steps=5}",
            "decay_start_step",
        ),
    ] {
        fails(
            dir.path(),
            &["train", "clicks.csv", "--schema", "schema.toml", "--set", setting, "-o", "out"],
            USAGE,
            &[key],
        );
    }
}
