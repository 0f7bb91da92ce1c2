//! Element-wise products of all pairs of vectors, summed (Rendle 2010, in linear time).
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::interaction;

#[derive(Debug)]
pub(in crate::tape) struct FmInteraction {
    x: Var,
    fields: usize,
}

impl Tape<'_> {
    /// All pairwise element-wise products of the `fields` vectors of each row, summed: [S, F·D] → [S, D].
    pub fn fm_interaction(&mut self, x: Var, fields: usize) -> Var {
        let (isa, dim) = (self.isa, self.width(x) / fields.max(1));
        self.push(FmInteraction { x, fields }, dim, |y, forward| {
            interaction::fm_interaction(isa, y, forward.value(x), fields, dim)
        })
    }
}

impl Operation for FmInteraction {
    fn backward(&self, mut back: Backward<'_>) {
        let (x, dim) = (back.value(self.x), back.width);
        if let Some(dx) = back.into.add_to(self.x) {
            interaction::fm_interaction_backward(back.isa, dx, back.dy, x, self.fields, dim);
        }
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        let width = tape.width(self.x) as f64;
        Description::new("second order", &[self.x]).cost(width, width).count("fields", self.fields)
    }
}
