//! x + bias in every row.
use super::{Description, Operation};
use crate::param::ParamId;
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::elementwise;

#[derive(Debug)]
pub(in crate::tape) struct AddBias {
    x: Var,
    bias: ParamId,
}

impl Tape<'_> {
    /// x + bias in every row.
    pub fn add_bias(&mut self, x: Var, bias: ParamId) -> Var {
        let (isa, width, bias_values) = (self.isa, self.width(x), self.weights.values(bias));
        assert_eq!(width, bias_values.len(), "one bias per column");
        self.push(AddBias { x, bias }, width, |y, forward| {
            y.copy_from_slice(forward.value(x));
            y.chunks_exact_mut(width.max(1)).for_each(|y| elementwise::add(isa, y, bias_values));
        })
    }
}

impl Operation for AddBias {
    /// db += column sums of dy (in the lane), dx += dy.
    fn backward(&self, mut back: Backward<'_>) {
        elementwise::column_sums(back.isa, back.lane.slot(back.weights, self.bias), back.dy);
        back.into.add(back.isa, self.x, back.dy);
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        Description::new("bias", &[self.x]).parameters(tape, [self.bias])
    }
}
