//! Outer products, block by block.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::interaction;

#[derive(Debug)]
pub(in crate::tape) struct Outer {
    a: Var,
    b: Var,
    blocks: usize,
}

impl Tape<'_> {
    /// Outer products block by block: [S, C·H] and [S, C·M] → [S, C·H·M] for C `blocks`.
    pub fn outer(&mut self, a: Var, b: Var, blocks: usize) -> Var {
        let (isa, shape) = (self.isa, (self.width(a) / blocks, self.width(b) / blocks));
        self.push(Outer { a, b, blocks }, blocks * shape.0 * shape.1, |y, forward| {
            interaction::outer(isa, y, forward.value(a), forward.value(b), shape);
        })
    }
}

impl Operation for Outer {
    fn backward(&self, mut back: Backward<'_>) {
        let Outer { a, b, blocks } = *self;
        let shape = (back.width_of(a) / blocks, back.width_of(b) / blocks);
        let (a_value, b_value) = (back.value(a), back.value(b));
        if let Some(da) = back.into.add_to(a) {
            interaction::outer_backward_left(back.isa, da, back.dy, b_value, shape);
        }
        if let Some(db) = back.into.add_to(b) {
            interaction::outer_backward_right(back.isa, db, back.dy, a_value, shape);
        }
    }

    fn describe(&self, _: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("outer product", &[self.a, self.b])
            .cost(width, 2.0 * width)
            .count("blocks", self.blocks)
    }
}
