//! The linear part of models: crosses of columns, and an optimiser of its own.
use crate::common::{fails, works};
use dlrm::data::batch::{Bags, Batch, Feature, Layout, TableLayout};
use dlrm::engine::learner::Learner;
use dlrm::engine::network::Network;
use dlrm::engine::train_config::TrainConfig;
use dlrm::kernels::optimizer::reference;
use dlrm::models::{ModelConfig, WideDeepConfig};
use dlrm::nn::{DenseOptimizer, Isa, Loss, Sharding, TableOptimizer};
use serde_json::Value;
use std::fs;

const USAGE: i32 = 2;
const RESOURCES: i32 = 5;

/// Clicks that only the pair of both columns tells; `tags` repeats `b` with another value beside it.
fn parity() -> String {
    let row = |i: usize| {
        let (a, b) = (i % 8, i / 8 % 8);
        format!("{},a{a},b{b},b{b}|x\n", (a ^ b) & 1)
    };
    "click,a,b,tags\n".to_owned() + &(0..640).map(row).collect::<String>()
}

#[test]
fn a_cross_learns_what_single_columns_cannot() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("parity.csv"), parity()).unwrap();
    let auc = |out: &str, more: &[&str]| {
        let mut args = vec![
            "train",
            "parity.csv",
            "--label",
            "click",
            "--model",
            "lr",
            "--epochs",
            "20",
            "--json",
            "-q",
            "-o",
            out,
        ];
        args.extend_from_slice(more);
        let report: Value = serde_json::from_str(&works(dir.path(), &args).out).unwrap();
        let test = report["candidates"][0]["splits"].as_array().unwrap().last().unwrap()["intervals"]
            .as_array()
            .unwrap()
            .clone();
        test.iter().find(|m| m["metric"] == "auc").unwrap()["interval"]["estimate"].as_f64().unwrap()
    };
    assert!(auc("alone", &[]) < 0.7);
    assert!(auc("crossed", &["--cross", "a,b"]) > 0.999);
    assert!(
        auc("tags", &["--cross", "a,tags", "--set", "model.kind=lr"]) > 0.999,
        "combinations with each of several values"
    );
    let show = works(dir.path(), &["show", "crossed"]).out;
    assert!(show.contains("a*b"), "{show}");
    // Scoring reads nothing but the columns.
    fs::write(dir.path().join("new.csv"), "a,b,tags\na1,b1,\na1,b2,\n,b2,\n").unwrap();
    let scores = works(dir.path(), &["predict", "crossed", "new.csv"]).out;
    let scores: Vec<f64> =
        scores.lines().skip(1).map(|l| l.split(',').next_back().unwrap().parse().unwrap()).collect();
    assert!(scores[0] < 0.5 && scores[1] > 0.5, "{scores:?}");
}

#[test]
fn mistakes_in_crosses() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("parity.csv"), parity()).unwrap();
    for (model, more, parts) in [
        ("lr", ["--cross", "a,bb"], ["cross \"a*bb\"", "did you mean \"b\""]),
        ("lr", ["--cross", "a"], ["two or more different columns", "\"a\""]),
        ("dnn", ["--cross", "a,b"], ["crosses: expected a model with a linear part, found dnn", "wide_deep"]),
        (
            "dnn",
            ["--set", "train.linear_optimizer={kind=\"ftrl\",lr=0.1}"],
            ["train.linear_optimizer", "found dnn"],
        ),
        (
            "lr",
            ["--set", "train.linear_optimizer={kind=\"ftrl\",lr=0.0}"],
            ["train.linear_optimizer.lr", "a positive number"],
        ),
        (
            "lr",
            ["--set", "train.table_optimizer={kind=\"ftrl\",lr=0.1,l1=-1}"],
            ["train.table_optimizer.l1", "found -1"],
        ),
    ] {
        let args =
            [&["train", "parity.csv", "--label", "click", "--model", model, "-q", "-o", "out"], &more[..]]
                .concat();
        fails(dir.path(), &args, USAGE, &parts);
    }
}

/// Files hold weights by name: of two that would be called the same one would be lost.
#[test]
fn a_column_called_as_a_weight_of_the_model_is_refused_before_training() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("parity.csv"), parity().replace("click,a,", "click,bias,")).unwrap();
    let args = ["train", "parity.csv", "--label", "click", "--model", "lr", "-q", "-o", "out"];
    fails(dir.path(), &args, USAGE, &["column \"bias\"", "rename it"]);
}

/// Sizes that no memory holds are a message, not a panic.
#[test]
fn sizes_beyond_all_memory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("parity.csv"), parity()).unwrap();
    for (setting, code, part) in [
        ("model.embedding_dim=4611686018427387904", USAGE, "4611686018427387904"),
        ("train.lanes=9223372036854775807", RESOURCES, "train.lanes"),
        ("model.top=[9223372036854775807,32]", USAGE, "9223372036854775807"),
    ] {
        let args = ["train", "parity.csv", "--label", "click", "--set", setting, "-q", "-o", "out"];
        fails(dir.path(), &args, code, &[part]);
    }
}

