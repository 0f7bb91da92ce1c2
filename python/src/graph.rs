//! A model as plain data and arrays: its forward pass, which other frameworks can follow, and its weights.
use crate::json;
use crate::model::Model;
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_nn::{Combine, GraphNode, Numbers, Role, SlotRows, SlotSpec, Table, Weights};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use serde_json::{Value, json};

/// A tensor: name, type, shape, and its numbers, the lowest byte first.
type Tensor<'py> = (String, &'static str, Vec<usize>, Bound<'py, PyByteArray>);

/// The operations of one forward pass, and what becomes of its logits.
#[pyfunction]
pub(crate) fn graph<'py>(py: Python<'py>, model: PyRef<'py, Model>) -> PyResult<Bound<'py, PyAny>> {
    let (network, layout) = (model.predictor().network(), model.predictor().encoder().layout());
    let graph = network.graph(&Batch::placeholder(&layout));
    let weights = network.weights();
    let statistics = weights.params().iter().filter(|param| param.role == Role::Statistic);
    let graph = json!({
        "nodes": graph.nodes.iter().map(|node| of_node(node, weights, &layout)).collect::<Vec<_>>(),
        "statistics": statistics.map(|param| &param.name).collect::<Vec<_>>(),
        "shift": network.shift(),
        "calibration": network.calibration(),
    });
    json::to_python(py, &graph)
}

fn of_node(node: &GraphNode, weights: &Weights, layout: &Layout) -> Value {
    let slots = node.slots.iter().map(|slot| of_slot(slot, weights.tables(), layout));
    json!({
        "operation": node.operation,
        "attributes": node.attributes,
        "inputs": node.inputs,
        "width": node.width,
        "parameters": node.parameters,
        "slots": slots.collect::<Vec<_>>(),
    })
}

/// Which ids become which rows of which tables, and how these are pooled.
fn of_slot(slot: &SlotSpec, tables: &[Table], layout: &Layout) -> Value {
    let feature = &layout.features[slot.feature];
    let rows = match slot.rows {
        SlotRows::Whole { table } => {
            let Table { name, row_weights, row_weights_name, .. } = &tables[table];
            json!({"table": name, "row_weights": row_weights.as_ref().map(|_| row_weights_name)})
        }
        SlotRows::Pair { quotient, remainder, collisions, combine } => {
            let combine = match combine {
                Combine::Multiply => "multiply",
                Combine::Add => "add",
                Combine::Concat => "concat",
            };
            let [quotient, remainder] = [quotient, remainder].map(|table| &tables[table].name);
            json!({
                "quotient": quotient,
                "remainder": remainder,
                "collisions": collisions,
                "combine": combine,
            })
        }
    };
    json!({
        "column": feature.name,
        "weighted": feature.weighted,
        "pooling": slot.pooling,
        "dim": slot.dim,
        "rows": rows,
    })
}

/// All weights, copied once.
#[pyfunction]
pub(crate) fn tensors<'py>(py: Python<'py>, model: PyRef<'py, Model>) -> Vec<Tensor<'py>> {
    let tensors = model.predictor().network().weights().tensors();
    let tensor = |(name, shape, numbers): (String, Vec<usize>, Numbers<'_>)| {
        let (kind, bytes) = match numbers {
            Numbers::F32(x) => ("float32", bytemuck::cast_slice(x)),
            Numbers::Bf16(x) => ("bfloat16", bytemuck::cast_slice(x)),
            Numbers::F16(x) => ("float16", bytemuck::cast_slice(x)),
        };
        (name, kind, shape, PyByteArray::new(py, bytes))
    };
    tensors.into_iter().map(tensor).collect()
}
