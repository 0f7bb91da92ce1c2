//! Every model of the family against PyTorch (`tests/goldens/make_model_goldens.py`), its published number of
//! parameters, and the traps that such models fall into.
use crate::golden::{batch, close, flat, list, read};
use dlrm::data::batch::{Bags, Batch, Feature, Layout, TableLayout};
use dlrm::engine::{Learner, Network};
use dlrm::models::ModelConfig;
use dlrm::nn::{DenseOptimizer, Isa, L2Rows, Loss, Optimizer, Sharding, TableOptimizer};
use serde_json::{Value, json};

fn feature(name: &str, table: usize, weighted: bool) -> Feature {
    Feature { weighted, ..Feature::new(name, table) }
}

fn layout(v: &Value) -> Layout {
    let tables: Vec<TableLayout> = list(&v["tables"])
        .iter()
        .map(|t| TableLayout {
            name: t["name"].as_str().expect("a name").into(),
            rows: t["rows"].as_u64().expect("rows") as usize,
        })
        .collect();
    let features = list(&v["features"]).iter().map(|f| {
        let table = tables.iter().position(|t| f["table"] == t.name.as_str()).expect("a known table");
        feature(f["name"].as_str().expect("a name"), table, f["weighted"] == true)
    });
    Layout {
        dense: (0..v["dense"].as_u64().expect("dense")).map(|i| i.to_string()).collect(),
        features: features.collect(),
        tables: tables.clone(),
        ..Layout::default()
    }
}

fn model(v: &Value) -> ModelConfig {
    let mut v = v.clone();
    v.as_object_mut().expect("settings").remove("task");
    serde_json::from_value(v).expect("a model")
}

fn learner(case: &Value, isa: Isa) -> Learner {
    let config = model(&case["model"]);
    let mut network = Network::new(&config, &layout(&case["layout"]), 0, isa).expect("a network");
    let initial = case["initial"].as_object().expect("tensors");
    for (name, values) in initial {
        network.weights_mut().set(name, &flat(values)).unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
    }
    let ours: Vec<String> = network.weights().tensors().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(ours.len(), initial.len(), "{}: {ours:?}", case["name"]);
    network.weights_mut().repack();
    let (beta1, beta2, eps) = (0.9, 0.999, 1e-8);
    let (dense, tables) = if case["optimizer"] == "sgd" {
        (DenseOptimizer::Sgd { lr: 0.1, momentum: 0.0, l2: 0.0 }, TableOptimizer::Sgd { lr: 0.1, l2: 1e-3 })
    } else {
        let lr = 0.01;
        (
            DenseOptimizer::Adam { lr, beta1, beta2, eps, l2: 0.0 },
            TableOptimizer::Adam { lr, beta1, beta2, eps, l2: 1e-3 },
        )
    };
    let optimizer = Optimizer::new(network.weights(), dense, tables, None).with_l2_rows(L2Rows::All);
    // Batch normalisation measures shards; PyTorch measures the batch, so there it is one shard.
    let one_shard = case["model"]["norm"] == "batch";
    let shape =
        if one_shard { Sharding { shard_rows: 100, lanes: 1 } } else { Sharding { shard_rows: 2, lanes: 3 } };
    let loss = if case["model"]["task"] == "rating" { Loss::Mse } else { Loss::default() };
    Learner::new(network, optimizer, loss, shape, 2).expect("a pool")
}

#[test]
fn losses_gradients_and_five_steps_of_every_model() {
    let goldens = read("models.json");
    for isa in Isa::available() {
        for case in list(&goldens["cases"]) {
            let name = format!("{} ({})", case["name"].as_str().expect("a name"), isa.level().name());
            let batches: Vec<Batch> = list(&case["batches"]).iter().map(batch).collect();
            let mut learner = learner(case, isa);
            let loss = learner.forward_backward(&batches[0]).unwrap();
            close(&format!("{name} loss"), &[loss as f32], &flat(&case["loss"]));
            if case["model"]["norm"] != "batch" {
                close(
                    &format!("{name} logits"),
                    &learner.logits(&batches[0]).unwrap(),
                    &flat(&case["logits"]),
                );
            }
            gradients(&name, &mut learner, &batches[0], &case["gradients"]);
            let mut learner = self::learner(case, isa);
            let rates = learner.optimizer().base_rates();
            let losses: Vec<f32> =
                batches.iter().map(|b| learner.step(b, rates).expect("a finite loss") as f32).collect();
            close_after_steps(&format!("{name} losses"), &losses, &flat(&case["losses"]));
            for (tensor, _, values) in learner.network().weights().tensors() {
                close_after_steps(&format!("{name} {tensor}"), values.f32(), &flat(&case["final"][&tensor]));
            }
            close_after_steps(
                &format!("{name} inference"),
                &learner.logits(&batches[0]).unwrap(),
                &flat(&case["inference"]),
            );
        }
    }
}

