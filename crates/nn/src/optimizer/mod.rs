//! Optimisers: their settings, their state and the step that turns gradients into weights.
//!
//! A step reduces the lanes in a fixed tree, sums every touched table row once and updates it. Work is split
//! by parameter and row ranges, each element being computed the same way whoever does it, so the bits do
//! not depend on the number of threads. Table state exists for rows; only [`TableOptimizer::Adam`] (exact)
//! visits rows that the batch did not touch.
mod settings;

pub(crate) use settings::ftrl;
pub use settings::{DenseOptimizer, L2Rows, TableOptimizer};

use crate::gradients::Gradients;
use crate::profile::{Phase, PhaseTimes, Timing};
use crate::row_index::RowIndex;
use crate::update;
use crate::weights::{Table, Weights};
use dlrm_data::Batch;
use dlrm_kernels::{Buffer, elementwise};
use rayon::prelude::*;
use std::ops::Range;

/// Memory of `len` floats of one value.
fn filled(len: usize, value: f32) -> Buffer {
    let mut buffer = Buffer::zeroed(len);
    if value != 0.0 {
        buffer.fill(value);
    }
    buffer
}

/// State arrays of one table (or of its learned pooling weights, a table of width 1).
#[derive(Debug, Default)]
pub(crate) struct TableState {
    pub(crate) values: Vec<Buffer>,
    pub(crate) row_weights: Vec<Buffer>,
}

/// Learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// For the dense parameters.
    pub dense: f64,
    /// For the tables.
    pub tables: f64,
    /// For the linear part, where it has an optimiser of its own.
    pub linear: f64,
}

/// Settings and state of both optimisers.
#[derive(Debug)]
pub struct Optimizer {
    dense: DenseOptimizer,
    tables: TableOptimizer,
    /// For everything called `linear.…`, where that is not to move like the rest.
    linear: Option<TableOptimizer>,
    /// Bound of the global norm of all gradients, if any.
    clip_norm: Option<f64>,
    l2_rows: L2Rows,
    step: u64,
    dense_state: Vec<Buffer>,
    linear_state: Vec<Buffer>,
    table_state: Vec<TableState>,
    indices: Vec<RowIndex>,
    times: PhaseTimes,
}

impl Optimizer {
    /// Fresh state for `weights`.
    pub fn new(weights: &Weights, dense: DenseOptimizer, tables: TableOptimizer, clip_norm: Option<f64>) -> Self {
        let (l2_rows, linear) = (L2Rows::default(), None);
        let indices = weights.tables.iter().map(|_| RowIndex::default()).collect();
        let (dense_state, table_state) = (Vec::new(), Vec::new());
        let (linear_state, times) = (Vec::new(), PhaseTimes::default());
        Optimizer { dense, tables, linear, clip_norm, l2_rows, step: 0, dense_state, linear_state, table_state, indices, times }
            .started(weights)
    }

    /// The same with an optimiser of its own for the linear part (`linear.…`), tables and dense weights alike, as Wide & Deep
    /// has it. The state is fresh.
    #[must_use]
    pub fn with_linear(self, weights: &Weights, linear: Option<TableOptimizer>) -> Self {
        Optimizer { linear, ..self }.started(weights)
    }

    fn started(mut self, weights: &Weights) -> Self {
        let dense = |optimizer: DenseOptimizer, range: Range<usize>| {
            let mut state: Vec<Buffer> = optimizer.state().into_iter().map(|(_, value)| filled(range.len(), value)).collect();
            optimizer.start(&mut state, &weights.dense[range]);
            state
        };
        let table = |optimizer: TableOptimizer, (rows, dim): (usize, usize), values: &[f32]| {
            let mut state: Vec<Buffer> = optimizer.state(rows, dim).into_iter().map(|(_, len, value)| filled(len, value)).collect();
            optimizer.start(&mut state, values);
            state
        };
        let own = self.linear_range(weights);
        self.dense_state = dense(self.dense, 0..own.start);
        self.linear_state = self.linear.map_or_else(Vec::new, |linear| dense(linear.for_dense(), own));
        let of_table = |t: &Table| TableState {
            values: table(self.of_table(t), (t.rows, t.dim), &t.values),
            row_weights: t.row_weights.as_ref().map_or_else(Vec::new, |weights| table(self.of_table(t), (t.rows, 1), weights)),
        };
        self.table_state = weights.tables.iter().map(of_table).collect();
        self
    }

    /// The optimiser of a table.
    fn of_table(&self, table: &Table) -> TableOptimizer {
        self.linear.filter(|_| table.is_linear()).unwrap_or(self.tables)
    }

    /// The dense weights of the linear part, where they have an optimiser of their own; all before them have the common one.
    fn linear_range(&self, weights: &Weights) -> Range<usize> {
        let start = if self.linear.is_some() { weights.linear_start } else { weights.trained };
        start..weights.trained
    }

    /// The same with another reach of the tables' `l2`.
    #[must_use]
    pub fn with_l2_rows(self, l2_rows: L2Rows) -> Self {
        Optimizer { l2_rows, ..self }
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Sets the number of steps taken (when resuming).
    pub fn set_steps(&mut self, step: u64) {
        self.step = step;
    }

    /// Takes the times of the phases of steps from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> PhaseTimes {
        std::mem::replace(&mut self.times, PhaseTimes::new(timing))
    }

    /// The configured learning rates.
    pub fn base_rates(&self) -> Rates {
        Rates { dense: self.dense.lr(), tables: self.tables.lr(), linear: self.linear.unwrap_or(self.tables).lr() }
    }

