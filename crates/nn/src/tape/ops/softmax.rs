//! Softmax over the columns.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;

#[derive(Debug)]
pub(in crate::tape) struct Softmax {
    x: Var,
}

impl Tape<'_> {
    /// Softmax over the columns of each row.
    pub fn softmax(&mut self, x: Var) -> Var {
        let n = self.width(x);
        self.push(Softmax { x }, n, |y, forward| {
            for (y, x) in y.chunks_exact_mut(n.max(1)).zip(forward.value(x).chunks_exact(n.max(1))) {
                let largest = x.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = libm::expf(x - largest));
                let sum: f32 = y.iter().sum();
                y.iter_mut().for_each(|y| *y /= sum);
            }
        })
    }
}

impl Operation for Softmax {
    /// dx += y ⊙ (dy - <dy, y>)
    fn backward(&self, mut back: Backward<'_>) {
        let n = back.width.max(1);
        if let Some(dx) = back.into.add_to(self.x) {
            let rows = dx.chunks_exact_mut(n).zip(back.dy.chunks_exact(n)).zip(back.y.chunks_exact(n));
            for ((dx, dy), y) in rows {
                let mean: f32 = dy.iter().zip(y).map(|(&dy, &y)| dy * y).sum();
                dx.iter_mut().zip(dy).zip(y).for_each(|((dx, &dy), &y)| *dx += y * (dy - mean));
            }
        }
    }

    fn describe(&self, _: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("softmax", &[self.x]).cost(width, 2.0 * width)
    }
}
