//! Columns of a value.
use std::ops::Range;

/// Columns of a value, as ranges that neither touch nor are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns(Vec<Range<usize>>);

impl Columns {
    /// Of ranges in their order.
    pub(crate) fn of(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match merged.last_mut().filter(|last| last.end == range.start) {
                Some(last) => last.end = range.end,
                None => merged.push(range),
            }
        }
        Columns(merged)
    }

    /// The first so many.
    pub(crate) fn first(count: usize) -> Self {
        Columns::of(std::iter::once(0..count))
    }

    /// The ranges, in order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().cloned()
    }

    /// These, so many columns further on.
    pub(crate) fn shifted(&self, by: usize) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().map(move |range| range.start + by..range.end + by)
    }

    /// How many there are from the first one on.
    pub(crate) fn leading(&self) -> usize {
        self.0.first().filter(|first| first.start == 0).map_or(0, |first| first.end)
    }
}