/// Five steps amplify rounding: the fixture's own f32 run stays within 2e-5 of its f64 one.
fn close_after_steps(what: &str, ours: &[f32], golden: &[f32]) {
    assert_eq!(ours.len(), golden.len(), "{what}: length");
    for (i, (&a, &b)) in ours.iter().zip(golden).enumerate() {
        assert!((a - b).abs() <= 2e-5 * b.abs().max(0.1), "{what}[{i}]: {a} against {b}");
    }
}

fn gradients(name: &str, learner: &mut Learner, batch: &Batch, golden: &Value) {
    // A step with learning rate 0 reduces the lanes and changes no parameter.
    let zero = dlrm::nn::optimizer::Rates { dense: 0.0, tables: 0.0, linear: 0.0 };
    learner.step(batch, zero).expect("a finite loss");
    let weights = learner.network().weights();
    for param in weights
        .params()
        .iter()
        .filter(|p| !p.name.ends_with(".norm.mean") && !p.name.ends_with(".norm.variance"))
    {
        let golden = flat(&golden[&param.name]);
        let ours = &learner.gradients().dense()[param.range.clone()];
        if golden.iter().all(|&g| g == 0.0) {
            // A bias before batch normalisation: exactly nothing depends on it.
            assert!(ours.iter().all(|g| g.abs() < 1e-6), "{name} d {}: {ours:?}", param.name);
        } else {
            close(&format!("{name} d {}", param.name), ours, &golden);
        }
    }
    for (t, table) in weights.tables().iter().enumerate() {
        let rows = learner.gradients().rows_of(weights, t, batch);
        let mut values = vec![0.0; table.rows * table.dim];
        for (i, &row) in rows.rows.iter().enumerate() {
            let at = row as usize * table.dim;
            values[at..at + table.dim].copy_from_slice(&rows.values[i * table.dim..(i + 1) * table.dim]);
        }
        close(&format!("{name} d {}", table.name), &values, &flat(&golden[&table.name]));
    }
}

/// Ten one-hot fields with 5,389 rows in all, as Frappe_x1 has in BARS.
fn frappe() -> Layout {
    let rows = [958, 4083, 8, 8, 3, 4, 3, 10, 81, 231];
    assert_eq!(rows.iter().sum::<usize>(), 5389);
    Layout {
        dense: Vec::new(),
        features: (0..10).map(|f| feature(&format!("f{f}"), f, false)).collect(),
        tables: rows
            .iter()
            .enumerate()
            .map(|(t, &rows)| TableLayout { name: format!("t{t}"), rows })
            .collect(),
        ..Layout::default()
    }
}

#[test]
fn numbers_of_parameters_are_the_published_ones() {
    let deep = json!({"embedding_dim": 10, "hidden": [400, 400, 400], "norm": "batch"});
    let with = |kind: &str, more: Value| {
        let mut v = deep.clone();
        let object = v.as_object_mut().expect("an object");
        object.insert("kind".into(), kind.into());
        object.extend(more.as_object().expect("an object").clone());
        v
    };
    // Published results of BARS on Frappe_x1. (Its DNN counts the network twice: 781,892 = 53,890 + 2 ·
    // 364,001.)
    let published = [
        (json!({"kind": "lr"}), 5_390),
        (json!({"kind": "fm", "embedding_dim": 10}), 59_280),
        (with("dnn", json!({})), 781_892 - 364_001),
        (with("wide_deep", json!({})), 423_280),
        (with("deepfm", json!({})), 423_280),
        (with("dcn", json!({"layers": 3})), 418_591),
        (with("dcn", json!({"layers": 6, "hidden": []})), 55_191),
        (with("dcn_v2", json!({"layers": 4})), 458_391),
        (with("dcn_v2", json!({"layers": 4, "hidden": []})), 94_391),
        (with("xdeepfm", json!({"cin": [64]})), 429_809),
        (with("xdeepfm", json!({"cin": [64, 64, 64], "hidden": []})), 147_984),
        (
            json!({
                "kind": "dlrm", "first_order": false, "embedding_dim": 10, "interaction": "cat",
                "top": [400, 400, 400], "norm": "batch",
            }),
            417_891,
        ),
    ];
    for (config, count) in published {
        let layout = frappe();
        let mut builder = dlrm::nn::Builder::new(&layout);
        model(&config).build(&mut builder).expect("a model");
        let (dense, tables) = builder.count();
        assert_eq!(dense + tables, count, "{config}");
    }
}

