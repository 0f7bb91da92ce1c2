//! How the tables of a model are after training.
use super::outcome::TableState;
use super::rows::EncodedParts;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::whole;
use dlrm_data::Batch;
use dlrm_nn::{Numbers, TablePrecision, Weights};
use std::io::{self, Write};
use std::path::Path;

/// Rows of a pass that looks at ids alone.
const ROWS_AT_ONCE: usize = 4096;

/// The state of each table, wherever its rows lie.
pub(super) fn after_training(network: &Network, rows: &EncodedParts<'_>) -> Result<Vec<TableState>> {
    let weights = network.weights();
    let untouched = untouched(weights, rows)?;
    let state = |(index, untouched): (usize, f64)| {
        let table = &weights.tables()[index];
        let mut norms = Norms::new(table.dim, table.values.precision());
        whole::write_table(network, index, &mut norms).map_err(Error::io("read", Path::new(&table.name)))?;
        let mean_norm = norms.sum / table.rows.max(1) as f64;
        Ok(TableState { untouched, mean_norm, max_norm: norms.max })
    };
    untouched.into_iter().enumerate().map(state).collect()
}

/// The norms of rows whose bytes are written to it.
struct Norms {
    precision: TablePrecision,
    /// Bytes of a row, and those of one that is not whole yet.
    row: usize,
    rest: Vec<u8>,
    sum: f64,
    max: f64,
}

impl Norms {
    fn new(dim: usize, precision: TablePrecision) -> Self {
        Norms { precision, row: dim * precision.bytes(), rest: Vec::new(), sum: 0.0, max: 0.0 }
    }

    fn add(&mut self, row: &[u8]) {
        let half = || -> Vec<u16> { row.chunks_exact(2).map(bytemuck::pod_read_unaligned).collect() };
        let norm = match self.precision {
            TablePrecision::F32 => {
                let row: Vec<f32> = row.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
                norm(Numbers::F32(&row))
            }
            TablePrecision::Bf16 => norm(Numbers::Bf16(&half())),
            TablePrecision::F16 => norm(Numbers::F16(&half())),
        };
        self.sum += norm;
        self.max = self.max.max(norm);
    }
}

fn norm(row: Numbers<'_>) -> f64 {
    row.iter().map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

impl Write for Norms {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut from = bytes;
        if !self.rest.is_empty() {
            let (own, others) = bytes.split_at((self.row - self.rest.len()).min(bytes.len()));
            let mut whole = std::mem::take(&mut self.rest);
            whole.extend_from_slice(own);
            from = others;
            if whole.len() < self.row {
                self.rest = whole;
            } else {
                self.add(&whole);
            }
        }
        let rows = from.chunks_exact(self.row);
        self.rest.extend_from_slice(rows.remainder());
        rows.for_each(|row| self.add(row));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Share of the rows of each table that no training row touched.
fn untouched(weights: &Weights, rows: &EncodedParts<'_>) -> Result<Vec<f64>> {
    let mut touched: Vec<Vec<bool>> = weights.tables().iter().map(|t| vec![false; t.rows]).collect();
    let mut mark = |batch: &Batch| {
        for slot in weights.slots().all() {
            for part in slot.tables() {
                let ids = &batch.bags[slot.feature].ids;
                ids.iter().for_each(|&id| touched[part.table][part.rows.row(id) as usize] = true);
            }
        }
    };
    match rows.stream()? {
        None => mark(&rows.train),
        Some(mut stream) => {
            let mut batch = Batch::new(&rows.layout);
            while stream.append_rows(&mut batch, ROWS_AT_ONCE)? > 0 {
                mark(&batch);
                batch.clear();
            }
        }
    }
    let share = |rows: &Vec<bool>| rows.iter().filter(|&&t| !t).count() as f64 / rows.len().max(1) as f64;
    Ok(touched.iter().map(share).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_come_in_any_pieces() {
        let values: Vec<f32> = (0..21).map(|i| i as f32 - 10.0).collect();
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let found = [1, 3, 5, 12, 13, 84].map(|piece| {
            let mut norms = Norms::new(3, TablePrecision::F32);
            bytes.chunks(piece).for_each(|piece| norms.write_all(piece).expect("nothing refuses"));
            assert!(norms.rest.is_empty());
            (norms.sum.to_bits(), norms.max.to_bits())
        });
        assert!(found.iter().all(|own| *own == found[0]));
        assert_eq!(
            f64::from_bits(found[0].1),
            norm(Numbers::F32(&values[..3])).max(norm(Numbers::F32(&values[18..])))
        );
    }
}
