//! Values side by side.
use super::{CommonOf, Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::{Backward, Write};
use crate::tape::columns::Columns;
use crate::tape::value::Var;
use dlrm_kernels::elementwise;
use std::ops::Range;

#[derive(Debug)]
pub(in crate::tape) struct Concat {
    /// Its place in the tape's list of inputs.
    list: Range<usize>,
}

impl Tape<'_> {
    /// Values side by side: [S, Σ widths].
    pub fn concat(&mut self, parts: &[Var]) -> Var {
        let list = self.list(parts);
        let width = parts.iter().map(|&part| self.width(part)).sum();
        self.push(Concat { list: list.clone() }, width, |y, forward| {
            let mut column = 0;
            for &part in &forward.lists[list] {
                let own = forward.recorded.width(part);
                if own > 0 {
                    for (y, x) in y.chunks_exact_mut(width).zip(forward.value(part).chunks_exact(own)) {
                        y[column..column + own].copy_from_slice(x);
                    }
                }
                column += own;
            }
        })
    }
}

impl Operation for Concat {
    /// dx += its columns of dy.
    fn backward(&self, mut back: Backward<'_>) {
        let mut column = 0;
        for &part in &back.lists[self.list.clone()] {
            let own = back.width_of(part);
            if let Some((dx, write)) = back.into.write_to(part).filter(|_| own > 0) {
                for (dx, dy) in dx.chunks_exact_mut(own).zip(back.dy.chunks_exact(back.width)) {
                    let dy = &dy[column..column + own];
                    match write {
                        Write::First => dx.copy_from_slice(dy),
                        Write::Add => elementwise::add(back.isa, dx, dy),
                    }
                }
            }
            column += own;
        }
    }

    fn common_columns(&self, tape: &Tape<'_>, of: &CommonOf<'_>) -> Columns {
        let mut column = 0;
        Columns::of(tape.arena.lists[self.list.clone()].iter().flat_map(|&part| {
            let start = column;
            column += tape.width(part);
            of(part).shifted(start)
        }))
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        Description::new("concat", &tape.arena.lists[self.list.clone()])
    }
}
