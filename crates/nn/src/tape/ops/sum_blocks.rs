//! Sum over blocks of columns.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::elementwise;

#[derive(Debug)]
pub(in crate::tape) struct SumBlocks {
    x: Var,
    blocks: usize,
}

impl Tape<'_> {
    /// Sum over `blocks` blocks of columns: [S, C·N] → [S, N].
    pub fn sum_blocks(&mut self, x: Var, blocks: usize) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        let n = width / blocks.max(1);
        self.push(SumBlocks { x, blocks }, n, |y, forward| {
            y.fill(0.0);
            for (y, x) in y.chunks_exact_mut(n.max(1)).zip(forward.value(x).chunks_exact(width.max(1))) {
                x.chunks_exact(n.max(1)).for_each(|x| elementwise::add(isa, y, x));
            }
        })
    }
}

impl Operation for SumBlocks {
    fn backward(&self, mut back: Backward<'_>) {
        let (isa, n) = (back.isa, back.width.max(1));
        if let Some(dx) = back.into.add_to(self.x) {
            for (dx, dy) in dx.chunks_exact_mut(n * self.blocks).zip(back.dy.chunks_exact(n)) {
                dx.chunks_exact_mut(n).for_each(|dx| elementwise::add(isa, dx, dy));
            }
        }
    }

    fn describe(&self, _: &Tape<'_>, _: usize) -> Description {
        Description::new("sum", &[self.x]).count("blocks", self.blocks)
    }
}
