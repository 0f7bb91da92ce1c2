//! Sum over the columns.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;

#[derive(Debug)]
pub(in crate::tape) struct SumColumns {
    x: Var,
}

impl Tape<'_> {
    /// Sum over the columns: [S, N] → [S, 1].
    pub fn sum_columns(&mut self, x: Var) -> Var {
        let n = self.width(x);
        self.push(SumColumns { x }, 1, |y, forward| {
            for (y, x) in y.iter_mut().zip(forward.value(x).chunks_exact(n.max(1))) {
                *y = x.iter().sum();
            }
        })
    }
}

impl Operation for SumColumns {
    fn backward(&self, mut back: Backward<'_>) {
        let n = back.width_of(self.x).max(1);
        if let Some(dx) = back.into.add_to(self.x) {
            for (dx, &dy) in dx.chunks_exact_mut(n).zip(&*back.dy) {
                dx.iter_mut().for_each(|dx| *dx += dy);
            }
        }
    }

    fn describe(&self, _: &Tape<'_>, _: usize) -> Description {
        Description::new("sum", &[self.x])
    }
}
