//! Field-aware dot products of all pairs of vectors, summed (Juan et al. 2016).
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::interaction;

#[derive(Debug)]
pub(in crate::tape) struct FfmInteraction {
    x: Var,
    fields: usize,
}

impl Tape<'_> {
    /// Σ_{i<j} <v_ij, v_ji> where field i has a vector for each field j: [S, F·F·D] → [S, 1].
    pub fn ffm_interaction(&mut self, x: Var, fields: usize) -> Var {
        let (isa, dim) = (self.isa, self.width(x) / (fields * fields).max(1));
        self.push(FfmInteraction { x, fields }, 1, |y, forward| {
            interaction::ffm_interaction(isa, y, forward.value(x), fields, dim)
        })
    }
}

impl Operation for FfmInteraction {
    fn backward(&self, mut back: Backward<'_>) {
        let (x, dim) = (back.value(self.x), back.width_of(self.x) / (self.fields * self.fields).max(1));
        if let Some(dx) = back.into.add_to(self.x) {
            interaction::ffm_interaction_backward(back.isa, dx, back.dy, x, self.fields, dim);
        }
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        let width = tape.width(self.x) as f64;
        Description::new("field-aware", &[self.x]).cost(width / 2.0, width).count("fields", self.fields)
    }
}
