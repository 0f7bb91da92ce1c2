//! The model and every optimiser against PyTorch (`tests/goldens/make_goldens.py`).
use crate::golden::{batch, close, flat, list, read};
use dlrm::data::batch::{Batch, Feature, Layout, TableLayout};
use dlrm::data::schema::Pooling;
use dlrm::engine::{Learner, Network, Schedule};
use dlrm::models::{DlrmConfig, Interaction, ModelConfig};
use dlrm::nn::optimizer::Rates;
use dlrm::nn::{DenseOptimizer, Isa, Loss, Optimizer, Sharding, TableOptimizer};
use serde_json::Value;

fn usizes(v: &Value) -> Vec<usize> {
    list(v).iter().map(|n| n.as_u64().expect("a count") as usize).collect()
}

fn layout(config: &Value) -> Layout {
    let tables = list(&config["tables"]);
    let dim = |t: usize| tables[t]["dim"].as_u64().expect("dim") as usize;
    let feature = |(f, spec): (usize, &Value)| {
        let table = spec["table"].as_u64().expect("table") as usize;
        let pooling = match spec["pooling"].as_str().expect("pooling") {
            "mean" => Pooling::Mean,
            "learned" => Pooling::Learned,
            _ => Pooling::Sum,
        };
        let weighted = spec["pooling"] == "weighted";
        Feature {
            weighted,
            embedding_dim: Some(dim(table)),
            pooling: Some(pooling),
            ..Feature::new(f.to_string(), table)
        }
    };
    Layout {
        dense: (0..config["dense"].as_u64().expect("dense")).map(|i| i.to_string()).collect(),
        features: list(&config["features"]).iter().enumerate().map(feature).collect(),
        tables: tables
            .iter()
            .enumerate()
            .map(|(t, spec)| TableLayout {
                name: t.to_string(),
                rows: spec["rows"].as_u64().expect("rows") as usize,
            })
            .collect(),
        ..Layout::default()
    }
}

fn model(config: &Value) -> ModelConfig {
    let hidden = |v: &Value| {
        let mut widths = usizes(v);
        widths.pop();
        widths
    };
    ModelConfig::Dlrm(DlrmConfig {
        first_order: false,
        embedding_dim: config["embedding_dim"].as_u64().expect("dim") as usize,
        bottom: hidden(&config["bottom"]),
        top: hidden(&config["top"]),
        interaction: match config["interaction"].as_str().expect("interaction") {
            "dot" => Interaction::Dot,
            "dot_self" => Interaction::DotSelf,
            _ => Interaction::Cat,
        },
        ..DlrmConfig::default()
    })
}

fn network(config: &Value, initial: &Value, isa: Isa) -> Network {
    let mut network = Network::new(&model(config), &layout(config), 0, isa).expect("a model");
    let weights = network.weights_mut();
    for (name, values) in initial.as_object().expect("tensors") {
        let ours = if name.starts_with("project.") { format!("{name}.weight") } else { name.clone() };
        weights.set(&ours, &flat(values)).expect("a known tensor");
    }
    assert_eq!(weights.tensors().len(), initial.as_object().expect("tensors").len(), "every tensor is set");
    weights.repack();
    network
}

/// The fixture calls a projection `project.f`, we call its weight `project.f.weight`.
fn golden_name(ours: &str) -> &str {
    ours.strip_suffix(".weight").filter(|name| name.starts_with("project.")).unwrap_or(ours)
}

fn learner(config: &Value, case: &Value, initial: &Value, isa: Isa) -> Learner {
    let network = network(config, initial, isa);
    let optimizer = |v: &Value| {
        let mut v = v.clone();
        // One name for "λ·w added to the gradient" on our side.
        if v["kind"] == "sgd"
            && let Some(decay) = v.as_object_mut().expect("settings").remove("weight_decay")
        {
            v["l2"] = decay;
        }
        v
    };
    let dense: DenseOptimizer =
        serde_json::from_value(optimizer(&case["dense_optimizer"])).expect("dense optimizer");
    let tables: TableOptimizer =
        serde_json::from_value(case["table_optimizer"].clone()).expect("table optimizer");
    let optimizer = Optimizer::new(network.weights(), dense, tables, case["clip_norm"].as_f64());
    // Odd shards, so that the reduction over lanes is exercised.
    Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 2, lanes: 3 }, 2)
        .expect("a pool")
}

