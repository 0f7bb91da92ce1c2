//! Moves the touched rows of tables, in parallel.
use crate::embedding_gradients::EmbeddingGradients;
use crate::init::Init;
use crate::optimizer::settings::{L2Rows, TableOptimizer, adam, ftrl};
use crate::param::Role;
use crate::placement::HeldRows;
use crate::row_index::RowIndex;
use crate::squares::TableSquares;
use crate::table::Table;
use crate::table_memory::{TableMemory, TableState};
use dlrm_kernels::half::{self, Numbers, NumbersMut};
use dlrm_kernels::optimizer::{self as kernel, Adagrad};
use dlrm_kernels::prefetch::prefetch;
use dlrm_kernels::{Isa, elementwise};
use rayon::prelude::*;
use std::ops::Range;

/// How a table is updated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub optimizer: TableOptimizer,
    pub lr: f64,
    /// Whether rows that the batch did not touch are updated too, with a zero gradient.
    pub rows: L2Rows,
    /// What Adam makes of its betas at this step: powers that are no matter of a row.
    adam: kernel::Adam,
}

impl Rule {
    /// At step number `step`.
    pub(crate) fn new(optimizer: TableOptimizer, lr: f64, rows: L2Rows, step: u64) -> Self {
        let adam = match optimizer {
            TableOptimizer::AdamLazy { beta1, beta2, eps, l2, .. }
            | TableOptimizer::Adam { beta1, beta2, eps, l2, .. } => {
                adam(lr as f32, (beta1, beta2), eps, l2, 0.0, step)
            }
            _ => kernel::Adam::default(),
        };
        Rule { optimizer, lr, rows, adam }
    }

    /// Values per row of `dim` of the state array number `array`.
    fn width(&self, array: usize, dim: usize) -> usize {
        match (self.optimizer, array) {
            (TableOptimizer::RowwiseAdagrad { .. }, _) | (TableOptimizer::Ftrl { .. }, 2) => 1,
            _ => dim,
        }
    }
}

/// A step of the tables.
#[derive(Debug)]
pub struct TableStep {
    pub(crate) common: Rule,
    /// Of the tables of the linear part.
    pub(crate) linear: Rule,
    pub(crate) step: u64,
    /// Of the random bits that round the rows of 16-bit numbers, with the step.
    pub(crate) seed: u64,
    /// Factor on every gradient (clipping).
    pub(crate) scale: f32,
    pub(crate) isa: Isa,
}

/// Touched rows `touched` of one table with exactly the memory they need: a run of rows starting at `first`.
struct Task<'a> {
    rule: Rule,
    index: &'a RowIndex,
    touched: Range<usize>,
    first: usize,
    dim: usize,
    /// Which rows of the table `first` and those behind it are.
    held: HeldRows,
    values: NumbersMut<'a>,
    /// What decides how rows of 16-bit numbers are rounded, with their number.
    key: u64,
    state: Vec<&'a mut [f32]>,
    row_weights: &'a mut [f32],
    row_weights_state: Vec<&'a mut [f32]>,
}

impl Task<'_> {
    /// Fetches row `at` with its state.
    fn prefetch(&self, at: usize) {
        let row = at * self.dim..(at + 1) * self.dim;
        match self.values.view().slice(row.clone()) {
            Numbers::F32(row) => prefetch(row),
            Numbers::Bf16(row) | Numbers::F16(row) => prefetch(row),
        }
        for (array, state) in self.state.iter().enumerate() {
            let width = self.rule.width(array, self.dim);
            prefetch(&state[at * width..(at + 1) * width]);
        }
    }
}

/// How many touched rows ahead one is fetched: far enough to hide a miss to memory.
const ROWS_AHEAD: usize = 8;

/// Numbers that are updated by one call where no gradient touched them: enough of them to make little of the
/// call.
const UNTOUCHED: usize = 4096;

/// Uses of rows that one task handles, so that a single large table still feeds several threads.
const USES: usize = 8192;

impl TableStep {
    pub(crate) fn run(&self, tables: &mut [Table], memory: &mut TableMemory, dy: EmbeddingGradients<'_>) {
        let TableMemory { states, indices } = memory;
        let mut tasks = Vec::with_capacity(2 * tables.len());
        for ((table, state), index) in tables.iter_mut().zip(states).zip(indices) {
            self.split(table, state, index, &mut tasks);
        }
        tasks.into_par_iter().for_each_init(Scratch::default, |scratch, task| self.update(task, dy, scratch));
    }

