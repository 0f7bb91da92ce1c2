//! Which process holds which rows of which table, where several share a model.
use std::ops::Range;

/// The rows of a table that this process holds: `first`, `first + every`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldRows {
    first: u32,
    /// 0 where none is held.
    every: u32,
}

impl HeldRows {
    /// All of them.
    pub const ALL: HeldRows = HeldRows { first: 0, every: 1 };
    /// None of them.
    pub const NONE: HeldRows = HeldRows { first: 0, every: 0 };

    /// Those that are `first` modulo `every`.
    pub fn modulo(first: u32, every: u32) -> Self {
        HeldRows { first, every }
    }

    /// Whether it is all of them.
    pub fn is_all(self) -> bool {
        self == HeldRows::ALL
    }

    /// Whether it is none.
    pub fn is_none(self) -> bool {
        self.every == 0
    }

    /// How many of `rows` rows.
    pub fn count(self, rows: usize) -> usize {
        if self.every == 0 {
            0
        } else {
            rows.saturating_sub(self.first as usize).div_ceil(self.every as usize)
        }
    }

    /// Where row `row` of the table stands among those that are held, if it is.
    #[inline]
    pub fn place(self, row: u32) -> Option<u32> {
        match self.every {
            0 => None,
            1 => Some(row),
            every => (row % every == self.first).then_some(row / every),
        }
    }

    /// The row of the table that stands at `place` among those that are held.
    #[inline]
    pub fn row(self, place: usize) -> usize {
        place * self.every as usize + self.first as usize
    }
}

/// Who holds a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// One rank holds all of it.
    Rank(usize),
    /// Row `id` lies with rank `id` modulo the number of ranks. Never by ranges: ids fall by how often they
    /// occur.
    ByRow,
}

/// Who holds the tables of a model, seen from one of those that share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// This rank.
    pub rank: usize,
    /// Number of ranks.
    pub ranks: usize,
    /// Of each table. Empty where this process holds them all.
    pub holders: Vec<Holder>,
}

impl Default for Placement {
    fn default() -> Self {
        Placement { rank: 0, ranks: 1, holders: Vec::new() }
    }
}

impl Placement {
    /// Rows of a table that this rank holds.
    pub fn held(&self, table: usize) -> HeldRows {
        self.held_by(table, self.rank)
    }

    /// Rows of a table that `rank` holds.
    pub fn held_by(&self, table: usize, rank: usize) -> HeldRows {
        match self.holders.get(table) {
            None => HeldRows::ALL,
            Some(Holder::Rank(holder)) if *holder == rank => HeldRows::ALL,
            Some(Holder::Rank(_)) => HeldRows::NONE,
            Some(Holder::ByRow) => HeldRows::modulo(rank as u32, self.ranks as u32),
        }
    }

    /// The dense parameters, of `trained` that are trained, that `rank` updates for all: a run of whole cache
    /// lines.
    pub fn dense_of(&self, rank: usize, trained: usize) -> Range<usize> {
        const LINE: usize = 16;
        let first = |rank: usize| (trained.div_ceil(LINE) * rank / self.ranks * LINE).min(trained);
        first(rank)..first(rank + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_held_once() {
        for (rows, ranks) in (0..40).flat_map(|rows| (1..9).map(move |ranks| (rows, ranks))) {
            let held = |rank| HeldRows::modulo(rank, ranks);
            let mut all: Vec<usize> = Vec::new();
            for rank in 0..ranks {
                let own: Vec<usize> =
                    (0..held(rank).count(rows)).map(|place| held(rank).row(place)).collect();
                for (place, &row) in own.iter().enumerate() {
                    assert_eq!(held(rank).place(row as u32), Some(place as u32));
                    assert!((0..ranks).all(|other| other == rank || held(other).place(row as u32).is_none()));
                }
                all.extend(own);
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows), "{rows} rows, {ranks} ranks");
        }
        for (ranks, trained) in (1..9).flat_map(|ranks| (0..200).map(move |trained| (ranks, trained))) {
            let placement = Placement { ranks, ..Placement::default() };
            let mut next = 0;
            for rank in 0..ranks {
                let own = placement.dense_of(rank, trained);
                assert_eq!(own.start, next, "{ranks} ranks, {trained} parameters");
                next = own.end;
            }
            assert_eq!(next, trained);
        }
        assert_eq!((HeldRows::NONE.count(7), HeldRows::NONE.place(0)), (0, None));
        assert_eq!((HeldRows::ALL.count(7), HeldRows::ALL.place(6)), (7, Some(6)));
    }
}
