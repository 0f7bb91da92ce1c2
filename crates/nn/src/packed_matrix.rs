//! The weight matrices of layers, packed for the products of training and scoring.
use crate::mode::Mode;
use crate::param::Param;
use dlrm_kernels::matmul::{
    CommonSums, Epilogue, Packed, PackedBf16, Panel, PanelBf16, RowsBf16, Strips, View, matmul, matmul_after,
    matmul_bf16, matmul_part,
};
use dlrm_kernels::{Buffer, Isa, Strided};
use serde::{Deserialize, Serialize};

/// What the matrix products of training steps multiply. Sums, weights and all else are f32 either way, and
/// scores are always computed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The values as they are.
    #[default]
    F32,
    /// Values rounded to bf16: twice as fast where the CPU has fast instructions for it, slower elsewhere.
    Bf16,
}

/// A weight matrix W [N, K] in the forms that the products need.
#[derive(Debug, Clone)]
pub(crate) struct PackedMatrix {
    pub(crate) param: usize,
    forward: Packed,
    training: Training,
}

/// What only training multiplies with.
#[derive(Debug, Clone)]
enum Training {
    F32 { backward: Packed },
    Bf16 { forward: PackedBf16, backward: PackedBf16 },
}

/// A part of a matrix that is to be packed.
pub(crate) enum Packing<'a> {
    Panel(Panel<'a>),
    PanelBf16(PanelBf16<'a>),
}

impl Packing<'_> {
    pub(crate) fn run(self) {
        match self {
            Packing::Panel(panel) => panel.pack(),
            Packing::PanelBf16(panel) => panel.pack(),
        }
    }
}

/// Where a product goes: rows [rows, columns].
pub(crate) struct Target<'a> {
    pub c: &'a mut [f32],
    pub columns: usize,
    pub rows: usize,
    pub epilogue: Epilogue<'a>,
}

/// Memory for the operands that change with every product.
#[derive(Debug, Default)]
pub(crate) struct Operands {
    packed: Packed,
    strips: Buffer,
    packed_bf16: PackedBf16,
    rows_bf16: RowsBf16,
}

impl Operands {
    fn multiply_bf16(&mut self, isa: Isa, to: Target<'_>, a: View<'_>, k: usize, b: &PackedBf16) {
        self.rows_bf16.pack(isa, a, to.rows, k);
        matmul_bf16(isa, Strided::new(to.c, to.columns), &self.rows_bf16, b, to.epilogue);
    }

    /// dyᵀ x, the gradient of a matrix, where dy is [S, N] and x [S, K].
    pub(crate) fn outer(
        &mut self,
        isa: Isa,
        precision: Precision,
        to: Target<'_>,
        dy: View<'_>,
        (x, rows): (View<'_>, usize),
    ) {
        let k = to.columns;
        match precision {
            Precision::F32 => {
                self.packed.pack(isa, x, rows, k);
                let (x, strips) = (self.packed.view(), Strips::new(isa, to.rows, rows));
                if self.strips.len() < strips.floats() {
                    self.strips = Buffer::hot(strips.floats());
                }
                strips.pack(dy.transposed(), &mut self.strips);
                let dy = (strips.operand(&self.strips), 0..strips.count());
                let panels = 0..x.shape().count();
                matmul_part(isa, Strided::new(to.c, k), dy, (x, panels), to.epilogue);
            }
            Precision::Bf16 => {
                self.packed_bf16.pack(isa, x, rows, k);
                self.rows_bf16.pack(isa, dy.transposed(), to.rows, rows);
                matmul_bf16(isa, Strided::new(to.c, k), &self.rows_bf16, &self.packed_bf16, to.epilogue);
            }
        }
    }
}

impl PackedMatrix {
    /// Of parameter `param`; to be packed.
    pub(crate) fn new(param: usize, precision: Precision) -> Self {
        let training = match precision {
            Precision::F32 => Training::F32 { backward: Packed::default() },
            Precision::Bf16 => {
                Training::Bf16 { forward: PackedBf16::default(), backward: PackedBf16::default() }
            }
        };
        PackedMatrix { param, forward: Packed::default(), training }
    }

    /// What renews all forms.
    pub(crate) fn packing<'a>(
        &'a mut self,
        isa: Isa,
        params: &[Param],
        dense: &'a [f32],
    ) -> impl Iterator<Item = Packing<'a>> {
        let param = &params[self.param];
        let (n, k) = (param.shape[0], param.shape[1]);
        let w = View::of(&dense[param.range.clone()], k);
        let (panels, bf16) = match &mut self.training {
            Training::F32 { backward } => (Some(backward.panels(isa, w, n, k)), None),
            Training::Bf16 { forward, backward } => {
                let forward = forward.panels(isa, w.transposed(), k, n);
                (None, Some(forward.chain(backward.panels(isa, w, n, k))))
            }
        };
        let panels = self.forward.panels(isa, w.transposed(), k, n).chain(panels.into_iter().flatten());
        panels.map(Packing::Panel).chain(bf16.into_iter().flatten().map(Packing::PanelBf16))
    }

    /// x Wᵀ of x [S, K].
    pub(crate) fn forward(
        &self,
        isa: Isa,
        to: Target<'_>,
        (x, k): (View<'_>, usize),
        mode: Mode,
        operands: &mut Operands,
    ) {
        match &self.training {
            Training::Bf16 { forward, .. } if mode != Mode::Inference => {
                operands.multiply_bf16(isa, to, x, k, forward)
            }
            _ => matmul(isa, Strided::new(to.c, to.columns), to.rows, x, &self.forward, to.epilogue),
        }
    }

    /// x Wᵀ of x [S, K], whose rows begin alike, as scoring computes it.
    pub(crate) fn forward_after(&self, isa: Isa, to: Target<'_>, x: View<'_>, common: &CommonSums) {
        let c = Strided::new(to.c, to.columns);
        matmul_after(isa, c, to.rows, x, (&self.forward, common), to.epilogue);
    }

    /// What the sums of rows begin with that begin with `x`.
    pub(crate) fn common_sums(&self, isa: Isa, x: &[f32]) -> CommonSums {
        CommonSums::new(isa, x, &self.forward)
    }

    /// dy W of dy [S, N].
    pub(crate) fn backward(
        &self,
        isa: Isa,
        to: Target<'_>,
        (dy, n): (View<'_>, usize),
        operands: &mut Operands,
    ) {
        match &self.training {
            Training::F32 { backward } => {
                matmul(isa, Strided::new(to.c, to.columns), to.rows, dy, backward, to.epilogue)
            }
            Training::Bf16 { backward, .. } => operands.multiply_bf16(isa, to, dy, n, backward),
        }
    }
}
