//! Shapley values of models with random weights: exact where that is claimed, near the definition elsewhere,
//! and always the whole of a logit.
use dlrm_data::parse::Labels;
use dlrm_data::rng::Rng;
use dlrm_data::{Batch, Encoder};
use dlrm_engine::explain::{Column, ColumnKind, Explained, Explainer, Orders, columns, orders};
use dlrm_engine::row_scorer::RowScorer;
use dlrm_engine::{Network, Parallel, Workspace, learner};
use dlrm_models::ModelConfig;
use dlrm_nn::{Isa, TablePrecision};
use serde_json::{Value, json};

/// Two dense columns (one of them five inputs), a vocabulary, hashed values, a bag of values.
fn encoder(crosses: Value) -> Encoder {
    let scale = json!({
        "transform": "piecewise_linear", "clip": null, "mean": 3.0, "deviation": 2.5, "missing": 0.25,
        "indicator": true,
        "pieces": {"edges": [0.0, 3.0, 6.0, 9.0], "means": [0.5, 0.4, 0.3], "deviations": [1.0, 0.5, 2.0]}
    });
    let plain = json!({
        "transform": "log1p", "clip": null, "mean": 0.0, "deviation": 1.0, "missing": 0.5, "indicator": false
    });
    let encoder = json!({
        "schema": {
            "label": {"column": "click"},
            "dense": [
                {"name": "price", "transform": "piecewise_linear", "missing_indicator": true},
                {"name": "age", "transform": "log1p", "missing_value": 0.5}
            ],
            "categorical": [
                {"name": "user"},
                {"name": "item", "encoding": {"kind": "hash", "buckets": 20}},
                {"name": "tags", "multi": {"separator": "|", "weight_separator": ":"}},
            ],
            "crosses": crosses,
        },
        "dense": [scale, plain],
        "vocabularies": {"user": ["anna", "bert"], "tags": ["x", "yy", "zzz"]}
    });
    serde_json::from_value(encoder).expect("an encoder")
}

const FIELDS: [&str; 5] = ["price", "age", "user", "item", "tags"];

/// Rows of text; a row is one choice for each column.
fn texts(count: usize) -> Vec<[String; 5]> {
    let mut rng = Rng::new(5, 0);
    let mut row = || {
        let price = if rng.below(4) == 0 { String::new() } else { format!("{:.2}", 9.0 * rng.uniform()) };
        let user = ["anna", "bert", "new", ""][rng.below(4)].to_owned();
        let tags = ["x", "yy:0.5|zzz:2", "", "zzz:-1|x"][rng.below(4)].to_owned();
        [price, rng.below(60).to_string(), user, format!("item {}", rng.below(30)), tags]
    };
    (0..count).map(|_| row()).collect()
}

fn network(kind: &str, encoder: &Encoder) -> Network {
    let config = ModelConfig::of_kind(kind).expect("a kind");
    let mut network = Network::with_tables(&config, &encoder.layout(), TablePrecision::F32, 7, Isa::detect())
        .expect("a model");
    let mut rng = Rng::new(11, 0);
    let names: Vec<(String, usize)> =
        network.weights().tensors().into_iter().map(|(name, _, values)| (name, values.len())).collect();
    for (name, len) in names {
        let values: Vec<f32> = (0..len).map(|_| 0.4 * rng.normal() as f32).collect();
        network.weights_mut().set(&name, &values).expect("its own tensor");
    }
    network.weights_mut().repack();
    network
}

fn encoded(encoder: &Encoder, network: &Network, texts: &[[String; 5]]) -> Batch {
    let columns = FIELDS.map(str::to_owned);
    let mut scorer = RowScorer::new(encoder, network, &columns, Labels::Ignored, "rows").expect("columns");
    for row in texts {
        scorer.push(row.iter().map(String::as_str)).expect("a good row");
    }
    scorer.encode().clone()
}

fn score(network: &Network, batch: &Batch) -> Vec<f32> {
    let mut logits = vec![0.0; batch.len()];
    network.logits(batch, &mut logits, &mut Workspace::new(), Parallel::Single);
    logits
}

/// By the definition, over all subsets of the columns, whose rows are mixed as text.
fn by_subsets(
    encoder: &Encoder,
    network: &Network,
    row: &[String; 5],
    background: &[[String; 5]],
) -> [f64; 5] {
    const N: usize = FIELDS.len();
    let mixed: Vec<[String; 5]> = background
        .iter()
        .flat_map(|z| {
            (0..1 << N).map(move |set: usize| {
                std::array::from_fn(|i| if set >> i & 1 == 1 { row[i].clone() } else { z[i].clone() })
            })
        })
        .collect();
    let logits = score(network, &encoded(encoder, network, &mixed));
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    std::array::from_fn(|i| {
        let mut value = 0.0;
        for logits in logits.chunks(1 << N) {
            for set in (0..1usize << N).filter(|set| set >> i & 1 == 0) {
                let size = set.count_ones() as usize;
                let weight = factorial(size) * factorial(N - size - 1) / factorial(N);
                value += weight * (f64::from(logits[set | 1 << i]) - f64::from(logits[set]));
            }
        }
        value / background.len() as f64
    })
}

