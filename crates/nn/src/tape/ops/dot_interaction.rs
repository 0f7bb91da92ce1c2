//! Dot products of all pairs of vectors (Naumov et al. 2019, section 2.1.3).
use super::{CommonOf, Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::columns::Columns;
use crate::tape::value::{Var, grown};
use dlrm_kernels::dot_interaction::{self, Dims, Pairs};

#[derive(Debug)]
pub(in crate::tape) struct DotInteraction {
    x: Var,
    fields: usize,
    pairs: Pairs,
}

impl DotInteraction {
    /// Of `rows` rows of `width` columns.
    fn dims(&self, rows: usize, width: usize) -> Dims {
        Dims { rows, fields: self.fields, dim: width / self.fields.max(1), pairs: self.pairs }
    }

    /// How many of its fields come before the pair at `column`, all of their pairs included.
    fn fields_of(&self, column: usize) -> usize {
        let pairs = |fields: usize| Dims { fields, ..self.dims(1, 0) }.pairs();
        (0..=self.fields).rev().find(|&fields| pairs(fields) <= column).unwrap_or(0)
    }
}

impl Tape<'_> {
    /// Dot products of all pairs of the `fields` vectors of each row: [S, F·D] → [S, P].
    pub fn dot_interaction(&mut self, x: Var, fields: usize, pairs: Pairs) -> Var {
        let (isa, operation) = (self.isa, DotInteraction { x, fields, pairs });
        let (d, known) = (operation.dims(self.rows(), self.width(x)), self.leading());
        let common = if known > 0 { operation.fields_of(known) } else { 0 };
        self.push(operation, d.pairs(), |z, forward| {
            let x = forward.value(x);
            let scratch = grown(forward.scratch, dot_interaction::scratch_len(d));
            dot_interaction::forward_after(isa, z, x, d, common, scratch);
        })
    }
}

impl Operation for DotInteraction {
    fn backward(&self, mut back: Backward<'_>) {
        let (x, d) = (back.value(self.x), self.dims(back.rows(), back.width_of(self.x)));
        if let Some(dx) = back.into.add_to(self.x) {
            let scratch = grown(back.scratch, dot_interaction::scratch_len(d));
            dot_interaction::backward(back.isa, dx, back.dy, x, d, scratch);
        }
    }

    /// The pairs of the first vectors, as far as they are in common.
    fn common_columns(&self, tape: &Tape<'_>, of: &CommonOf<'_>) -> Columns {
        let d = self.dims(1, tape.width(self.x));
        let fields = of(self.x).leading().checked_div(d.dim).unwrap_or(0);
        Columns::first(Dims { fields, ..d }.pairs())
    }

    fn leaves_common_out(&self) -> bool {
        true
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        let d = self.dims(1, tape.width(self.x));
        let forward = (d.pairs() * d.dim) as f64;
        let pairs = if self.pairs == Pairs::WithSelf { "with self" } else { "distinct" };
        Description::new("dot interaction", &[self.x])
            .cost(forward, 2.0 * forward)
            .count("fields", self.fields)
            .name("pairs", pairs)
    }
}
