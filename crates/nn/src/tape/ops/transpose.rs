//! Vectors turned, so that a column of all of them lies together.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;

#[derive(Debug)]
pub(in crate::tape) struct Transpose {
    x: Var,
    fields: usize,
}

impl Tape<'_> {
    /// [S, F, D] → [S, D, F].
    pub fn transpose(&mut self, x: Var, fields: usize) -> Var {
        let width = self.width(x);
        self.push(Transpose { x, fields }, width, |y, forward| {
            y.fill(0.0);
            add_transposed(y, forward.value(x), fields, width / fields.max(1));
        })
    }
}

/// y[s, d, f] += x[s, f, d]
fn add_transposed(y: &mut [f32], x: &[f32], fields: usize, dim: usize) {
    let size = (fields * dim).max(1);
    for (y, x) in y.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
        for (f, x) in x.chunks_exact(dim).enumerate() {
            y.iter_mut().skip(f).step_by(fields).zip(x).for_each(|(y, &x)| *y += x);
        }
    }
}

impl Operation for Transpose {
    fn backward(&self, mut back: Backward<'_>) {
        let dim = back.width / self.fields.max(1);
        if let Some(dx) = back.into.add_to(self.x) {
            add_transposed(dx, back.dy, dim, self.fields);
        }
    }

    fn describe(&self, _: &Tape<'_>, _: usize) -> Description {
        Description::new("transpose", &[self.x]).count("fields", self.fields)
    }
}