fn explain(
    network: &Network,
    columns: &[Column],
    rows: &Batch,
    background: &Batch,
    orders: Orders,
) -> Explained {
    let mut score = |batch: &Batch| score(network, batch);
    Explainer::new(columns, background, orders, &mut score).explain((rows, 0), 1, &mut score)
}

#[test]
fn exact_values_are_those_of_the_definition() {
    let encoder = encoder(json!([]));
    let texts = texts(8);
    let columns = columns(&encoder);
    assert_eq!(columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), FIELDS);
    assert_eq!((&columns[0].dense, &columns[1].dense), (&vec![0, 1, 2, 3, 4], &vec![5]), "bins, indicator");
    for kind in ["lr", "fm", "mf", "ffm", "dlrm"] {
        let network = network(kind, &encoder);
        let rows = encoded(&encoder, &network, &texts[..1]);
        let background = encoded(&encoder, &network, &texts[1..]);
        let expected = by_subsets(&encoder, &network, &texts[0], &texts[1..]);
        let config = ModelConfig::of_kind(kind).expect("a kind");
        let (many, tolerance) = match orders(&network, &config, 2000, 3) {
            Orders::One => (Orders::One, 1e-5),
            random => (random, 0.03),
        };
        assert_eq!(many == Orders::One, kind != "dlrm", "{kind}");
        let found = explain(&network, &columns, &rows, &background, many);
        let size = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert!(size > 0.05, "{kind}: {expected:?}");
        for (ours, expected) in found.values.iter().zip(expected) {
            assert!((ours - expected).abs() < tolerance * size.max(1.0), "{kind}: {ours} for {expected}");
        }
    }
}

#[test]
fn values_of_a_linear_model_are_weight_times_distance_from_the_mean() {
    let encoder = encoder(json!([]));
    let (texts, network) = (texts(30), network("lr", &encoder));
    let (rows, background) =
        (encoded(&encoder, &network, &texts[..1]), encoded(&encoder, &network, &texts[1..]));
    let found = explain(&network, &columns(&encoder), &rows, &background, Orders::One);
    let tensors = network.weights().tensors();
    let (.., weights) = tensors.iter().find(|(name, ..)| name == "linear.dense.weight").expect("weights");
    let weights: Vec<f64> = weights.iter().map(f64::from).collect();
    let mean = |input: usize| {
        background.dense.chunks(6).map(|row| f64::from(row[input])).sum::<f64>() / background.len() as f64
    };
    let of = |input: usize| weights[input] * (f64::from(rows.dense[input]) - mean(input));
    assert!((found.values[0] - (0..5).map(of).sum::<f64>()).abs() < 1e-5, "price with its bins");
    assert!((found.values[1] - of(5)).abs() < 1e-5, "age");
    // One random order or another gives the same, as for every model of pairs.
    for seed in 0..3 {
        let orders = Orders::Random { orders: 1, seed };
        let again = explain(&network, &columns(&encoder), &rows, &background, orders);
        assert!(again.values.iter().zip(&found.values).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn base_and_values_add_up_to_the_logit_of_every_model() {
    let encoder = encoder(json!([{"columns": ["user", "tags"], "buckets": 40}]));
    let texts = texts(20);
    let columns = columns(&encoder);
    assert_eq!(columns.last().map(|c| (c.kind, &c.bags)), Some((ColumnKind::Cross, &vec![3])));
    assert_eq!(columns[2].crosses, [3], "a cross moves with its columns when they are shuffled");
    let pool = learner::pool(3).expect("threads");
    for about in ModelConfig::ABOUT {
        let network = network(about.kind, &encoder);
        let (rows, background) =
            (encoded(&encoder, &network, &texts[..1]), encoded(&encoder, &network, &texts[1..]));
        let config = ModelConfig::of_kind(about.kind).expect("a kind");
        let found = explain(&network, &columns, &rows, &background, orders(&network, &config, 2, 1));
        let sum = found.base + found.values.iter().sum::<f64>();
        assert!((sum - found.logit).abs() < 1e-6 * (1.0 + found.logit.abs()), "{}: {found:?}", about.kind);
        assert_eq!(found.logit as f32, score(&network, &rows)[0], "{}", about.kind);
        let mut shared = |batch: &Batch| {
            let mut logits = vec![0.0; batch.len()];
            network.logits(batch, &mut logits, &mut Workspace::new(), Parallel::Pool(&pool));
            logits
        };
        let explainer = Explainer::new(&columns, &background, orders(&network, &config, 2, 1), &mut shared);
        assert_eq!(explainer.explain((&rows, 0), 1, &mut shared), found, "{}: on three threads", about.kind);
    }
}
