//! a ⊙ b
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::elementwise;

#[derive(Debug)]
pub(in crate::tape) struct Mul {
    a: Var,
    b: Var,
}

impl Tape<'_> {
    /// a ⊙ b, of the same shape.
    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        let (isa, width) = (self.isa, self.width(a));
        assert_eq!(width, self.width(b), "factors of one width");
        self.push(Mul { a, b }, width, |y, forward| {
            y.fill(0.0);
            elementwise::add_product(isa, y, forward.value(a), forward.value(b));
        })
    }
}

impl Operation for Mul {
    fn backward(&self, mut back: Backward<'_>) {
        for (own, other) in [(self.a, self.b), (self.b, self.a)] {
            let factor = back.value(other);
            if let Some(dx) = back.into.add_to(own) {
                elementwise::add_product(back.isa, dx, back.dy, factor);
            }
        }
    }

    fn describe(&self, _: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("product", &[self.a, self.b]).cost(width, 2.0 * width)
    }
}
