//! What rows have in common: values that are computed for one row and taken over by all rows that share its
//! inputs.
//!
//! Candidates of a ranking differ in the columns of the item alone. An operation that reads nothing of these
//! has the same value in all rows. Others have some columns in common: pooled embeddings those of the
//! features that are shared, a concatenation those of its parts, an interaction the pairs of shared vectors
//! where these come first; and a matrix product begins each of its sums with the columns that come first. No
//! bit differs, for no row's value depends on which other rows there are, and a sum is one chain from the
//! first column to the last.
use super::Tape;
use super::columns::Columns;
use super::value::Var;
use crate::graph::GraphNode;
use dlrm_kernels::matmul::CommonSums;
use std::ops::Range;

/// Values of the operations of a tape over one row, as far as other rows share them.
#[derive(Debug, Default)]
pub struct Context {
    nodes: Vec<Common>,
}

/// What rows have in common of one value.
#[derive(Debug, Default)]
struct Common {
    /// Whether it is all there is to compute.
    is_whole: bool,
    /// Ranges of columns with what they hold, where nobody else writes it.
    columns: Vec<(Range<usize>, Vec<f32>)>,
    /// Columns at the beginning that are in common.
    leading: usize,
    /// What the sums of a matrix product begin with.
    sums: Option<CommonSums>,
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
        let mut known: Vec<Columns> = Vec::new();
        let mut nodes = Vec::new();
        for (number, node) in tape.graph().nodes.iter().enumerate() {
            let var = Var::of_node(number);
            let operation = tape.arena.ops[number].as_operation();
            let all = Columns::first(node.width);
            let whole = !node.inputs.is_empty()
                && node
                    .inputs
                    .iter()
                    .all(|&input| known[input] == Columns::first(tape.width(Var::of_node(input))));
            let columns = match () {
                () if !node.slots.is_empty() => embedded(node, shared),
                () if node.inputs.is_empty() => {
                    if shared.dense {
                        all.clone()
                    } else {
                        Columns::default()
                    }
                }
                () if whole => all.clone(),
                () => operation.common_columns(tape, &|x: Var| &known[x.node()]),
            };
            // Dense inputs stay with the batch, which holds them for every row.
            let is_whole = columns == all && (whole || !node.slots.is_empty());
            let keeps = is_whole || !node.slots.is_empty() || operation.leaves_common_out();
            let held = |range: Range<usize>| (range.clone(), tape.value(var)[range].to_vec());
            let sums = (!is_whole).then(|| operation.common_sums(tape, &|x: Var| &known[x.node()])).flatten();
            nodes.push(Common {
                is_whole,
                columns: if keeps { columns.ranges().map(held).collect() } else { Vec::new() },
                leading: columns.leading(),
                sums,
            });
            known.push(columns);
        }
        Context { nodes }
    }

    /// Whether rows have the whole value of a node in common.
    pub(super) fn has(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|common| common.is_whole)
    }

    /// Columns at the beginning of the value of a node that rows have in common.
    pub(super) fn leading(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |common| common.leading)
    }

    /// What the sums of a matrix product begin with.
    pub(super) fn sums(&self, node: usize) -> Option<&CommonSums> {
        self.nodes.get(node)?.sums.as_ref()
    }

    /// Writes what rows have in common of a node into `y`, [S, width].
    pub(super) fn fill(&self, node: usize, y: &mut [f32], width: usize) {
        let Some(common) = self.nodes.get(node).filter(|common| !common.columns.is_empty()) else { return };
        for y in y.chunks_exact_mut(width.max(1)) {
            common.columns.iter().for_each(|(columns, values)| y[columns.clone()].copy_from_slice(values));
        }
    }

    /// Operations whose values are taken over whole, and all of them.
    pub fn counts(&self) -> (usize, usize) {
        (self.nodes.iter().filter(|common| common.is_whole).count(), self.nodes.len())
    }

    /// Columns of what matrix products read whose part of the sums rows have in common.
    pub fn summed_columns(&self) -> usize {
        self.nodes.iter().filter_map(|common| common.sums.as_ref()).map(CommonSums::columns).sum()
    }
}

/// The columns of pooled embeddings whose ids rows share.
fn embedded(node: &GraphNode, shared: SharedInputs<'_>) -> Columns {
    let mut start = 0;
    Columns::of(node.slots.iter().filter_map(|slot| {
        let columns = start..start + slot.dim;
        start = columns.end;
        shared.features.get(slot.feature).is_some_and(|shared| *shared).then_some(columns)
    }))
}
