//! Some columns of a value.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use std::ops::Range;

#[derive(Debug)]
pub(in crate::tape) struct Slice {
    x: Var,
    /// The first column.
    column: usize,
}

impl Tape<'_> {
    /// Some columns: [S, N] → [S, len].
    pub fn slice(&mut self, x: Var, columns: Range<usize>) -> Var {
        let (width, n) = (columns.len(), self.width(x));
        self.push(Slice { x, column: columns.start }, width, |y, forward| {
            for (y, x) in y.chunks_exact_mut(width.max(1)).zip(forward.value(x).chunks_exact(n.max(1))) {
                y.copy_from_slice(&x[columns.clone()]);
            }
        })
    }
}

impl Operation for Slice {
    /// Its columns of dx += dy.
    fn backward(&self, mut back: Backward<'_>) {
        let (own, width, column) = (back.width_of(self.x), back.width, self.column);
        if let Some(dx) = back.into.add_to(self.x).filter(|_| width > 0) {
            for (dx, dy) in dx.chunks_exact_mut(own).zip(back.dy.chunks_exact(width)) {
                dx[column..column + width].iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy);
            }
        }
    }

    fn describe(&self, _: &Tape<'_>, _: usize) -> Description {
        Description::new("slice", &[self.x]).count("first column", self.column)
    }
}
