//! What each operation of a recorded forward pass is in ONNX: one function for each, named as the operation.
//! B rows; every value is [B, width].
use crate::bags::BagInputs;
use crate::error::{Error, Result};
use crate::graph::{GraphBuilder, Value};
use crate::port::{Dim, ElementType, Port};
use dlrm_data::batch::Layout;
use dlrm_nn::{Attribute, EMBEDDINGS, Graph, GraphNode, Numbers, Weights};
use std::collections::HashMap;

/// A forward pass that becomes ONNX.
pub(crate) struct ForwardPass<'a> {
    pub(crate) graph: GraphBuilder<'a>,
    weights: &'a Weights,
    tensors: HashMap<String, (Vec<usize>, Numbers<'a>)>,
    bags: BagInputs,
    /// The name and the columns of each value so far; a value without columns has no name.
    values: Vec<(Option<String>, usize)>,
}

/// The name of the dense inputs.
pub(crate) const DENSE: &str = "dense";

impl<'a> ForwardPass<'a> {
    /// With these weights, and the ids of `bags`.
    pub(crate) fn new(graph: GraphBuilder<'a>, weights: &'a Weights, bags: BagInputs) -> Self {
        let tensors = weights.tensors().into_iter().map(|(name, shape, x)| (name, (shape, x))).collect();
        ForwardPass { graph, weights, tensors, bags, values: Vec::new() }
    }

    /// Adds all operations; returns the name of the last value, the logits [B, 1].
    ///
    /// # Errors
    /// If an operation is not known here.
    pub(crate) fn record(&mut self, recorded: &Graph, layout: &Layout) -> Result<String> {
        for node in &recorded.nodes {
            let name = if node.width == 0 { None } else { Some(self.operation(node, layout)?) };
            self.values.push((name, node.width));
        }
        let last = self.values.last().and_then(|(name, _)| name.clone());
        Ok(last.expect("a model has an output"))
    }

    fn operation(&mut self, node: &GraphNode, layout: &Layout) -> Result<String> {
        Ok(match node.operation {
            "dense inputs" => self.dense_inputs(layout),
            EMBEDDINGS => self.embeddings(node),
            "linear" => self.linear(node),
            "concat" => self.concat(node),
            "slice" => self.slice(node),
            "add" => self.element_wise("Add", node),
            "product" | "scale rows" => self.element_wise("Mul", node),
            "bias" => self.bias(node),
            "sum" => self.sum(node),
            "dot interaction" => self.dot_interaction(node),
            "second order" => self.second_order(node),
            "field-aware" => self.field_aware(node),
            "outer product" => self.outer_product(node),
            "transpose" => self.transpose(node),
            "dense vectors" => self.dense_vectors(node),
            "softmax" => self.softmax(node),
            "activation" => return self.activation(node),
            "prelu" => self.prelu(node),
            "layer norm" => self.norm("LayerNormalization", node),
            "batch norm" => self.norm("BatchNormalization", node),
            // It drops nothing where rows are scored.
            "dropout" => self.input(node, 0),
            other => return Err(Error::Operation { operation: other.to_owned() }),
        })
    }

    /// The value that an operation reads.
    fn input(&self, node: &GraphNode, place: usize) -> String {
        let (name, _) = &self.values[node.inputs[place]];
        name.clone().expect("only concat reads values without columns")
    }

    fn input_width(&self, node: &GraphNode, place: usize) -> i64 {
        self.values[node.inputs[place]].1 as i64
    }

    /// A parameter of the model.
    fn parameter(&mut self, name: &str) -> String {
        let (shape, numbers) = &self.tensors[name];
        self.graph.weights(name, shape, *numbers)
    }

    fn parameters(&mut self, node: &GraphNode) -> Vec<String> {
        node.parameters.iter().map(|name| self.parameter(name)).collect()
    }

    fn dense_inputs(&mut self, layout: &Layout) -> String {
        self.graph.input(Port {
            name: DENSE.into(),
            element_type: ElementType::Float32,
            shape: vec![Dim::batch(), Dim::Fixed(layout.dense.len())],
            about: format!("encoded numbers: {}", layout.dense.join(", ")),
        })
    }

    /// Pooled vectors side by side.
    fn embeddings(&mut self, node: &GraphNode) -> String {
        let (tables, tensors) = (self.weights.tables(), &self.tensors);
        let pooled: Vec<String> = node
            .slots
            .iter()
            .map(|slot| {
                self.bags.pooled(&mut self.graph, slot, |graph, table, what| {
                    let name = what.name(&tables[table])?;
                    let (shape, numbers) = &tensors[name];
                    Some((graph.weights(name, shape, *numbers), *numbers))
                })
            })
            .collect();
        self.joined(&pooled)
    }

