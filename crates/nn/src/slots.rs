//! All uses of tables by features, group by group: the columns of a row of pooled embeddings.
use crate::slot::SlotSpec;
use std::ops::Range;

/// Features embedded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupId(pub(crate) u32);

/// Uses of tables (or pairs of them) by features, in the order in which models embed them.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    slots: Vec<SlotSpec>,
    groups: Vec<Range<usize>>,
}

impl Slots {
    /// Adds a group; its slots get the next columns.
    pub(crate) fn push(&mut self, group: impl IntoIterator<Item = SlotSpec>) -> GroupId {
        let first = self.slots.len();
        for slot in group {
            let column = self.width();
            self.slots.push(SlotSpec { column, ..slot });
        }
        self.groups.push(first..self.slots.len());
        GroupId(self.groups.len() as u32 - 1)
    }

    /// All of them.
    pub fn all(&self) -> &[SlotSpec] {
        &self.slots
    }

    /// Number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Those of a group: they are neighbours.
    pub fn of(&self, group: GroupId) -> &[SlotSpec] {
        &self.slots[self.groups[group.0 as usize].clone()]
    }

    /// The columns of a group.
    pub fn columns(&self, group: GroupId) -> Range<usize> {
        match self.of(group) {
            [] => 0..0,
            [only] => only.column..only.column + only.dim,
            [first, .., last] => first.column..last.column + last.dim,
        }
    }

    /// Columns of all groups side by side.
    pub fn width(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.column + slot.dim)
    }
}
