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
use crate::layer::Packing;
use crate::profile::{Phase, PhaseTimes, Timing};
use crate::row_index::RowIndex;
use crate::update;
use crate::weights::{Table, Weights};
use dlrm_data::Batch;
use dlrm_kernels::half::Numbers;
use dlrm_kernels::{Buffer, Isa, elementwise};
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
    pub fn new(
        weights: &Weights,
        dense: DenseOptimizer,
        tables: TableOptimizer,
        clip_norm: Option<f64>,
    ) -> Self {
        let (l2_rows, linear) = (L2Rows::default(), None);
        let indices = weights.tables.iter().map(|_| RowIndex::default()).collect();
        let (dense_state, table_state) = (Vec::new(), Vec::new());
        let (linear_state, times) = (Vec::new(), PhaseTimes::default());
        Optimizer {
            dense,
            tables,
            linear,
            clip_norm,
            l2_rows,
            step: 0,
            dense_state,
            linear_state,
            table_state,
            indices,
            times,
        }
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
            let mut state: Vec<Buffer> =
                optimizer.state().into_iter().map(|(_, value)| filled(range.len(), value)).collect();
            optimizer.start(&mut state, Numbers::F32(&weights.dense[range]));
            state
        };
        let table = |optimizer: TableOptimizer, (rows, dim): (usize, usize), values: Numbers<'_>| {
            let mut state: Vec<Buffer> =
                optimizer.state(rows, dim).into_iter().map(|(_, len, value)| filled(len, value)).collect();
            optimizer.start(&mut state, values);
            state
        };
        let own = self.linear_range(weights);
        self.dense_state = dense(self.dense, 0..own.start);
        self.linear_state = self.linear.map_or_else(Vec::new, |linear| dense(linear.for_dense(), own));
        let of_table = |t: &Table| TableState {
            values: table(self.of_table(t), (t.rows, t.dim), t.values.view()),
            row_weights: t
                .row_weights
                .as_ref()
                .map_or_else(Vec::new, |weights| table(self.of_table(t), (t.rows, 1), Numbers::F32(weights))),
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
        Rates {
            dense: self.dense.lr(),
            tables: self.tables.lr(),
            linear: self.linear.unwrap_or(self.tables).lr(),
        }
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
        let tables =
            self.table_state.iter_mut().flat_map(|s| s.values.iter_mut().chain(s.row_weights.iter_mut()));
        self.dense_state.iter_mut().chain(&mut self.linear_state).chain(tables).map(|b| &mut b[..]).collect()
    }

    /// One update of `weights` from the gradients of `batch`. Uses the current rayon pool.
    /// Returns the global norm of the gradients where clipping asks for it.
    pub fn step(
        &mut self,
        weights: &mut Weights,
        gradients: &mut Gradients,
        batch: &Batch,
        rates: Rates,
    ) -> Option<f64> {
        self.step += 1;
        let mut times = std::mem::take(&mut self.times);
        times.start();
        let isa = weights.isa();
        let mut indices = std::mem::take(&mut self.indices);
        let linear = self.linear_range(weights);
        let Weights { slots, tables, dense, .. } = &mut *weights;
        let build =
            |(table, index): (usize, &mut RowIndex)| index.build(slots, (table, tables[table].rows), batch);
        // Nothing of the dense parameters depends on the ids, except through the norm.
        let clip = self.clip_norm.is_some();
        let phases = [Phase::SortIds, if clip { Phase::Clip } else { Phase::DenseUpdate }];
        both(
            (&mut times, phases),
            || indices.par_iter_mut().enumerate().for_each(build),
            || {
                if clip {
                    gradients.reduce(isa)
                } else {
                    self.dense_step((isa, 1.0), dense, linear.clone(), gradients, rates)
                }
            },
        );
        let dy = gradients.embedding(weights.embedding_width());
        indices.par_iter_mut().for_each(|index| index.multiply(weights, dy));
        self.indices = indices;
        let norm = self.clip_norm.map(|_| self.norm(weights, gradients));
        let scale = match (self.clip_norm, norm) {
            // As PyTorch's clip_grad_norm_.
            (Some(clip), Some(norm)) if norm > clip => (clip / (norm + 1e-6)) as f32,
            _ => 1.0,
        };
        times.end(Phase::Clip);
        if norm.is_some() {
            self.dense_step((isa, scale), &mut weights.dense, linear, gradients, rates);
        }
        weights.update_statistics(gradients.dense(), batch.len());
        times.end(Phase::DenseUpdate);
        let dy = gradients.embedding(weights.embedding_width());
        let (common, linear) =
            (self.rule(self.tables, rates.tables), self.linear.map(|linear| self.rule(linear, rates.linear)));
        let tables = update::TableStep {
            common,
            linear: linear.unwrap_or(common),
            step: self.step,
            seed: weights.seed(),
            scale,
            isa,
        };
        let (values, packing) = weights.packing();
        both(
            (&mut times, [Phase::TableUpdate, Phase::Pack]),
            || tables.run(values, &mut self.table_state, &self.indices, dy),
            || packing.into_par_iter().for_each(Packing::run),
        );
        self.times = times;
        norm
    }

    /// Sums the lanes and updates the dense parameters, chunk by chunk; those of the linear part, `linear`, by their own rule.
    fn dense_step(
        &mut self,
        (isa, scale): (Isa, f32),
        w: &mut [f32],
        linear: Range<usize>,
        gradients: &mut Gradients,
        rates: Rates,
    ) {
        let common =
            update::DenseStep { optimizer: self.dense, lr: rates.dense, step: self.step, scale, isa };
        common.run(&mut w[..linear.start], &mut self.dense_state, gradients.sums(isa, 0..linear.start));
        if let Some(optimizer) = self.linear {
            let own = update::DenseStep { optimizer: optimizer.for_dense(), lr: rates.linear, ..common };
            own.run(&mut w[linear.clone()], &mut self.linear_state, gradients.sums(isa, linear.clone()));
        }
        // Behind them lie the statistics of batch normalisation, which only want to be summed.
        gradients.sums(isa, linear.end..w.len()).for_each(|_| {});
    }

    /// How tables with this optimiser are updated.
    fn rule(&self, optimizer: TableOptimizer, lr: f64) -> update::Rule {
        let all_rows = match optimizer {
            TableOptimizer::Adam { .. } => true,
            // Its λ2 is in the weights that a row has had since it was touched.
            TableOptimizer::Ftrl { .. } => false,
            _ => self.l2_rows == L2Rows::All,
        };
        update::Rule { optimizer, lr, all_rows }
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

/// Both at once; one after the other where times are taken, so that each has its own.
fn both((times, phases): (&mut PhaseTimes, [Phase; 2]), a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if times.timing == Timing::Off {
        rayon::join(a, b);
        return;
    }
    a();
    times.end(phases[0]);
    b();
    times.end(phases[1]);
}
