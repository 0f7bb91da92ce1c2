//! A model's graph: what one recorded forward pass consists of, as plain data. What a model costs, its
//! picture, the time of a step by operator and exports read it; no model states any of them.
use crate::slot::SlotSpec;
use serde::Serialize;
use std::collections::BTreeMap;

/// Multiply-adds per row. Element-wise operations count one per element, copies none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Cost {
    /// Of the forward pass.
    pub forward: f64,
    /// Of forward and backward pass (without the optimiser).
    pub training: f64,
}

/// A setting of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Attribute {
    /// A number of columns, blocks, fields or the like.
    Count(usize),
    /// A rate.
    Number(f32),
    /// A choice by name.
    Name(&'static str),
}

/// One recorded operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct GraphNode {
    /// Its name, as in [`crate::Tape`]'s methods.
    pub operation: &'static str,
    /// Settings that are not in the widths.
    pub attributes: BTreeMap<&'static str, Attribute>,
    /// Numbers of the nodes that it reads.
    pub inputs: Vec<usize>,
    /// Columns of the result.
    pub width: usize,
    /// Dotted names of the parameters and tables that it reads.
    pub parameters: Vec<String>,
    /// Where the vectors of pooled embeddings come from, side by side.
    #[serde(skip)]
    pub slots: Vec<SlotSpec>,
    /// Multiply-adds per row.
    pub cost: Cost,
}

impl GraphNode {
    /// Its parameters in a word, for people: the first one, which is the weight of a layer, or how many
    /// tables.
    pub fn parameter(&self) -> Option<String> {
        match &self.parameters[..] {
            [only] => Some(only.clone()),
            tables if self.operation == EMBEDDINGS => Some(format!("{} tables", tables.len())),
            parameters => parameters.first().cloned(),
        }
    }
}

/// What an operation that pools rows of tables is called.
pub const EMBEDDINGS: &str = "embeddings";

/// The operations of one forward pass, in the order of recording: each reads only what stands before it, and
/// the last one gives the logits.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Graph {
    /// In order.
    pub nodes: Vec<GraphNode>,
}

impl Graph {
    /// Multiply-adds per row of the whole model.
    pub fn cost(&self) -> Cost {
        Cost {
            forward: self.nodes.iter().map(|node| node.cost.forward).sum(),
            training: self.nodes.iter().map(|node| node.cost.training).sum(),
        }
    }
}
