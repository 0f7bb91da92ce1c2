//! Elements zeroed at random, in training (Srivastava et al. 2014).
use super::{Description, Operation};
use crate::mode::Mode;
use crate::tape::Tape;
use crate::tape::backward::{At, Backward};
use crate::tape::value::Var;
use dlrm_kernels::norm;

#[derive(Debug)]
pub(in crate::tape) struct Dropout {
    x: Var,
    rate: f32,
}

impl Tape<'_> {
    /// In training, zeroes elements with probability `rate` and scales the others by 1 / (1 - rate). Which
    /// ones depends on seed, step, layer, row of the batch and column, not on shards or threads.
    pub fn dropout(&mut self, x: Var, rate: f32) -> Var {
        if rate == 0.0 {
            return x;
        }
        let (isa, width, by) = (self.isa, self.width(x), dropped(self.next_at(), rate));
        self.push(Dropout { x, rate }, width, |y, forward| match by {
            Some(by) => {
                y.fill(0.0);
                norm::dropout(isa, y, forward.value(x), width, by);
            }
            None => y.copy_from_slice(forward.value(x)),
        })
    }
}

/// What dropout drops there.
fn dropped(at: At, rate: f32) -> Option<norm::Dropout> {
    match at.mode {
        Mode::Inference => None,
        Mode::Training { key } => Some(norm::Dropout {
            key: key ^ (at.node as u64 + 1).wrapping_mul(0xA076_1D64_78BD_642F),
            first_row: at.first_row,
            rate,
        }),
    }
}

impl Operation for Dropout {
    fn backward(&self, mut back: Backward<'_>) {
        if let (Some(dx), Some(by)) = (back.into.add_to(self.x), dropped(back.at, self.rate)) {
            norm::dropout(back.isa, dx, back.dy, back.width, by);
        }
    }

    fn describe(&self, _: &Tape<'_>, width: usize) -> Description {
        Description::new("dropout", &[self.x]).cost(0.0, width as f64).number("rate", self.rate)
    }
}
