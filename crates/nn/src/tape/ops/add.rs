//! a + b
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::elementwise;

#[derive(Debug)]
pub(in crate::tape) struct Add {
    a: Var,
    b: Var,
}

impl Tape<'_> {
    /// a + b, of the same shape.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        let (isa, width) = (self.isa, self.width(a));
        assert_eq!(width, self.width(b), "summands of one width");
        self.push(Add { a, b }, width, |y, forward| {
            y.copy_from_slice(forward.value(a));
            elementwise::add(isa, y, forward.value(b));
        })
    }
}

impl Operation for Add {
    fn backward(&self, mut back: Backward<'_>) {
        back.into.add(back.isa, self.a, back.dy);
        back.into.add(back.isa, self.b, back.dy);
    }

    fn describe(&self, _: &Tape<'_>, _: usize) -> Description {
        Description::new("add", &[self.a, self.b])
    }
}
