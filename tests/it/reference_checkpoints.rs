//! Models of checkpoints of the reference implementation score as PyTorch does
//! (`tests/goldens/make_goldens.py`), from raw rows on.
use crate::golden::{batch, close, flat, list, read};
use dlrm::data::Batch;
use dlrm::engine::reference::{self, IdsPerRow, ReferenceColumns, ReferenceShape, ReferenceTensor};
use dlrm::engine::{Parallel, Predictor, Workspace};
use dlrm::models::Interaction;
use dlrm::nn::Isa;
use serde_json::Value;
use std::collections::BTreeMap;

/// Names and numbers of a case as a checkpoint has them.
fn checkpoint(initial: &Value) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let tensor = |(name, values): (&String, &Value)| {
        let words: Vec<&str> = name.split('.').collect();
        let place = |layer: &str| 2 * layer.parse::<usize>().expect("a number");
        let theirs = match words[..] {
            ["tables", table] => format!("emb_l.{table}.weight"),
            ["bottom", layer, part] => format!("bot_l.{}.{part}", place(layer)),
            ["top", layer, part] => format!("top_l.{}.{part}", place(layer)),
            _ => unreachable!("{name} is in no plain network"),
        };
        let rows = list(values);
        let shape = match rows[0].as_array() {
            Some(columns) => vec![rows.len(), columns.len()],
            None => vec![rows.len()],
        };
        (theirs, (shape, flat(values)))
    };
    initial.as_object().expect("tensors").iter().map(tensor).collect()
}

/// The fields of a row as text.
fn fields(batch: &Batch, row: usize, dense: usize) -> Vec<String> {
    let numbers = batch.dense[row * dense..(row + 1) * dense].iter().map(f32::to_string);
    let ids = batch.bags.iter().map(|bags| {
        let ids = &bags.ids[bags.offsets[row] as usize..bags.offsets[row + 1] as usize];
        ids.iter().map(u32::to_string).collect::<Vec<_>>().join("|")
    });
    numbers.chain(ids).collect()
}

#[test]
fn scores_are_those_of_the_reference() {
    let (goldens, mut compared) = (read("dlrm.json"), 0);
    for case in list(&goldens["cases"]) {
        let (config, name) = (&case["config"], case["name"].as_str().expect("a name"));
        if !["one_hot", "multi_hot"].iter().any(|plain| name.ends_with(plain)) {
            continue;
        }
        let tensors = checkpoint(&case["initial"]);
        let about = tensors.iter().map(|(name, (shape, _))| ReferenceTensor {
            name: name.clone(),
            dtype: "float32".into(),
            shape: shape.clone(),
        });
        let interaction = match config["interaction"].as_str().expect("an interaction") {
            "dot" => Interaction::Dot,
            "dot_self" => Interaction::DotSelf,
            _ => Interaction::Cat,
        };
        let shape = ReferenceShape::of(&about.collect::<Vec<_>>(), Some(interaction)).expect("a network");
        let columns = ReferenceColumns {
            dense: (0..shape.dense).map(|i| format!("x{i}")).collect(),
            categorical: (0..shape.rows.len()).map(|i| format!("c{i}")).collect(),
            label: "click".into(),
            ids: if name.ends_with("one_hot") { IdsPerRow::One } else { IdsPerRow::Any },
        };
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("model");
        reference::save(&shape, &columns, &place, Isa::detect(), &mut |name, first, values| {
            values.copy_from_slice(&tensors[name].1[first..first + values.len()]);
            Ok(())
        })
        .expect("a model");
        let (model, batch) =
            (Predictor::load(&place, Isa::detect()).expect("a model"), batch(&case["batch"]));
        let names: Vec<String> = columns.dense.iter().chain(&columns.categorical).cloned().collect();
        let mut scorer = model.row_scorer(&names).expect("its columns");
        for row in 0..batch.len() {
            let fields = fields(&batch, row, shape.dense);
            scorer.push(fields.iter().map(String::as_str)).expect("a row");
        }
        let mut logits = Vec::new();
        scorer.score(&mut Workspace::new(), Parallel::Single, &mut logits);
        close(&format!("{name} logits"), &logits, &flat(&case["logits"]));
        compared += 1;
    }
    assert_eq!(compared, 6, "dot, with self and cat, with single ids and with bags");
}
