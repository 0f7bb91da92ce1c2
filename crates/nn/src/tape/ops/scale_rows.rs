//! Every row times a number of its own.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::elementwise;

#[derive(Debug)]
pub(in crate::tape) struct ScaleRows {
    x: Var,
    scales: Var,
}

impl Tape<'_> {
    /// Every row of x [S, N] times its scale [S, 1].
    pub fn scale_rows(&mut self, x: Var, scales: Var) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        assert_eq!(self.width(scales), 1, "one scale per row");
        self.push(ScaleRows { x, scales }, width, |y, forward| {
            y.fill(0.0);
            elementwise::add_scaled_rows(isa, y, forward.value(x), forward.value(scales));
        })
    }
}

impl Operation for ScaleRows {
    fn backward(&self, mut back: Backward<'_>) {
        let (x, scales) = (back.value(self.x), back.value(self.scales));
        if let Some(dx) = back.into.add_to(self.x) {
            elementwise::add_scaled_rows(back.isa, dx, back.dy, scales);
        }
        if let Some(ds) = back.into.add_to(self.scales) {
            elementwise::row_dots(back.isa, ds, back.dy, x);
        }
    }

    fn describe(&self, _: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("scale rows", &[self.x, self.scales]).cost(width, 2.0 * width)
    }
}
