//! Reading the fixtures of `tests/goldens` and comparing with them.
use dlrm::data::batch::{Bags, Batch};
use serde_json::Value;

const RELATIVE: f64 = 1e-5;

pub(crate) fn read(name: &str) -> Value {
    let path = format!("{}/tests/goldens/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

pub(crate) fn list(v: &Value) -> &[Value] {
    v.as_array().expect("a list")
}

/// All numbers below `v`, row-major.
pub(crate) fn flat(v: &Value) -> Vec<f32> {
    match v {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Number(n) => vec![n.to_string().parse().expect("a number")],
        other => panic!("{other} in a tensor"),
    }
}

pub(crate) fn batch(v: &Value) -> Batch {
    let bags = list(&v["bags"]).iter().enumerate().map(|(f, rows)| {
        let weights = v["weights"].get(f).filter(|w| !w.is_null());
        let mut bags = if weights.is_some() { Bags::weighted() } else { Bags::new() };
        for (b, ids) in list(rows).iter().enumerate() {
            bags.ids.extend(list(ids).iter().map(|id| id.as_u64().expect("an id") as u32));
            if let (Some(all), Some(own)) = (weights, &mut bags.weights) {
                own.extend(flat(&all[b]));
            }
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

/// Relative to the larger of the value and a tenth of the tensor's largest.
pub(crate) fn close(what: &str, ours: &[f32], golden: &[f32]) {
    assert_eq!(ours.len(), golden.len(), "{what}: length");
    let scale = golden.iter().fold(0.0f64, |m, g| m.max(f64::from(g.abs())));
    for (i, (&a, &b)) in ours.iter().zip(golden).enumerate() {
        let (a, b) = (f64::from(a), f64::from(b));
        let allowed = RELATIVE * b.abs().max(0.1 * scale).max(1e-6);
        assert!((a - b).abs() <= allowed, "{what}[{i}]: {a} against {b}, off by {:.1e}", (a - b).abs());
    }
}
