//! What the gradients of large weights are products of, kept of each shard until all shards are done.
use crate::packed_matrix::Precision;
use crate::param::ParamId;
use dlrm_kernels::matmul::{PackedView, Panels, Strips, StripsView, View};
use dlrm_kernels::{Buffer, Isa};

/// The operands of one shard, in the order in which the way back came upon them.
#[derive(Debug, Default)]
pub(crate) struct KeptOperands {
    memory: Buffer,
    used: usize,
    kept: Vec<Kept>,
}

/// Those of one product: dy [S, N] in strips of columns, and x [S, K] in panels of columns.
#[derive(Debug)]
struct Kept {
    weight: ParamId,
    node: usize,
    dy: Strips,
    dy_start: usize,
    x: Panels,
    x_start: usize,
}

/// One of the products that a weight's gradient is the sum of: dyᵀ x.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OuterProduct<'a> {
    /// dyᵀ [N, S]
    pub dy: StripsView<'a>,
    /// [S, K]
    pub x: PackedView<'a>,
}

/// Floats of a cache line.
const LINE: usize = 16;

impl KeptOperands {
    /// Forgets the last step.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.kept.clear();
    }

    /// Keeps what the gradient of `weight` is a product of, which node `node` has come upon: dy [S, N]
    /// (S = `rows`) and x [S, K].
    pub(crate) fn keep(
        &mut self,
        isa: Isa,
        precision: Precision,
        (weight, node): (ParamId, usize),
        (dy, x): (View<'_>, View<'_>),
        (rows, n, k): (usize, usize, usize),
    ) {
        let (dy_shape, x_shape) = match precision {
            Precision::F32 => (Strips::new(isa, n, rows), Panels::new(isa, rows, k)),
            Precision::Bf16 => (Strips::of_bf16(isa, n, rows), Panels::of_bf16(isa, rows, k)),
        };
        let (dy_start, x_start) = (self.take(dy_shape.floats()), self.take(x_shape.floats()));
        let dy = dy.transposed();
        match precision {
            Precision::F32 => {
                dy_shape.pack(dy, &mut self.memory[dy_start..]);
                x_shape.pack(isa, x, &mut self.memory[x_start..]);
            }
            Precision::Bf16 => {
                dy_shape.pack_bf16(isa, dy, rows, &mut self.memory[dy_start..]);
                x_shape.pack_bf16(isa, x, rows, &mut self.memory[x_start..]);
            }
        }
        self.kept.push(Kept { weight, node, dy: dy_shape, dy_start, x: x_shape, x_start });
    }

    /// Room for this many floats; returns where it begins.
    fn take(&mut self, len: usize) -> usize {
        let start = self.used;
        self.used += len.next_multiple_of(LINE);
        self.memory.grow(self.used);
        start
    }

    /// The products that the gradient of `weight` is the sum of, in the order in which they are added.
    pub(crate) fn of(&self, weight: ParamId) -> impl Iterator<Item = OuterProduct<'_>> {
        self.kept.iter().filter(move |kept| kept.weight == weight).map(|kept| OuterProduct {
            dy: kept.dy.operand(&self.memory[kept.dy_start..]),
            x: kept.x.operand(&self.memory[kept.x_start..]),
        })
    }

    /// Whether there is exactly one of them.
    pub(crate) fn is_single(&self, weight: ParamId) -> bool {
        self.of(weight).count() == 1
    }

    /// The number of the first node that came upon `weight`.
    pub(crate) fn node(&self, weight: ParamId) -> Option<usize> {
        self.kept.iter().find(|kept| kept.weight == weight).map(|kept| kept.node)
    }
}