    /// State arrays as (name, values), in a fixed order, for checkpoints.
    pub fn tensors(&self, weights: &Weights) -> Vec<(String, &[f32])> {
        let mut all = Vec::new();
        for ((kind, _), values) in self.dense.state().into_iter().zip(&self.dense_state) {
            all.push((format!("dense.{kind}"), &values[..]));
        }
        let linear = self.linear.map_or_else(Vec::new, |linear| linear.for_dense().state());
        for ((kind, _), values) in linear.into_iter().zip(&self.linear_state) {
            all.push((format!("dense.linear.{kind}"), &values[..]));
        }
        for (table, state) in weights.tables.iter().zip(&self.table_state) {
            let kinds = self.of_table(table).state(table.rows, table.dim);
            for ((kind, ..), values) in kinds.iter().zip(&state.values) {
                all.push((format!("{}.{kind}", table.name), &values[..]));
            }
            for ((kind, ..), values) in kinds.iter().zip(&state.row_weights) {
                all.push((format!("{}.{kind}", table.row_weights_name()), &values[..]));
            }
        }
        all
    }

    /// The same for writing, in the same order.
    pub fn tensors_mut(&mut self) -> Vec<&mut [f32]> {
        let tables = self.table_state.iter_mut().flat_map(|s| s.values.iter_mut().chain(s.row_weights.iter_mut()));
        self.dense_state.iter_mut().chain(&mut self.linear_state).chain(tables).map(|b| &mut b[..]).collect()
    }

    /// One update of `weights` from the gradients of `batch`. Uses the current rayon pool.
    /// Returns the global norm of the gradients where clipping asks for it.
    pub fn step(&mut self, weights: &mut Weights, gradients: &mut Gradients, batch: &Batch, rates: Rates) -> Option<f64> {
        self.step += 1;
        self.times.start();
        self.indices.par_iter_mut().enumerate().for_each(|(table, index)| index.build(weights, table, batch));
        self.times.end(Phase::SortIds);
        reduce_lanes(weights, gradients);
        self.times.end(Phase::ReduceGradients);
        let dy = gradients.embedding(weights.embedding_width());
        self.indices.par_iter_mut().for_each(|index| index.multiply(weights, dy));
        let norm = self.clip_norm.map(|_| self.norm(weights, gradients));
        let scale = match (self.clip_norm, norm) {
            // As PyTorch's clip_grad_norm_.
            (Some(clip), Some(norm)) if norm > clip => (clip / (norm + 1e-6)) as f32,
            _ => 1.0,
        };
        if scale != 1.0 {
            gradients.lanes[0].dense[..weights.trained].par_chunks_mut(CHUNK).for_each(|g| g.iter_mut().for_each(|g| *g *= scale));
        }
        self.times.end(Phase::Clip);
        let isa = weights.isa();
        let linear = self.linear_range(weights);
        let dense = update::DenseStep { optimizer: self.dense, lr: rates.dense, step: self.step, isa };
        dense.run(&mut weights.dense[..linear.start], &mut self.dense_state, &gradients.dense()[..linear.start]);
        if let Some(optimizer) = self.linear {
            let dense = update::DenseStep { optimizer: optimizer.for_dense(), lr: rates.linear, ..dense };
            dense.run(&mut weights.dense[linear.clone()], &mut self.linear_state, &gradients.dense()[linear]);
        }
        weights.update_statistics(gradients.dense(), batch.len());
        self.times.end(Phase::DenseUpdate);
        let dy = gradients.embedding(weights.embedding_width());
        let rule = |optimizer: TableOptimizer, lr| update::Rule {
            optimizer,
            lr,
            all_rows: match optimizer {
                TableOptimizer::Adam { .. } => true,
                // Its λ2 is in the weights that a row has had since it was touched.
                TableOptimizer::Ftrl { .. } => false,
                _ => self.l2_rows == L2Rows::All,
            },
        };
        let (common, linear) = (rule(self.tables, rates.tables), self.linear.map(|linear| rule(linear, rates.linear)));
        let tables = update::TableStep { common, linear: linear.unwrap_or(common), step: self.step, scale, isa };
        tables.run(&mut weights.tables, &mut self.table_state, &self.indices, dy);
        self.times.end(Phase::TableUpdate);
        weights.repack();
        self.times.end(Phase::Pack);
        norm
    }

    /// Global norm over dense gradients and summed row gradients.
    fn norm(&self, weights: &Weights, gradients: &Gradients) -> f64 {
        let dy = gradients.embedding(weights.embedding_width());
        let dense = elementwise::sum_of_squares(&gradients.dense()[..weights.trained]);
        let tables: Vec<f64> = (0..weights.tables.len())
            .into_par_iter()
            .map(|t| update::squared_norm(weights.isa(), &weights.tables[t], &self.indices[t], dy))
            .collect();
        (dense + tables.iter().sum::<f64>()).sqrt()
    }
}

/// Floats of a dense parameter range that one task handles.
pub(crate) const CHUNK: usize = 1 << 14;

/// Sums all lanes into lane 0 as a fixed tree: (0+1)+(2+3) and so on.
fn reduce_lanes(weights: &Weights, gradients: &mut Gradients) {
    let isa = weights.isa();
    gradients.lanes.par_iter_mut().for_each(|lane| lane.settle(weights));
    let mut width = 1;
    while width < gradients.lanes.len() {
        for pair in gradients.lanes.chunks_mut(2 * width) {
            if let (left, [right, ..]) = pair.split_at_mut(width.min(pair.len())) {
                let sums = left[0].dense.par_chunks_mut(CHUNK).zip(right.dense.par_chunks(CHUNK));
                sums.for_each(|(left, right)| elementwise::add(isa, left, right));
            }
        }
        width *= 2;
    }
}
