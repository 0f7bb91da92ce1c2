//! Three SGD steps of the tiny DLRM whose values the reference implementation prints in its README.
use dlrm::data::batch::{Bags, Batch, Feature, Layout, TableLayout};
use dlrm::engine::{Learner, Network};
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::nn::{DenseOptimizer, Isa, Loss, Optimizer, Sharding, TableOptimizer};
use serde_json::Value;

fn flat(v: &Value) -> Vec<f32> {
    match v {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().expect("a number") as f32],
    }
}

fn batch(v: &Value) -> Batch {
    let bags = v["bags"].as_array().expect("tables").iter().map(|table| {
        let mut bags = Bags::new();
        for ids in table.as_array().expect("rows") {
            bags.ids.extend(ids.as_array().expect("ids").iter().map(|id| id.as_u64().expect("an id") as u32));
            bags.offsets.push(bags.ids.len() as u32);
        }
        bags
    });
    Batch {
        dense: flat(&v["dense"]),
        bags: bags.collect(),
        labels: flat(&v["labels"]),
        weights: None,
        groups: None,
    }
}

#[test]
fn three_steps_as_the_reference_prints_them() {
    let path = format!("{}/tests/goldens/known_answer.json", env!("CARGO_MANIFEST_DIR"));
    let known: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON");
    let layout = Layout {
        dense: (0..4).map(|i| i.to_string()).collect(),
        features: (0..3).map(|i| Feature::new(i.to_string(), i)).collect(),
        tables: [4, 3, 2]
            .iter()
            .enumerate()
            .map(|(i, &rows)| TableLayout { name: i.to_string(), rows })
            .collect(),
        ..Layout::default()
    };
    let (bottom, top) = (vec![3], vec![4, 2]);
    let config = DlrmConfig { embedding_dim: 2, bottom, top, first_order: false, ..DlrmConfig::default() };
    for isa in Isa::available() {
        let mut network = Network::new(&ModelConfig::Dlrm(config.clone()), &layout, 0, isa).expect("a model");
        for (name, values) in known["initial"].as_object().expect("tensors") {
            network.weights_mut().set(name, &flat(values)).expect("a known tensor");
        }
        network.weights_mut().repack();
        let (dense, tables) = (
            DenseOptimizer::Sgd { lr: 0.01, momentum: 0.0, l2: 0.0 },
            TableOptimizer::Sgd { lr: 0.01, l2: 0.0 },
        );
        let optimizer = Optimizer::new(network.weights(), dense, tables, None);
        let shape = Sharding { shard_rows: 1, lanes: 2 };
        let mut learner =
            Learner::new(network, optimizer, Loss::MseOfProbability, shape, 2).expect("threads");
        let rates = learner.optimizer().base_rates();
        for (values, expected) in
            known["batches"].as_array().expect("batches").iter().zip(flat(&known["losses"]))
        {
            let loss = learner.step(&batch(values), rates).expect("a finite loss");
            let tolerance = known["tolerance"]["loss"].as_f64().expect("a tolerance");
            assert!(
                (loss - f64::from(expected)).abs() <= tolerance,
                "{isa:?}: loss {loss}, expected {expected}"
            );
        }
        let tolerance = known["tolerance"]["parameters"].as_f64().expect("a tolerance");
        for (name, _, values) in learner.network().weights().tensors() {
            for (ours, expected) in values.iter().zip(flat(&known["updated"][&name])) {
                assert!(
                    f64::from((ours - expected).abs()) <= tolerance,
                    "{isa:?}: {name}: {ours}, expected {expected}"
                );
            }
        }
    }
}