#[test]
fn logits_loss_and_every_gradient() {
    let goldens = read("dlrm.json");
    for isa in Isa::available() {
        for case in list(&goldens["cases"]) {
            let name = format!("{} ({})", case["name"], isa.level().name());
            let (config, batch) = (&case["config"], batch(&case["batch"]));
            let sgd = serde_json::json!({"kind": "sgd", "lr": 0.1});
            let sgd = serde_json::json!({"dense_optimizer": sgd, "table_optimizer": sgd});
            let mut learner = learner(config, &sgd, &case["initial"], isa);
            close(&format!("{name} logits"), &learner.logits(&batch).unwrap(), &flat(&case["logits"]));
            let loss = learner.forward_backward(&batch).unwrap();
            close(&format!("{name} loss"), &[loss as f32], &flat(&case["loss"]));
            check_gradients(&name, &mut learner, &batch, &case["gradients"]);
        }
    }
}

fn check_gradients(name: &str, learner: &mut Learner, batch: &Batch, golden: &Value) {
    // A step with learning rate 0 reduces the lanes and changes nothing.
    learner.step(batch, Rates { dense: 0.0, tables: 0.0, linear: 0.0 }).expect("a finite loss");
    let weights = learner.network().weights();
    for param in weights.params() {
        close(
            &format!("{name} d {}", param.name),
            &learner.gradients().dense()[param.range.clone()],
            &flat(&golden[golden_name(&param.name)]),
        );
    }
    for (t, table) in weights.tables().iter().enumerate() {
        let rows = learner.gradients().rows_of(weights, t, batch);
        let (mut values, mut row_weights) = (vec![0.0; table.rows * table.dim], vec![0.0; table.rows]);
        for (i, &row) in rows.rows.iter().enumerate() {
            let row = row as usize;
            values[row * table.dim..(row + 1) * table.dim]
                .copy_from_slice(&rows.values[i * table.dim..(i + 1) * table.dim]);
            if table.row_weights.is_some() {
                row_weights[row] = rows.row_weights[i];
            }
        }
        close(&format!("{name} d {}", table.name), &values, &flat(&golden[&table.name]));
        if table.row_weights.is_some() {
            close(
                &format!("{name} d row weights {t}"),
                &row_weights,
                &flat(&golden[&table.row_weights_name]),
            );
        }
    }
}

#[test]
fn ten_steps_of_every_optimizer() {
    let goldens = read("optimizers.json");
    let batches: Vec<Batch> = list(&goldens["batches"]).iter().map(batch).collect();
    for isa in Isa::available() {
        for case in list(&goldens["cases"]) {
            let name = format!("{} ({})", case["name"], isa.level().name());
            let mut learner = learner(&goldens["config"], case, &goldens["initial"], isa);
            let schedule: Schedule = match &case["schedule"] {
                Value::Null => Schedule::Constant,
                settings => serde_json::from_value(settings.clone()).expect("a schedule"),
            };
            let base = learner.optimizer().base_rates();
            let mut losses = Vec::new();
            for (batch, step) in batches.iter().zip(1..) {
                let rates = Rates {
                    dense: schedule.rate(base.dense, step),
                    tables: schedule.rate(base.tables, step),
                    linear: 0.0,
                };
                if let Some(lrs) = case.get("lrs") {
                    close(&format!("{name} lr"), &[rates.dense as f32], &flat(&lrs[step as usize - 1]));
                }
                losses.push(learner.step(batch, rates).expect("a finite loss") as f32);
            }
            close(&format!("{name} losses"), &losses, &flat(&case["losses"]));
            for (tensor, _, values) in learner.network().weights().tensors() {
                close(&format!("{name} {tensor}"), values.f32(), &flat(&case["final"][&tensor]));
            }
        }
    }
}

#[test]
fn losses_and_their_gradients() {
    for (i, case) in list(&read("dlrm.json")["losses"]).iter().enumerate() {
        let loss = match case["kind"].as_str().expect("kind") {
            "bce" => Loss::Bce { positive_weight: case["positive_weight"].as_f64().expect("weight") },
            _ => Loss::Mse,
        };
        let (logits, labels, weights) =
            (flat(&case["logits"]), flat(&case["labels"]), flat(&case["weights"]));
        let mut gradient = vec![0.0; logits.len()];
        let total = loss.forward_backward(&mut gradient, &logits, &labels, Some(&weights), logits.len());
        close(&format!("loss {i}"), &[total as f32], &flat(&case["loss"]));
        close(&format!("loss gradient {i}"), &gradient, &flat(&case["gradient"]));
    }
}
