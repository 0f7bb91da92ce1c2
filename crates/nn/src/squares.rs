//! Squares of the gradients of tables, for their norm: summed in the order of rows, wherever these lie.
use crate::placement::HeldRows;

/// Squares of the gradients of the touched rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSquares {
    held: HeldRows,
    /// Of the rows so far, where all are here.
    sum: f64,
    /// Where others hold rows between them: each row, with the square of the gradient of its learned pooling
    /// weight and those of its numbers.
    rows: Vec<(u32, [f64; 2])>,
}

impl TableSquares {
    /// Of no row yet.
    pub(crate) fn new(held: HeldRows) -> Self {
        TableSquares { held, sum: 0.0, rows: Vec::new() }
    }

    /// Adds the row at `place` among those that are held; they come in ascending order.
    pub(crate) fn push(&mut self, place: u32, squares: [f64; 2]) {
        if self.held.is_all() {
            self.sum += squares[0];
            self.sum += squares[1];
        } else {
            self.rows.push((self.held.row(place as usize) as u32, squares));
        }
    }

    /// Adds the rows of another process.
    pub fn join(&mut self, other: TableSquares) {
        match (self.held.is_all(), other.held.is_all()) {
            (false, true) => *self = other,
            (true, _) => {}
            (false, false) => self.rows.extend(other.rows),
        }
    }

    /// Their sum, row by row.
    pub(crate) fn sum(mut self) -> f64 {
        self.rows.sort_unstable_by_key(|(row, _)| *row);
        self.rows.iter().fold(self.sum, |sum, (_, squares)| sum + squares[0] + squares[1])
    }

    /// As bytes, for other processes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.sum.to_le_bytes());
        out.extend(u32::from(self.held.is_all()).to_le_bytes());
        out.extend((self.rows.len() as u32).to_le_bytes());
        for (row, squares) in &self.rows {
            out.extend(row.to_le_bytes());
            squares.iter().for_each(|square| out.extend(square.to_le_bytes()));
        }
    }

    /// Takes those of a table off the front of `rest`, if they are there.
    pub fn read(rest: &mut &[u8]) -> Option<Self> {
        let sum = f64::from_le_bytes(take(rest)?);
        let held = if u32::from_le_bytes(take(rest)?) == 1 { HeldRows::ALL } else { HeldRows::NONE };
        let count = u32::from_le_bytes(take(rest)?);
        let mut row = || {
            let row = u32::from_le_bytes(take(rest)?);
            Some((row, [f64::from_le_bytes(take(rest)?), f64::from_le_bytes(take(rest)?)]))
        };
        let rows = (0..count).map(|_| row()).collect::<Option<_>>()?;
        Some(TableSquares { held, sum, rows })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (front, back) = rest.split_first_chunk::<N>()?;
    *rest = back;
    Some(*front)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_lie_apart_sum_to_the_same_bits() {
        let rows: Vec<[f64; 2]> =
            (0..57).map(|i| [0.1 / f64::from(i + 1), 1e-9 * f64::from(i * i)]).collect();
        let mut whole = TableSquares::new(HeldRows::ALL);
        (0..).zip(&rows).for_each(|(row, squares)| whole.push(row, *squares));
        for ranks in 1..5 {
            let mut all = TableSquares::new(HeldRows::NONE);
            for rank in 0..ranks {
                let held = HeldRows::modulo(rank, ranks);
                let mut own = TableSquares::new(held);
                for place in 0..held.count(rows.len()) {
                    own.push(place as u32, rows[held.row(place)]);
                }
                let mut bytes = Vec::new();
                own.write(&mut bytes);
                let mut rest = &bytes[..];
                all.join(TableSquares::read(&mut rest).expect("what was written"));
                assert!(rest.is_empty());
            }
            assert_eq!(all.sum().to_bits(), whole.clone().sum().to_bits(), "{ranks} ranks");
        }
        let mut none = TableSquares::new(HeldRows::NONE);
        none.join(whole.clone());
        assert_eq!(none, whole);
    }
}
