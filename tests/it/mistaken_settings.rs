//! Mistakes in configurations, schemas and rules: each is refused before work starts, with the key and what
//! was expected.
use crate::common::{dlrm, fails, scratch, works};
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

#[test]
fn settings_of_models_reach_the_kind_that_is_named() {
    let dir = scratch(300);
    let base = ["clicks.csv", "--schema", "schema.toml", "--epochs", "1", "-q"];
    let train = |more: &[&'static str]| [&["train"], &base[..], more].concat();
    // Two of them are no settings of the usual model.
    let own = ["--model", "dnn", "--set", "model.norm=batch", "--set", "model.activation=gelu"];
    works(dir.path(), &[&train(&own)[..], &["--set", "model.hidden=[8]", "-o", "dnn"]].concat());
    let config = fs::read_to_string(dir.path().join("dnn/model/config.toml")).unwrap();
    for line in ["kind = \"dnn\"", "norm = \"batch\"", "activation = \"gelu\"", "hidden = [8]"] {
        assert!(config.contains(line), "{line}: {config}");
    }
    let both = train(&["--model", "dnn", "--set", "model.kind=fm", "-o", "both"]);
    fails(dir.path(), &both, USAGE, &["--model", "one kind", "dnn", "fm", "leave one"]);
    let unknown = train(&["--model", "lr", "--set", "model.embedding_dim=4", "-o", "lr"]);
    fails(dir.path(), &unknown, USAGE, &["embedding_dim"]);
    // A file whose kind is not said keeps its keys under the name of that kind.
    fs::write(dir.path().join("own.toml"), "[model]\nembedding_dim = 6\n").unwrap();
    works(dir.path(), &train(&["--config", "own.toml", "--model", "dlrm", "-o", "file"]));
    let config = fs::read_to_string(dir.path().join("file/model/config.toml")).unwrap();
    assert!(config.contains("embedding_dim = 6"), "{config}");

    let compare = |more: &[&'static str]| [&["compare"], &base[..5], &["--seeds", "1"], more].concat();
    let told =
        works(dir.path(), &compare(&["--models", "lr,fm", "--set", "model.embedding_dim=3", "-o", "c"]));
    assert!(
        told.err.contains("lr is compared with its usual settings") && told.err.contains("embedding_dim")
    );
    let compared: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("c/compare.json")).unwrap()).unwrap();
    let parameters = |name: &str| {
        let models = compared["models"].as_array().unwrap();
        models.iter().find(|model| model["name"] == name).unwrap()["table_parameters"].as_u64().unwrap()
    };
    // A weight of the linear part and a vector of three for each row.
    assert_eq!(parameters("fm"), 4 * parameters("lr"));
    let none = compare(&["--models", "lr", "--set", "model.embedding_dim=3", "-o", "d"]);
    fails(dir.path(), &none, USAGE, &["embedding_dim"]);
}