/// Wide & Deep over two columns, with `linear` for its wide part.
fn wide_deep(linear: Option<TableOptimizer>) -> Learner {
    let feature = |table: usize| Feature::new(format!("f{table}"), table);
    let layout = Layout {
        dense: vec!["x".into()],
        features: (0..2).map(feature).collect(),
        tables: (0..2).map(|t| TableLayout { name: format!("f{t}"), rows: 7 }).collect(),
        ..Layout::default()
    };
    let model =
        ModelConfig::WideDeep(WideDeepConfig { embedding_dim: 3, hidden: vec![4], ..Default::default() });
    let network = Network::new(&model, &layout, 1, Isa::detect()).expect("a network");
    let train = TrainConfig {
        optimizer: DenseOptimizer::Sgd { lr: 0.1, momentum: 0.0, l2: 0.0 },
        table_optimizer: TableOptimizer::Sgd { lr: 0.1, l2: 0.0 },
        linear_optimizer: linear,
        clip_norm: Some(1e9),
        ..TrainConfig::default()
    };
    let optimizer = train.optimizer_of(network.weights());
    Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 4, lanes: 2 }, 1)
        .expect("a pool")
}

fn batch_of(rows: usize) -> Batch {
    let bags = |step: u32| Bags {
        ids: (0..rows as u32).map(|i| i * step % 5).collect(),
        weights: None,
        offsets: (0..=rows as u32).collect(),
    };
    let labels: Vec<f32> = (0..rows).map(|i| f32::from(i % 3 == 0)).collect();
    Batch {
        dense: (0..rows).map(|i| i as f32 * 0.1 - 0.5).collect(),
        bags: vec![bags(1), bags(3)],
        labels,
        ..Batch::default()
    }
}

/// FTRL moves the wide part as its definition says, from the gradients of each step, and nothing else. The
/// rate falls by half from step to step, and each row is one behind by its own last step.
#[test]
fn ftrl_moves_the_wide_part_alone() {
    let (rows, [lr, beta, l1, l2]) = (batch_of(12), [0.5, 1.0, 0.05, 0.01]);
    let mut learner = wide_deep(Some(TableOptimizer::Ftrl { lr, beta, l1, l2 }));
    let mut plain = wide_deep(None);
    let mut want = [[((0.0f64, 0.0, 0.0), lr); 7]; 2];
    let (mut dense, mut last) = ((0.0f64, 0.0, 0.0), lr);
    for step in 0..6 {
        // Every other step leaves some rows out.
        let rows = if step % 2 == 0 { rows.clone() } else { batch_of(4) };
        let mut rates = learner.optimizer().base_rates();
        rates.linear = lr * 0.5f64.powi(step);
        let settings = |last: f64| [rates.linear, last, beta, l1, l2];
        learner.step(&rows, rates).expect("a finite loss");
        plain.step(&rows, plain.optimizer().base_rates()).expect("a finite loss");
        let (weights, gradients) = (learner.network().weights(), learner.gradients());
        let named = |name: &str| {
            weights
                .tensors()
                .into_iter()
                .find(|(n, ..)| n == name)
                .map(|(_, _, v)| v.f32().to_vec())
                .expect("a tensor")
        };
        for (t, want) in want.iter_mut().enumerate() {
            let name = format!("linear.f{t}");
            let table = weights.tables().iter().position(|table| table.name == name).expect("a wide table");
            let found = gradients.rows_of(weights, table, &rows);
            for (row, &g) in found.rows.iter().zip(&found.values) {
                let (state, last) = &mut want[*row as usize];
                *state = reference::ftrl(*state, f64::from(g), settings(*last));
                *last = rates.linear;
            }
            for (row, (&w, (state, _))) in named(&name).iter().zip(want.iter()).enumerate() {
                assert!(
                    (f64::from(w) - state.0).abs() < 1e-6,
                    "step {step}, {name} row {row}: {w} {state:?}"
                );
            }
        }
        let range = weights
            .params()
            .iter()
            .find(|p| p.name == "linear.dense.weight")
            .expect("a wide weight")
            .range
            .clone();
        dense = reference::ftrl(dense, f64::from(gradients.dense()[range][0]), settings(last));
        last = rates.linear;
        assert!((f64::from(named("linear.dense.weight")[0]) - dense.0).abs() < 1e-6);
        if step == 0 {
            // The first gradients are the same, so everything outside the wide part has moved the same.
            for ((name, _, a), (_, _, b)) in
                weights.tensors().into_iter().zip(plain.network().weights().tensors())
            {
                assert_eq!(a.f32() == b.f32(), !name.starts_with("linear."), "{name}");
            }
        }
    }
    assert!(
        want.iter().flatten().any(|(s, _)| s.0 == 0.0 && s.2 > 0.0),
        "l1 keeps some touched weights at zero"
    );
}