/// All kinds with small defaults.
fn kinds() -> impl Iterator<Item = ModelConfig> {
    ModelConfig::ABOUT.iter().map(|about| ModelConfig::of_kind(about.kind).expect("a known kind"))
}

fn one_hot(ids: Vec<u32>) -> Bags {
    let offsets = (0..=ids.len() as u32).collect();
    Bags { ids, weights: None, offsets }
}

/// A few steps give finite losses and finite scores.
fn trains(config: &ModelConfig, layout: &Layout, batch: &Batch) {
    let network =
        Network::new(config, layout, 3, Isa::detect()).unwrap_or_else(|e| panic!("{}: {e}", config.kind()));
    let (beta1, beta2, eps, l2) = (0.9, 0.999, 1e-8, 0.0);
    let dense = DenseOptimizer::Adam { lr: 1e-2, beta1, beta2, eps, l2 };
    let optimizer = Optimizer::new(network.weights(), dense, TableOptimizer::Sgd { lr: 0.1, l2: 0.0 }, None);
    let mut learner =
        Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 4, lanes: 2 }, 1)
            .expect("a pool");
    let rates = learner.optimizer().base_rates();
    for _ in 0..3 {
        learner.step(batch, rates).unwrap_or_else(|e| panic!("{}: {e}", config.kind()));
    }
    assert!(learner.logits(batch).unwrap().iter().all(|z| z.is_finite()), "{}", config.kind());
}

#[test]
fn hidden_traps() {
    let big = (1 << 24) + 8;
    let layout = |rows: [usize; 2]| Layout {
        dense: Vec::new(),
        features: vec![feature("user", 0, false), feature("item", 1, false)],
        tables: rows
            .iter()
            .enumerate()
            .map(|(t, &rows)| TableLayout { name: format!("t{t}"), rows })
            .collect(),
        ..Layout::default()
    };
    let batch = |bags: Vec<Bags>, labels: Vec<f32>| Batch {
        dense: Vec::new(),
        bags,
        labels,
        weights: None,
        groups: None,
    };
    for config in kinds() {
        // A batch of one; labels of one class; a feature with one value.
        trains(&config, &layout([5, 1]), &batch(vec![one_hot(vec![4]), one_hot(vec![0])], vec![0.0]));
        // Empty bags.
        let empty = Bags { ids: vec![2], weights: None, offsets: vec![0, 0, 1, 1] };
        trains(&config, &layout([5, 4]), &batch(vec![empty.clone(), empty], vec![0.0; 3]));
    }
    // Ids above 2^24, which f32 cannot tell apart, have rows of their own.
    let ids = layout([big, 3]);
    let config = ModelConfig::of_kind("lr").expect("a known kind");
    let network = Network::new(&config, &ids, 0, Isa::detect()).expect("a network");
    let optimizer = Optimizer::new(
        network.weights(),
        DenseOptimizer::Sgd { lr: 0.0, momentum: 0.0, l2: 0.0 },
        TableOptimizer::Sgd { lr: 1.0, l2: 0.0 },
        None,
    );
    let mut learner =
        Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 4, lanes: 1 }, 1)
            .expect("a pool");
    let id = (1 << 24) + 1;
    let rows = batch(vec![one_hot(vec![id]), one_hot(vec![0])], vec![1.0]);
    learner.step(&rows, learner.optimizer().base_rates()).expect("a finite loss");
    let table = &learner.network().weights().tables()[0].values.view().f32();
    assert!(table[id as usize] > 0.0 && table[id as usize - 1] == 0.0 && table[id as usize + 1] == 0.0);
}

#[test]
fn dropout_batch_norm_and_compression_keep_bits_at_any_thread_count() {
    keeps_bits(
        &json!({"kind": "deepfm", "embedding_dim": 4, "hidden": [9, 7], "norm": "batch", "dropout": 0.3}),
    );
    for operation in ["mult", "add", "concat"] {
        // Three of the tables have more than 200 rows.
        keeps_bits(
            &json!({"kind": "dlrm", "embedding_dim": 5, "quotient_remainder": {"operation": operation}}),
        );
    }
    keeps_bits(&json!({"kind": "dlrm", "embedding_dim": 8, "mixed_dims": {}}));
}

