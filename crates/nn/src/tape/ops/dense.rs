//! The dense inputs of the batch, which stay where they are.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::{Home, Var};

#[derive(Debug)]
pub(in crate::tape) struct Dense;

impl Tape<'_> {
    /// The dense inputs [S, n].
    pub fn dense(&mut self) -> Var {
        let n = self.dense_rows().len().checked_div(self.rows()).unwrap_or(0);
        self.push_at(Home::Batch, Dense, n, |_, _| {})
    }
}

impl Operation for Dense {
    fn backward(&self, _: Backward<'_>) {}

    fn describe(&self, _: &Tape<'_>, _: usize) -> Description {
        Description::new("dense inputs", &[])
    }
}