    /// Values side by side.
    fn joined(&mut self, parts: &[String]) -> String {
        match parts {
            [only] => only.clone(),
            parts => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.graph.node_with("Concat", &parts, &[("axis", Value::Int(1))])
            }
        }
    }

    fn concat(&mut self, node: &GraphNode) -> String {
        let parts: Vec<String> = node.inputs.iter().filter_map(|&x| self.values[x].0.clone()).collect();
        self.joined(&parts)
    }

    /// act(x Wᵀ + b), where several blocks of columns may share the layer.
    fn linear(&mut self, node: &GraphNode) -> String {
        let (x, blocks) = (self.input(node, 0), count(node, "blocks"));
        let parameters = self.parameters(node);
        let x = if blocks == 1 {
            x
        } else {
            let inputs = self.input_width(node, 0) / blocks;
            self.graph.reshape(&x, &[-1, inputs])
        };
        let mut inputs = vec![x.as_str()];
        inputs.extend(parameters.iter().map(String::as_str));
        let mut y = self.graph.node_with("Gemm", &inputs, &[("transB", Value::Int(1))]);
        if node.attributes.get("activation") == Some(&Attribute::Name("relu")) {
            y = self.graph.node("Relu", &[&y]);
        }
        if blocks == 1 { y } else { self.graph.reshape(&y, &[-1, node.width as i64]) }
    }

    fn slice(&mut self, node: &GraphNode) -> String {
        let (x, first) = (self.input(node, 0), count(node, "first column"));
        let (start, end) = (self.graph.ints(&[first]), self.graph.ints(&[first + node.width as i64]));
        let axis = self.graph.ints(&[1]);
        self.graph.node("Slice", &[&x, &start, &end, &axis])
    }

    fn element_wise(&mut self, operator: &str, node: &GraphNode) -> String {
        let (a, b) = (self.input(node, 0), self.input(node, 1));
        self.graph.node(operator, &[&a, &b])
    }

    fn bias(&mut self, node: &GraphNode) -> String {
        let (x, bias) = (self.input(node, 0), self.parameters(node));
        self.graph.node("Add", &[&x, &bias[0]])
    }

    /// Over blocks of columns; without blocks, over all columns.
    fn sum(&mut self, node: &GraphNode) -> String {
        let (x, n) = (self.input(node, 0), node.width as i64);
        let blocks = self.input_width(node, 0) / n;
        let x = self.graph.reshape(&x, &[0, blocks, n]);
        self.graph.sum(&x, &[1])
    }

    /// x [B, F, D] and its transpose; all products of two vectors, of which the pairs are taken in their
    /// order.
    fn dot_interaction(&mut self, node: &GraphNode) -> String {
        let (x, fields) = (self.input(node, 0), count(node, "fields"));
        let dim = self.input_width(node, 0) / fields;
        let own = i64::from(node.attributes.get("pairs") == Some(&Attribute::Name("with self")));
        let vectors = self.graph.reshape(&x, &[0, fields, dim]);
        let turned = self.graph.node_with("Transpose", &[&vectors], &[("perm", Value::Ints(&[0, 2, 1]))]);
        let products = self.graph.node("MatMul", &[&vectors, &turned]); // [B, F, F]
        let flat = self.graph.reshape(&products, &[0, fields * fields]);
        let pairs: Vec<i64> = (0..fields).flat_map(|i| (0..i + own).map(move |j| i * fields + j)).collect();
        let pairs = self.graph.ints(&pairs);
        self.graph.node_with("Gather", &[&flat, &pairs], &[("axis", Value::Int(1))])
    }

    /// ((Σ v)² - Σ v²) / 2
    fn second_order(&mut self, node: &GraphNode) -> String {
        let (x, fields) = (self.input(node, 0), count(node, "fields"));
        let vectors = self.graph.reshape(&x, &[0, fields, node.width as i64]);
        let sum = self.graph.sum(&vectors, &[1]);
        let square_of_sum = self.graph.node("Mul", &[&sum, &sum]);
        let squares = self.graph.node("Mul", &[&vectors, &vectors]);
        let sum_of_squares = self.graph.sum(&squares, &[1]);
        let twice = self.graph.node("Sub", &[&square_of_sum, &sum_of_squares]);
        let half = self.graph.float(0.5);
        self.graph.node("Mul", &[&twice, &half])
    }

    /// Σ_{i<j} <v_ij, v_ji>
    fn field_aware(&mut self, node: &GraphNode) -> String {
        let (x, fields) = (self.input(node, 0), count(node, "fields"));
        let dim = self.input_width(node, 0) / (fields * fields);
        let vectors = self.graph.reshape(&x, &[0, fields, fields, dim]);
        let turned = self.graph.node_with("Transpose", &[&vectors], &[("perm", Value::Ints(&[0, 2, 1, 3]))]);
        let products = self.graph.node("Mul", &[&vectors, &turned]); // [B, F, F, D]
        let sums = self.graph.sum(&products, &[3]);
        let sums = self.graph.reshape(&sums, &[0, fields * fields]);
        let pairs: Vec<i64> = (0..fields).flat_map(|j| (0..j).map(move |i| i * fields + j)).collect();
        let pairs = self.graph.ints(&pairs);
        let pairs = self.graph.node_with("Gather", &[&sums, &pairs], &[("axis", Value::Int(1))]);
        let axes = self.graph.ints(&[1]);
        self.graph.node("ReduceSum", &[&pairs, &axes])
    }

    fn outer_product(&mut self, node: &GraphNode) -> String {
        let (a, b, blocks) = (self.input(node, 0), self.input(node, 1), count(node, "blocks"));
        let (rows, columns) = (self.input_width(node, 0) / blocks, self.input_width(node, 1) / blocks);
        let a = self.graph.reshape(&a, &[0, blocks, rows, 1]);
        let b = self.graph.reshape(&b, &[0, blocks, 1, columns]);
        let products = self.graph.node("Mul", &[&a, &b]);
        self.graph.reshape(&products, &[0, node.width as i64])
    }

    fn transpose(&mut self, node: &GraphNode) -> String {
        let (x, fields, width) = (self.input(node, 0), count(node, "fields"), node.width as i64);
        let vectors = self.graph.reshape(&x, &[0, fields, width / fields]);
        let turned = self.graph.node_with("Transpose", &[&vectors], &[("perm", Value::Ints(&[0, 2, 1]))]);
        self.graph.reshape(&turned, &[0, width])
    }

    /// x [B, n] times a vector for each.
    fn dense_vectors(&mut self, node: &GraphNode) -> String {
        let (x, vectors) = (self.input(node, 0), self.parameters(node));
        let (n, width) = (self.input_width(node, 0), node.width as i64);
        let vectors = self.graph.reshape(&vectors[0], &[n, width / n]);
        let x = self.graph.reshape(&x, &[0, n, 1]);
        let products = self.graph.node("Mul", &[&x, &vectors]);
        self.graph.reshape(&products, &[0, width])
    }

    fn softmax(&mut self, node: &GraphNode) -> String {
        let x = self.input(node, 0);
        self.graph.node_with("Softmax", &[&x], &[("axis", Value::Int(1))])
    }

    fn activation(&mut self, node: &GraphNode) -> Result<String> {
        let (x, name) = (self.input(node, 0), node.attributes.get("activation"));
        Ok(match name {
            Some(Attribute::Name("relu")) => self.graph.node("Relu", &[&x]),
            Some(Attribute::Name("gelu")) => self.graph.node("Gelu", &[&x]),
            Some(Attribute::Name("sigmoid")) => self.graph.node("Sigmoid", &[&x]),
            Some(Attribute::Name("tanh")) => self.graph.node("Tanh", &[&x]),
            Some(Attribute::Name("silu")) => {
                let share = self.graph.node("Sigmoid", &[&x]);
                self.graph.node("Mul", &[&x, &share])
            }
            other => return Err(Error::Operation { operation: format!("activation {other:?}") }),
        })
    }

    fn prelu(&mut self, node: &GraphNode) -> String {
        let (x, slopes) = (self.input(node, 0), self.parameters(node));
        self.graph.node("PRelu", &[&x, &slopes[0]])
    }

    /// Its parameters stand in the order of ONNX: scale, shift and, of batches, mean and variance.
    fn norm(&mut self, operator: &str, node: &GraphNode) -> String {
        let (x, parameters) = (self.input(node, 0), self.parameters(node));
        let mut inputs = vec![x.as_str()];
        inputs.extend(parameters.iter().map(String::as_str));
        let epsilon = match node.attributes.get("epsilon") {
            Some(Attribute::Number(epsilon)) => *epsilon,
            _ => unreachable!("a normalisation says what it adds to variances"),
        };
        self.graph.node_with(operator, &inputs, &[("epsilon", Value::Float(epsilon))])
    }
}

/// A setting of an operation that is a number of columns or the like.
fn count(node: &GraphNode, key: &str) -> i64 {
    match node.attributes.get(key) {
        Some(Attribute::Count(n)) => *n as i64,
        _ => unreachable!("{} has {key}", node.operation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bags::Bags;
    use dlrm_data::schema::Schema;
    use dlrm_nn::{Builder, Isa, TablePrecision};

    #[test]
    fn an_operation_that_is_not_known_is_named() {
        let layout = Layout::default();
        let text = "label = { column = \"click\" }\ndense = [{ name = \"x\" }]";
        let schema = Schema::from_toml(text, "schema").expect("a schema");
        let weights = Builder::new(&layout).finish(0, Isa::detect(), TablePrecision::F32);
        let bags = BagInputs::new(Bags::Offsets, &schema, &layout);
        let mut pass = ForwardPass::new(GraphBuilder::default(), &weights, bags);
        let node = GraphNode { operation: "convolution", width: 3, ..GraphNode::default() };
        let error = pass.record(&Graph { nodes: vec![node] }, &layout).expect_err("not known").to_string();
        assert!(error.contains("convolution"), "{error}");
    }
}