    /// Cuts a table's touched rows into tasks of about [`USES`] uses.
    fn split<'a>(
        &self,
        table: &'a mut Table,
        state: &'a mut TableState,
        index: &'a RowIndex,
        tasks: &mut Vec<Task<'a>>,
    ) {
        let (rows, rule) = (index.rows(), if table.role == Role::Linear { self.linear } else { self.common });
        let (dim, table_rows, held) = (table.dim, table.held_rows(), table.held);
        let key =
            Init::key(self.seed.wrapping_add(self.step.wrapping_mul(0x9E37_79B9_7F4A_7C15)), &table.name);
        let mut values = table.values.view_mut();
        let mut row_weights = table.row_weights.as_deref_mut().unwrap_or_default();
        let mut state_left: Vec<&mut [f32]> = state.values.iter_mut().map(|b| &mut b[..]).collect();
        let mut row_state_left: Vec<&mut [f32]> = state.row_weights.iter_mut().map(|b| &mut b[..]).collect();
        let (mut at, mut touched) = (0, 0);
        while at < table_rows {
            let mut end = touched;
            while end < rows.len()
                && (end == touched || index.uses_before(end) - index.uses_before(touched) < USES)
            {
                end += 1;
            }
            // The last task also owns the rows after its last touched one.
            let next = if end < rows.len() { rows[end] as usize } else { table_rows };
            let count = next - at;
            let (own, others) = values.split_at(count * dim);
            values = others;
            tasks.push(Task {
                rule,
                index,
                touched: touched..end,
                first: at,
                dim,
                held,
                values: own,
                key,
                state: state_left
                    .iter_mut()
                    .enumerate()
                    .map(|(array, s)| take(s, count * rule.width(array, dim)))
                    .collect(),
                row_weights: if row_weights.is_empty() {
                    Default::default()
                } else {
                    take(&mut row_weights, count)
                },
                row_weights_state: row_state_left.iter_mut().map(|s| take(s, count)).collect(),
            });
            (at, touched) = (next, end);
        }
    }

    fn update(&self, mut task: Task<'_>, dy: EmbeddingGradients<'_>, scratch: &mut Scratch) {
        let dim = task.dim;
        let exact = task.rule.rows == L2Rows::All;
        scratch.resize(dim);
        scratch.zero.resize(if exact { dim.max(UNTOUCHED) } else { 0 }, 0.0);
        let Scratch { plain, learned, zero, row } = scratch;
        let mut untouched_from = task.first;
        for i in task.touched.clone() {
            let id = task.index.rows()[i] as usize;
            if exact {
                self.update_untouched(&mut task, untouched_from..id, row, zero);
                untouched_from = id + 1;
            }
            if let Some(&next) = task.index.rows()[..task.touched.end].get(i + ROWS_AHEAD) {
                task.prefetch(next as usize - task.first);
            }
            let any_learned = task.index.sum(self.isa, i, dy, plain, learned);
            let at = id - task.first;
            let mut row_gradient = (exact && !task.row_weights.is_empty()).then_some(0.0);
            if any_learned {
                // y = Σ r·e: the gradient of r is <dy, e>, that of e is r·dy; both from the old values.
                let old = task.values.view().slice(at * dim..(at + 1) * dim);
                row_gradient =
                    Some(learned.iter().zip(old.iter()).map(|(d, e)| d * e).sum::<f32>() * self.scale);
                elementwise::axpy(self.isa, plain, task.row_weights[at], learned);
            }
            if self.scale != 1.0 {
                plain.iter_mut().for_each(|g| *g *= self.scale);
            }
            self.update_row(&mut task, id, row, plain, row_gradient);
        }
        if exact {
            let end = task.first + task.values.view().len() / dim;
            self.update_untouched(&mut task, untouched_from..end, row, zero);
        }
    }

    /// A run of rows whose gradient is zero. `zero` are as many zeros as a row has and some more.
    fn update_untouched(&self, task: &mut Task<'_>, rows: Range<usize>, wide: &mut [f32], zero: &[f32]) {
        // Elsewhere a row has something of its own: a state, or how it is rounded.
        let alike = !matches!(
            task.rule.optimizer,
            TableOptimizer::RowwiseAdagrad { .. } | TableOptimizer::Ftrl { .. }
        );
        let (dim, first) = (task.dim, task.first);
        let at_once = if alike && matches!(task.values, NumbersMut::F32(_)) { zero.len() / dim } else { 1 };
        for start in rows.clone().step_by(at_once) {
            let run = start - first..(start + at_once).min(rows.end) - first;
            let g = &zero[..run.len() * dim];
            match task.values.slice(run.start * dim..run.end * dim) {
                NumbersMut::F32(w) if run.len() > 1 => {
                    self.apply(task.rule, w, &mut task.state, run.clone(), g);
                    if !task.row_weights.is_empty() {
                        let (w, g) = (&mut task.row_weights[run.clone()], &zero[..run.len()]);
                        self.apply(task.rule, w, &mut task.row_weights_state, run, g);
                    }
                }
                _ => self.update_row(task, start, wide, g, Some(0.0)),
            }
        }
    }

    /// Row `id` of the table and, where it has a gradient, its learned pooling weight. `wide` has room for a
    /// row.
    fn update_row(
        &self,
        task: &mut Task<'_>,
        id: usize,
        wide: &mut [f32],
        g: &[f32],
        row_gradient: Option<f32>,
    ) {
        let at = id - task.first;
        match task.values.slice(at * task.dim..(at + 1) * task.dim) {
            NumbersMut::F32(row) => self.apply(task.rule, row, &mut task.state, at..at + 1, g),
            half => {
                half::widen(self.isa, wide, half.view());
                self.apply(task.rule, wide, &mut task.state, at..at + 1, g);
                half::round(self.isa, half, wide, task.key, task.held.row(id) as u64);
            }
        }
        if let Some(gradient) = row_gradient.filter(|_| !task.row_weights.is_empty()) {
            self.apply(
                task.rule,
                &mut task.row_weights[at..=at],
                &mut task.row_weights_state,
                at..at + 1,
                &[gradient],
            );
        }
    }

    /// Rows `rows` of the task, of which `w` are the weights: one, or several where rows have nothing of
    /// their own.
    fn apply(&self, rule: Rule, w: &mut [f32], state: &mut [&mut [f32]], rows: Range<usize>, g: &[f32]) {
        let (isa, lr, dim) = (self.isa, rule.lr as f32, w.len() / rows.len());
        let (at, row) = (rows.start, rows.start * dim..rows.end * dim);
        match (rule.optimizer, state) {
            (TableOptimizer::Sgd { l2, .. }, _) => kernel::sgd(isa, w, g, lr, l2 as f32),
            (TableOptimizer::Adagrad { eps, l2, .. }, [s]) => {
                kernel::adagrad(isa, w, &mut s[row], g, Adagrad { lr, eps: eps as f32, l2: l2 as f32 });
            }
            (TableOptimizer::RowwiseAdagrad { eps, l2, .. }, [s]) => {
                let settings = Adagrad { lr, eps: eps as f32, l2: l2 as f32 };
                kernel::rowwise_adagrad(isa, w, &mut s[at], g, settings);
            }
            (TableOptimizer::AdamLazy { .. }, [m, v]) => {
                kernel::adam_lazy(isa, w, &mut m[row.clone()], &mut v[row], g, rule.adam);
            }
            (TableOptimizer::Adam { .. }, [m, v]) => {
                kernel::adam(isa, w, &mut m[row.clone()], &mut v[row], g, rule.adam);
            }
            (TableOptimizer::Ftrl { beta, l1, l2, .. }, [z, n, rate]) => {
                let settings = ftrl(rule.lr, rate[at], [beta, l1, l2]);
                kernel::ftrl(isa, w, &mut z[row.clone()], &mut n[row], g, settings);
                if lr > 0.0 {
                    rate[at] = lr;
                }
            }
            _ => unreachable!("the optimiser made its own state"),
        }
    }
}

