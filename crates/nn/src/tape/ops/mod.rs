//! The operations that a tape records, one file each: how it is recorded and computed, its way back, and what
//! the graph says of it. A new operation is a file here, its `mod` line and its line in the list below.
mod activation;
mod add;
mod add_bias;
mod batch_norm;
mod concat;
mod dense;
mod dense_vectors;
mod dot_interaction;
mod dropout;
mod embedded;
mod ffm_interaction;
mod fm_interaction;
mod layer_norm;
mod linear;
mod mul;
mod outer;
mod prelu;
mod scale_rows;
mod slice;
mod softmax;
mod sum_blocks;
mod sum_columns;
mod transpose;

pub use linear::Linear;

use super::Tape;
use super::backward::Backward;
use super::columns::Columns;
use super::value::Var;
use crate::graph::Attribute;
use crate::param::ParamId;
use crate::slot::SlotSpec;
use dlrm_kernels::matmul::CommonSums;

/// What a tape wants of an operation after it was recorded.
pub(super) trait Operation {
    /// Adds its share to the gradients of the values and parameters that it read.
    fn backward(&self, back: Backward<'_>);

    /// What the graph says of it, whose value has `width` columns.
    fn describe(&self, tape: &Tape<'_>, width: usize) -> Description;

    /// Columns of its value that rows have in common, where they have those in common that `of` tells of the
    /// values that it reads, but not all.
    fn common_columns(&self, _: &Tape<'_>, _: &CommonOf<'_>) -> Columns {
        Columns::default()
    }

    /// Whether it leaves these columns to the context where there is one.
    fn leaves_common_out(&self) -> bool {
        false
    }

    /// What its sums begin with, from the columns on that rows have in common.
    fn common_sums(&self, _: &Tape<'_>, _: &CommonOf<'_>) -> Option<CommonSums> {
        None
    }
}

/// What rows have in common of a value.
pub(super) type CommonOf<'c> = dyn Fn(Var) -> &'c Columns + 'c;

/// What the graph says of an operation.
pub(super) struct Description {
    pub(super) operation: &'static str,
    pub(super) inputs: Vec<Var>,
    pub(super) parameters: Vec<String>,
    pub(super) slots: Vec<SlotSpec>,
    pub(super) attributes: Vec<(&'static str, Attribute)>,
    /// Multiply-adds per row of the forward pass.
    pub(super) forward: f64,
    /// Multiply-adds per row of the way back.
    pub(super) backward: f64,
}

impl Description {
    /// An operation of this name that reads `inputs` and costs nothing.
    fn new(operation: &'static str, inputs: &[Var]) -> Self {
        Description {
            operation,
            inputs: inputs.to_vec(),
            parameters: Vec::new(),
            slots: Vec::new(),
            attributes: Vec::new(),
            forward: 0.0,
            backward: 0.0,
        }
    }

    /// Multiply-adds per row, forward and on the way back.
    fn cost(self, forward: f64, backward: f64) -> Self {
        Description { forward, backward, ..self }
    }

    /// The parameters that it reads, the most important first.
    fn parameters(self, tape: &Tape<'_>, ids: impl IntoIterator<Item = ParamId>) -> Self {
        let name = |id: ParamId| tape.weights.param(id).name.clone();
        Description { parameters: ids.into_iter().map(name).collect(), ..self }
    }

    fn count(mut self, key: &'static str, value: usize) -> Self {
        self.attributes.push((key, Attribute::Count(value)));
        self
    }

    fn number(mut self, key: &'static str, value: f32) -> Self {
        self.attributes.push((key, Attribute::Number(value)));
        self
    }

    fn name(mut self, key: &'static str, value: &'static str) -> Self {
        self.attributes.push((key, Attribute::Name(value)));
        self
    }
}

macro_rules! operations {
    ($($operation:ident: $module:ident,)*) => {
        /// A recorded operation.
        #[derive(Debug)]
        pub(super) enum Op {
            $($operation($module::$operation),)*
        }

        $(impl From<$module::$operation> for Op {
            fn from(operation: $module::$operation) -> Self {
                Op::$operation(operation)
            }
        })*

        impl Op {
            pub(super) fn as_operation(&self) -> &dyn Operation {
                match self {
                    $(Op::$operation(operation) => operation,)*
                }
            }
        }
    };
}

operations! {
    Dense: dense,
    Embedded: embedded,
    Product: linear,
    Concat: concat,
    Slice: slice,
    Add: add,
    AddBias: add_bias,
    SumColumns: sum_columns,
    SumBlocks: sum_blocks,
    DotInteraction: dot_interaction,
    FmInteraction: fm_interaction,
    FfmInteraction: ffm_interaction,
    Outer: outer,
    Transpose: transpose,
    DenseVectors: dense_vectors,
    Mul: mul,
    ScaleRows: scale_rows,
    Softmax: softmax,
    Activate: activation,
    Prelu: prelu,
    LayerNorm: layer_norm,
    BatchNorm: batch_norm,
    Dropout: dropout,
}
