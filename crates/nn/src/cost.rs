//! What a recorded forward pass costs: multiply-adds per row, counted from the tape, so no model states its own.
use crate::slot::SlotSpec;
use crate::tape::{Op, Tape, Var};
use dlrm_kernels::dot_interaction::Dims;

/// Multiply-adds per row. Element-wise operations count one per element, copies none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Of the forward pass.
    pub forward: f64,
    /// Of forward and backward pass (without the optimiser).
    pub training: f64,
}

/// One line of a model's summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Operation.
    pub op: &'static str,
    /// Parameter, if it has one.
    pub parameter: Option<String>,
    /// Nodes that it reads.
    pub inputs: Vec<usize>,
    /// Columns of the result.
    pub width: usize,
    /// Multiply-adds per row.
    pub cost: Cost,
}

impl Tape<'_> {
    /// The recorded operations with their cost.
    pub fn layers(&self) -> Vec<Layer> {
        (0..self.nodes().len()).map(|index| self.layer(index)).collect()
    }

    /// Multiply-adds per row of the whole tape.
    pub fn cost(&self) -> Cost {
        let layers = self.layers();
        Cost {
            forward: layers.iter().map(|l| l.cost.forward).sum(),
            training: layers.iter().map(|l| l.cost.training).sum(),
        }
    }

    fn layer(&self, index: usize) -> Layer {
        let (node, weights) = (&self.nodes()[index], self.weights());
        let width = node.width as f64;
        let learns = |x: Var| if self.nodes()[x.0 as usize].op == Op::Dense { 0.0 } else { 1.0 };
        let width_of = |x: Var| self.width(x) as f64;
        let param = |id: crate::ParamId| Some(weights.params()[id.0 as usize].name.clone());
        // (name, parameter, forward, backward)
        let (op, parameter, forward, backward) = match &node.op {
            Op::Dense => ("dense inputs", None, 0.0, 0.0),
            Op::Embed(group) => {
                let parts = self.slots_of(*group).flat_map(|s| s.parts());
                let names: Vec<String> = parts.map(|p| weights.tables()[p.table].name.clone()).collect();
                // Every part of an id's vector is read and added (or multiplied) once.
                let width = |s: &SlotSpec| s.parts().map(|p| p.dim).sum::<usize>() as f64;
                let ids: f64 = self.slots_of(*group).map(|s| width(s) * self.mean_ids(s.feature)).sum();
                let parameter =
                    if let [only] = &names[..] { only.clone() } else { format!("{} tables", names.len()) };
                ("embeddings", Some(parameter), ids, ids)
            }
            Op::Linear { x, weight, .. } => {
                let forward = width_of(*x) * weights.params()[weight.0 as usize].shape[0] as f64;
                ("linear", param(*weight), forward, forward * (1.0 + learns(*x)))
            }
            Op::Concat(_) => ("concat", None, 0.0, 0.0),
            Op::Slice { .. } => ("slice", None, 0.0, 0.0),
            Op::Transpose { .. } => ("transpose", None, 0.0, 0.0),
            Op::DotInteraction { x, fields, pairs } => {
                let dim = self.width(*x) / (*fields).max(1);
                let forward = (Dims { rows: 1, fields: *fields, dim, pairs: *pairs }.pairs() * dim) as f64;
                ("dot interaction", None, forward, 2.0 * forward)
            }
            Op::SecondOrder { x, .. } => ("second order", None, width_of(*x), width_of(*x)),
            Op::FieldAware { x, .. } => ("field-aware", None, width_of(*x) / 2.0, width_of(*x)),
            Op::Outer { .. } => ("outer product", None, width, 2.0 * width),
            Op::DenseVectors { vectors, .. } => ("dense vectors", param(*vectors), width, width),
            Op::Add(..) => ("add", None, 0.0, 0.0),
            Op::AddBias { bias, .. } => ("bias", param(*bias), 0.0, 0.0),
            Op::SumColumns(_) | Op::SumBlocks { .. } => ("sum", None, 0.0, 0.0),
            Op::Mul(..) => ("product", None, width, 2.0 * width),
            Op::ScaleRows { .. } => ("scale rows", None, width, 2.0 * width),
            Op::Softmax(_) => ("softmax", None, width, 2.0 * width),
            Op::Curve { .. } => ("activation", None, width, width),
            Op::Prelu { slopes, .. } => ("prelu", param(*slopes), width, 2.0 * width),
            Op::LayerNorm { gain, .. } => ("layer norm", param(*gain), 2.0 * width, 4.0 * width),
            Op::BatchNorm { norm, .. } => {
                ("batch norm", param(weights.norms[*norm].gain), 2.0 * width, 4.0 * width)
            }
            Op::Dropout { .. } => ("dropout", None, 0.0, width),
        };
        let inputs = node.op.inputs(self.concat_inputs()).into_iter().map(|x| x.0 as usize).collect();
        Layer {
            op,
            parameter,
            inputs,
            width: node.width,
            cost: Cost { forward, training: forward + backward },
        }
    }
}
