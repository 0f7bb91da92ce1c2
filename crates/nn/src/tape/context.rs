//! What rows have in common: values that are computed for one row and taken over by all rows that share its
//! inputs.
//!
//! Candidates of a ranking differ in the columns of the item alone. An operation that reads nothing of these
//! has the same value in all rows; pooled embeddings have the same columns for the features that are shared.
//! No bit differs, for no row's value depends on which other rows there are.
use super::Tape;
use super::value::Var;
use crate::graph::GraphNode;
use std::ops::Range;

/// Values of the operations of a tape over one row, as far as other rows share them.
#[derive(Debug, Default)]
pub struct Context {
    nodes: Vec<Common>,
}

/// What rows have in common of one value.
#[derive(Debug)]
enum Common {
    Nothing,
    All(Vec<f32>),
    /// Ranges of columns with what they hold.
    Columns(Vec<(Range<usize>, Vec<f32>)>),
}

/// Inputs that rows share.
#[derive(Debug, Clone, Copy)]
pub struct SharedInputs<'a> {
    /// Whether they share all dense ones.
    pub dense: bool,
    /// For each feature of the layout, whether they share its ids.
    pub features: &'a [bool],
}

impl Context {
    /// Of what `tape`, over one row, has recorded.
    ///
    /// # Panics
    /// If it has recorded other than one row.
    pub fn of(tape: &Tape<'_>, shared: SharedInputs<'_>) -> Self {
        assert_eq!(tape.rows(), 1, "the row that others share");
        let mut is_shared: Vec<bool> = Vec::new();
        let mut nodes = Vec::new();
        for (number, node) in tape.graph().nodes.iter().enumerate() {
            let var = Var::of_node(number);
            let (whole, common) = common(node, &is_shared, shared, || tape.value(var));
            is_shared.push(whole);
            nodes.push(common);
        }
        Context { nodes }
    }

    /// Whether rows have the whole value of a node in common.
    pub(super) fn has(&self, node: usize) -> bool {
        matches!(self.nodes.get(node), Some(Common::All(_)))
    }

    /// Writes what rows have in common of a node into `y`, [S, width].
    pub(super) fn fill(&self, node: usize, y: &mut [f32], width: usize) {
        match self.nodes.get(node) {
            Some(Common::All(row)) => y.chunks_exact_mut(width.max(1)).for_each(|y| y.copy_from_slice(row)),
            Some(Common::Columns(parts)) => {
                for y in y.chunks_exact_mut(width.max(1)) {
                    parts.iter().for_each(|(columns, values)| y[columns.clone()].copy_from_slice(values));
                }
            }
            Some(Common::Nothing) | None => {}
        }
    }

    /// Operations whose values are taken over whole, and all of them.
    pub fn counts(&self) -> (usize, usize) {
        (self.nodes.iter().filter(|node| matches!(node, Common::All(_))).count(), self.nodes.len())
    }
}

/// Whether rows share the whole value of a node, and what they have in common of it.
fn common<'t>(
    node: &GraphNode,
    is_shared: &[bool],
    shared: SharedInputs<'_>,
    value: impl Fn() -> &'t [f32],
) -> (bool, Common) {
    let of = |slot: &crate::slot::SlotSpec| shared.features.get(slot.feature).copied().unwrap_or(false);
    if !node.slots.is_empty() {
        if node.slots.iter().all(of) {
            return (true, Common::All(value().to_vec()));
        }
        let mut parts = Vec::new();
        let mut start = 0;
        for slot in &node.slots {
            let columns = start..start + slot.dim;
            start = columns.end;
            if of(slot) {
                parts.push((columns.clone(), value()[columns].to_vec()));
            }
        }
        return (false, Common::Columns(parts));
    }
    if node.inputs.is_empty() {
        // Dense inputs stay with the batch, which holds them for every row.
        return (shared.dense, Common::Nothing);
    }
    match node.inputs.iter().all(|&input| is_shared[input]) {
        true => (true, Common::All(value().to_vec())),
        false => (false, Common::Nothing),
    }
}
