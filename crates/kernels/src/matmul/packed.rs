//! The right operand, packed for the tiles.
use super::{View, panel_width};
use crate::buffer::Buffer;
use crate::isa::Isa;

/// B[K, N] in panels of columns: panel p holds, for k = 0.., its columns side by side, zero-padded.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    pub(super) data: Buffer,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) panel: usize,
}

impl Packed {
    /// Packs `b` [k, n], reusing the memory where it suffices.
    pub fn pack(&mut self, isa: Isa, b: View<'_>, k: usize, n: usize) {
        assert!(b.holds(k, n), "B is smaller than {k} x {n}");
        self.resize(isa, k, n);
        let panel = self.panel;
        for (p, out) in self.floats().chunks_exact_mut((panel * k).max(1)).enumerate() {
            let first = p * panel;
            let width = panel.min(n - first);
            if b.column == 1 {
                for (row, out) in out.chunks_exact_mut(panel).enumerate() {
                    out[..width].copy_from_slice(&b.data[row * b.row + first..][..width]);
                    out[width..].fill(0.0);
                }
            } else {
                pack_strided(out, panel, View { data: &b.data[first * b.column..], ..b }, width);
            }
        }
    }

    /// Makes room for `k` steps of `n` columns, whatever stands there.
    pub(super) fn resize(&mut self, isa: Isa, k: usize, n: usize) {
        let panel = panel_width(isa.level());
        let len = n.checked_next_multiple_of(panel).and_then(|width| width.checked_mul(k)).expect("the size of B overflows");
        if self.data.len() < len {
            self.data = Buffer::zeroed(len);
        }
        (self.k, self.n, self.panel) = (k, n, panel);
    }

    /// The panels, one behind the other.
    pub(super) fn floats(&mut self) -> &mut [f32] {
        &mut self.data[..self.n.next_multiple_of(self.panel) * self.k]
    }
}

/// Fills a panel from columns that are each (nearly) contiguous: 16 rows at a time, so that every cache line
/// of a column is read once and whole.
fn pack_strided(panel: &mut [f32], panel_width: usize, b: View<'_>, width: usize) {
    const ROWS: usize = 16;
    for (block, out) in panel.chunks_mut(ROWS * panel_width).enumerate() {
        let rows = out.len() / panel_width;
        for j in 0..width {
            let from = &b.data[block * ROWS * b.row + j * b.column..];
            for (row, out) in out.iter_mut().skip(j).step_by(panel_width).enumerate().take(rows) {
                *out = from[row * b.row];
            }
        }
        for out in out.chunks_exact_mut(panel_width) {
            out[width..].fill(0.0);
        }
    }
}
