//! An ONNX graph that is being made: nodes in an order in which each reads only what stands before it,
//! constants, inputs. Values are known by name.
use crate::port::{ElementType, Port};
use crate::tensor::Tensor;
use dlrm_data::protobuf::Message;
use dlrm_nn::Numbers;
use std::collections::{HashMap, HashSet};

/// An attribute of a node.
#[derive(Debug, Clone)]
pub(crate) enum Value<'v> {
    Int(i64),
    Float(f32),
    Ints(&'v [i64]),
}

/// A graph that is being made.
#[derive(Debug, Default)]
pub(crate) struct GraphBuilder<'a> {
    nodes: Vec<Message<'a>>,
    tensors: Vec<Tensor<'a>>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    taken: HashSet<String>,
    /// Names of constants, by what they hold.
    constants: HashMap<(ElementType, Vec<i64>, Vec<u8>), String>,
    /// Names of weights, by the name in the model.
    weights: HashMap<String, String>,
}

/// The parts of a finished graph.
pub(crate) struct Parts<'a> {
    pub(crate) nodes: Vec<Message<'a>>,
    pub(crate) tensors: Vec<Tensor<'a>>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
}

impl<'a> GraphBuilder<'a> {
    /// A graph in which no other value may have these names.
    pub(crate) fn new(reserved: impl IntoIterator<Item = String>) -> Self {
        GraphBuilder { taken: reserved.into_iter().collect(), ..GraphBuilder::default() }
    }

    /// Declares an input, unless it is there; returns its name.
    pub(crate) fn input(&mut self, port: Port) -> String {
        let name = port.name.clone();
        if !self.inputs.contains(&port) {
            self.inputs.push(port);
        }
        name
    }

    /// Gives a value the name of an output.
    pub(crate) fn output(&mut self, port: Port, value: &str) {
        self.nodes.push(node("Identity", &[value], &port.name, &[]));
        self.outputs.push(port);
    }

    /// Adds a node of this type; returns the name of its value.
    pub(crate) fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.node_with(operator, inputs, &[])
    }

    /// Adds a node with attributes; returns the name of its value.
    pub(crate) fn node_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Value<'_>)],
    ) -> String {
        let name = self.free(&format!("{operator}_{}", self.nodes.len()));
        self.nodes.push(node(operator, inputs, &name, attributes));
        name
    }

    /// `x` with another shape; 0 keeps a dimension, one -1 takes the rest.
    pub(crate) fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.node("Reshape", &[x, &shape])
    }

    /// `x` with another dimension of 1 there.
    pub(crate) fn unsqueeze(&mut self, x: &str, axis: i64) -> String {
        let axis = self.ints(&[axis]);
        self.node("Unsqueeze", &[x, &axis])
    }

    /// The sum of `x` over these dimensions, which go.
    pub(crate) fn sum(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = self.ints(axes);
        self.node_with("ReduceSum", &[x, &axes], &[("keepdims", Value::Int(0))])
    }

    pub(crate) fn cast(&mut self, x: &str, to: ElementType) -> String {
        self.node_with("Cast", &[x], &[("to", Value::Int(to as i64))])
    }

    /// A list of integers.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        self.constant(Tensor::of_ints("ints".into(), &[values.len() as i64], values))
    }

    /// An integer without dimensions.
    pub(crate) fn int(&mut self, value: i64) -> String {
        self.constant(Tensor::of_ints("int".into(), &[], &[value]))
    }

    pub(crate) fn floats(&mut self, shape: &[i64], values: &[f32]) -> String {
        self.constant(Tensor::of_floats("floats".into(), shape, values))
    }

    /// A number without dimensions.
    pub(crate) fn float(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    fn constant(&mut self, tensor: Tensor<'a>) -> String {
        let key = (tensor.element_type, tensor.shape.clone(), tensor.bytes.to_vec());
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.free(&format!("{}_{}", tensor.name, self.constants.len()));
        self.constants.insert(key, name.clone());
        self.tensors.push(Tensor { name: name.clone(), ..tensor });
        name
    }

    /// The weights that the model has under this name; their name in the graph, which is the same unless an
    /// input is called so.
    pub(crate) fn weights(&mut self, name: &str, shape: &[usize], numbers: Numbers<'a>) -> String {
        if let Some(own) = self.weights.get(name) {
            return own.clone();
        }
        let own = self.free(name);
        self.weights.insert(name.to_owned(), own.clone());
        self.tensors.push(Tensor::of_numbers(own.clone(), shape, numbers));
        own
    }

    fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    pub(crate) fn finish(self) -> Parts<'a> {
        let GraphBuilder { nodes, tensors, inputs, outputs, .. } = self;
        Parts { nodes, tensors, inputs, outputs }
    }
}

/// A `NodeProto`.
fn node<'a>(operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, Value<'_>)]) -> Message<'a> {
    let attribute = |(name, value): &(&str, Value<'_>)| {
        let named = Message::new().text(1, name);
        match value {
            Value::Float(x) => named.float(2, *x).int(20, 1),
            Value::Int(x) => named.int(3, *x).int(20, 2),
            Value::Ints(x) => named.ints(8, x).int(20, 7),
        }
    };
    Message::new()
        .texts(1, inputs)
        .text(2, output)
        .text(3, output)
        .text(4, operator)
        .messages(5, attributes.iter().map(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Dim;

    #[test]
    fn names_are_taken_once_and_constants_are_shared() {
        let mut graph = GraphBuilder::new(["tables.ids".to_owned()]);
        let table = graph.weights("tables.ids", &[2, 1], Numbers::F32(&[1.0, 2.0]));
        assert_eq!(table, "tables.ids_", "an input may be called so");
        assert_eq!(graph.weights("tables.ids", &[2, 1], Numbers::F32(&[1.0, 2.0])), table);
        assert_eq!(graph.ints(&[1]), graph.ints(&[1]));
        assert_ne!(graph.ints(&[1]), graph.int(1), "another shape");
        assert_ne!(graph.ints(&[1]), graph.ints(&[2]));
        let port = Port {
            name: "tables.ids".into(),
            element_type: ElementType::Int64,
            shape: vec![Dim::batch()],
            about: String::new(),
        };
        assert_eq!(graph.input(port.clone()), graph.input(port));
        let parts = graph.finish();
        assert_eq!((parts.inputs.len(), parts.tensors.len()), (1, 4));
    }
}