/// Squares of the summed gradients of one table (and of its learned pooling weights).
pub(crate) fn squares(isa: Isa, table: &Table, index: &RowIndex, dy: EmbeddingGradients<'_>) -> TableSquares {
    let mut scratch = Scratch::default();
    scratch.resize(table.dim);
    let Scratch { plain, learned, .. } = &mut scratch;
    let mut found = TableSquares::new(table.held);
    for (i, &id) in index.rows().iter().enumerate() {
        index.sum(isa, i, dy, plain, learned);
        let mut weight = 0.0;
        if let Some(weights) = &table.row_weights {
            let row = table.values.view().slice(id as usize * table.dim..(id as usize + 1) * table.dim);
            let g = learned.iter().zip(row.iter()).map(|(d, e)| d * e).sum::<f32>();
            weight = f64::from(g) * f64::from(g);
            elementwise::axpy(isa, plain, weights[id as usize], learned);
        }
        found.push(id, [weight, elementwise::sum_of_squares(plain)]);
    }
    found
}

/// Cuts `len` floats off the front of `rest`.
fn take<'a>(rest: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (front, back) = std::mem::take(rest).split_at_mut(len);
    *rest = back;
    front
}

/// Row-sized memory of a worker.
#[derive(Default)]
struct Scratch {
    plain: Vec<f32>,
    learned: Vec<f32>,
    /// Only ever zeros.
    zero: Vec<f32>,
    /// A row of 16-bit numbers, widened.
    row: Vec<f32>,
}

impl Scratch {
    fn resize(&mut self, dim: usize) {
        for buffer in [&mut self.plain, &mut self.learned, &mut self.row] {
            buffer.clear();
            buffer.resize(dim, 0.0);
        }
    }
}
