//! Each dense input times a learned vector.
use super::{Description, Operation};
use crate::param::ParamId;
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;

#[derive(Debug)]
pub(in crate::tape) struct DenseVectors {
    x: Var,
    vectors: ParamId,
}

impl Tape<'_> {
    /// Each dense input times its learned vector [n, D]: [S, n] → [S, n·D].
    pub fn dense_vectors(&mut self, x: Var, vectors: ParamId) -> Var {
        let (values, n) = (self.weights.values(vectors), self.width(x));
        let dim = values.len().checked_div(n).unwrap_or(0);
        self.push(DenseVectors { x, vectors }, values.len(), |y, forward| {
            let rows = y.chunks_exact_mut(values.len().max(1)).zip(forward.value(x).chunks_exact(n.max(1)));
            for (y, x) in rows {
                for ((y, v), &x) in y.chunks_exact_mut(dim).zip(values.chunks_exact(dim)).zip(x) {
                    y.iter_mut().zip(v).for_each(|(y, &v)| *y = x * v);
                }
            }
        })
    }
}

impl Operation for DenseVectors {
    /// dv += x · dy, in the lane.
    fn backward(&self, back: Backward<'_>) {
        let (x, n) = (back.value(self.x), back.width_of(self.x));
        let dim = back.width.checked_div(n).unwrap_or(0);
        let dv = back.lane.slot(back.weights, self.vectors);
        for (dy, x) in back.dy.chunks_exact(back.width.max(1)).zip(x.chunks_exact(n.max(1))) {
            for ((dv, dy), &x) in dv.chunks_exact_mut(dim).zip(dy.chunks_exact(dim)).zip(x) {
                dv.iter_mut().zip(dy).for_each(|(dv, &dy)| *dv += x * dy);
            }
        }
    }

    fn describe(&self, tape: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("dense vectors", &[self.x]).parameters(tape, [self.vectors]).cost(width, width)
    }
}