fn keeps_bits(config: &Value) {
    let (layout, config, rows) = (frappe(), model(config), 61);
    let mut rng = dlrm::data::rng::Rng::new(1, 0);
    let multi_hot = |t: &TableLayout| {
        let mut bags = Bags::new();
        for _ in 0..rows {
            // Few ids, so that rows are touched several times.
            bags.ids.extend((0..rng.below(4)).map(|_| rng.below(t.rows.min(40)) as u32));
            bags.offsets.push(bags.ids.len() as u32);
        }
        bags
    };
    let bags = layout.tables.iter().map(multi_hot).collect();
    let batch = Batch {
        dense: Vec::new(),
        bags,
        labels: (0..rows).map(|i| (i % 3 == 0) as u8 as f32).collect(),
        weights: None,
        groups: None,
    };
    let run = |threads| {
        let network = Network::new(&config, &layout, 7, Isa::detect()).expect("a network");
        let tables = TableOptimizer::Adagrad { lr: 0.1, eps: 1e-10, initial_accumulator: 0.0, l2: 0.0 };
        let optimizer = Optimizer::new(
            network.weights(),
            DenseOptimizer::Sgd { lr: 0.1, momentum: 0.9, l2: 0.0 },
            tables,
            Some(1.0),
        );
        let mut learner =
            Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 8, lanes: 4 }, threads)
                .expect("a pool");
        let rates = learner.optimizer().base_rates();
        let losses: Vec<f64> = (0..4).map(|_| learner.step(&batch, rates).expect("a finite loss")).collect();
        let weights: Vec<Vec<u32>> = learner
            .network()
            .weights()
            .tensors()
            .into_iter()
            .map(|(_, _, v)| v.iter().map(|x| x.to_bits()).collect())
            .collect();
        (losses, weights)
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

#[test]
fn tables_that_cannot_be_compressed() {
    let build = |config: Value, layout: &Layout| {
        let error = model(&config).build(&mut dlrm::nn::Builder::new(layout)).err().expect("a mistake");
        error.to_string()
    };
    let plain = frappe();
    for collisions in [0, 1] {
        let found = build(json!({"kind": "dlrm", "quotient_remainder": {"collisions": collisions}}), &plain);
        assert_eq!(
            found,
            format!("model.quotient_remainder.collisions: expected at least 2, found {collisions}")
        );
    }
    let found = build(json!({"kind": "dlrm", "quotient_remainder": {}, "mixed_dims": {}}), &plain);
    assert!(found.contains("one of model.quotient_remainder, model.mixed_dims"), "{found}");
    let found = build(json!({"kind": "dlrm", "mixed_dims": {"temperature": -0.1}}), &plain);
    assert!(found.contains("model.mixed_dims.temperature") && found.contains("-0.1"), "{found}");
    let found = build(json!({"kind": "dlrm", "pooling": "learned", "quotient_remainder": {}}), &plain);
    assert!(found.contains("pooling of feature \"f0\"") && found.contains("found learned"), "{found}");
    let thin = json!({"kind": "dlrm", "embedding_dim": 1, "quotient_remainder": {"operation": "concat"}});
    assert!(build(thin, &plain).contains("embedding_dim of feature \"f0\""));
    let mut clash = frappe();
    clash.tables[2].name = "t0.quotient".into();
    let found = build(json!({"kind": "dlrm", "quotient_remainder": {}}), &clash);
    assert!(found.contains("table tables.t0.quotient"), "{found}");
}

#[test]
fn a_width_of_the_schema_goes_before_compression() {
    let mut layout = frappe();
    layout.features[1].embedding_dim = Some(3);
    let tables = |config: Value| {
        let mut builder = dlrm::nn::Builder::new(&layout);
        model(&config).build(&mut builder).expect("a model");
        builder.tables().iter().take(3).map(|t| (t.name.clone(), t.rows, t.dim)).collect::<Vec<_>>()
    };
    let expected = [("tables.t0.quotient", 240, 16), ("tables.t0.remainder", 4, 16), ("tables.t1", 4083, 3)];
    assert_eq!(
        tables(json!({"kind": "dlrm", "quotient_remainder": {}})),
        expected.map(|(name, r, d)| (name.to_owned(), r, d))
    );
    // 16 · (3 / 958)^0.3 = 2.8, so 3, so 4.
    let expected = [("tables.t0", 958, 4), ("tables.t1", 4083, 3), ("tables.t2", 8, 16)];
    assert_eq!(
        tables(json!({"kind": "dlrm", "mixed_dims": {}})),
        expected.map(|(name, r, d)| (name.to_owned(), r, d))
    );
}
