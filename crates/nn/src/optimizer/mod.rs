//! Optimisers: their settings, their state and the step that turns gradients into weights.
//!
//! A step reduces the lanes in a fixed tree, sums every touched table row once and updates it. Work is split
//! by parameter and row ranges, each element being computed the same way whoever does it, so the bits do
//! not depend on the number of threads. Table state exists for rows; only [`TableOptimizer::Adam`] (exact)
//! visits rows that the batch did not touch.
pub(crate) mod settings;

pub use settings::{DenseOptimizer, L2Rows, TableOptimizer};

use crate::among::{Alone, Among};
use crate::dense_step::DenseStep;
use crate::gradients::Gradients;
use crate::local_tables::LocalTables;
use crate::packed_matrix::Packing;
use crate::param::Role;
use crate::profile::{Phase, PhaseTimes, Timing};
use crate::row_index::RowIndex;
use crate::squares::TableSquares;
use crate::table::Table;
use crate::table_memory::{TableMemory, TableState};
use crate::table_step::{Rule, TableStep};
use crate::weights::Weights;
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

/// Updates the tables, and packs the dense weights: at the same time, unless some of these are on their way.
fn update_tables(
    weights: &mut Weights,
    times: &mut PhaseTimes,
    among: &mut dyn Among,
    update: impl FnOnce(&mut LocalTables) + Send,
) {
    if !among.is_alone() {
        update(&mut weights.tables);
        times.end(Phase::TableUpdate);
        let trained = weights.trained;
        among.receive(&mut weights.dense[..trained]);
        weights.packing().1.into_par_iter().for_each(Packing::run);
        times.end(Phase::Pack);
        return;
    }
    let (tables, packing) = weights.packing();
    let pack = || packing.into_par_iter().for_each(Packing::run);
    both((times, [Phase::TableUpdate, Phase::Pack]), || update(tables), pack);
}

/// What an array of an optimiser's state follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOf {
    /// Nothing: it is one number for all.
    All,
    /// The dense parameters from this one on.
    Dense(usize),
    /// The rows of the table of this number.
    Table(usize),
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
    /// For everything of the role [`Role::Linear`], where that is not to move like the rest.
    linear: Option<TableOptimizer>,
    /// Bound of the global norm of all gradients, if any.
    clip_norm: Option<f64>,
    l2_rows: L2Rows,
    step: u64,
    dense_state: Vec<Buffer>,
    linear_state: Vec<Buffer>,
    table_memory: TableMemory,
    /// Whether the ids of the batch of the next step are sorted.
    is_indexed: bool,
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
        Optimizer {
            dense,
            tables,
            linear: None,
            clip_norm,
            l2_rows: L2Rows::default(),
            step: 0,
            dense_state: Vec::new(),
            linear_state: Vec::new(),
            table_memory: TableMemory::default(),
            is_indexed: false,
            times: PhaseTimes::default(),
        }
        .started(weights)
    }

    /// With an optimiser of its own for the linear part ([`Role::Linear`]), tables and dense weights alike,
    /// as Wide & Deep has it. The state is fresh.
    #[must_use]
    pub fn with_linear(self, weights: &Weights, linear: Option<TableOptimizer>) -> Self {
        let fresh = self.step == 0 && linear == self.linear;
        if fresh { self } else { Optimizer { linear, ..self }.started(weights) }
    }

    fn started(mut self, weights: &Weights) -> Self {
        let dense = |optimizer: DenseOptimizer, range: Range<usize>| {
            let state = optimizer.state(range.len());
            let mut state: Vec<Buffer> =
                state.into_iter().map(|(_, len, value)| filled(len, value)).collect();
            optimizer.start(&mut state, Numbers::F32(&weights.dense[range]));
            state
        };
        let table = |optimizer: TableOptimizer, (rows, dim): (usize, usize), values: Numbers<'_>| {
            let mut state: Vec<Buffer> =
                optimizer.state(rows, dim).into_iter().map(|(_, len, value)| filled(len, value)).collect();
            optimizer.start(&mut state, values);
            state
        };
        // What was there goes first: both would not fit where one just does.
        (self.dense_state, self.linear_state) = (Vec::new(), Vec::new());
        self.table_memory = TableMemory::default();
        let own = self.linear_range(weights);
        self.dense_state = dense(self.dense, 0..own.start);
        self.linear_state = self.linear.map_or_else(Vec::new, |linear| dense(linear.for_dense(), own));
        let of_table = |t: &Table| TableState {
            values: table(self.of_table(t), (t.held_rows(), t.dim), t.values.view()),
            row_weights: t.row_weights.as_ref().map_or_else(Vec::new, |weights| {
                table(self.of_table(t), (t.held_rows(), 1), Numbers::F32(weights))
            }),
        };
        let tables = weights.tables();
        self.table_memory = TableMemory {
            states: tables.iter().map(of_table).collect(),
            indices: tables.iter().map(|_| RowIndex::default()).collect(),
        };
        self
    }

    /// The optimiser of a table.
    fn of_table(&self, table: &Table) -> TableOptimizer {
        self.linear.filter(|_| table.role == Role::Linear).unwrap_or(self.tables)
    }

    /// The dense weights of the linear part, where they have an optimiser of their own; all before them have
    /// the common one.
    fn linear_range(&self, weights: &Weights) -> Range<usize> {
        let start = if self.linear.is_some() { weights.linear_start } else { weights.trained };
        start..weights.trained
    }

    /// With another reach of the tables' `l2`.
    #[must_use]
    pub fn with_l2_rows(self, l2_rows: L2Rows) -> Self {
        Optimizer { l2_rows, ..self }
    }

    /// Whether it bounds the norm of all gradients, for which each process needs all that are dense.
    pub fn clips(&self) -> bool {
        self.clip_norm.is_some()
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
        for ((kind, ..), values) in self.dense.state(0).into_iter().zip(&self.dense_state) {
            all.push((format!("dense.{kind}"), &values[..]));
        }
        let linear = self.linear.map_or_else(Vec::new, |linear| linear.for_dense().state(0));
        for ((kind, ..), values) in linear.into_iter().zip(&self.linear_state) {
            all.push((format!("dense.linear.{kind}"), &values[..]));
        }
        for (table, state) in weights.tables().iter().zip(&self.table_memory.states) {
            let kinds = self.of_table(table).state(table.rows, table.dim);
            for ((kind, ..), values) in kinds.iter().zip(&state.values) {
                all.push((format!("{}.{kind}", table.name), &values[..]));
            }
            for ((kind, ..), values) in kinds.iter().zip(&state.row_weights) {
                all.push((format!("{}.{kind}", table.row_weights_name), &values[..]));
            }
        }
        all
    }

    /// The arrays of [`Optimizer::tensors`] as they are where all is in one place: name, length, and what
    /// they are the state of.
    pub fn shapes(&self, weights: &Weights) -> Vec<(String, usize, StateOf)> {
        let linear = self.linear_range(weights);
        let all = self.tensors(weights).into_iter().map(|(name, values)| (name, values.len(), StateOf::All));
        let mut all: Vec<_> = all.collect();
        let mut at = self.dense_state.len() + self.linear_state.len();
        for (number, (_, len, of)) in all[..at].iter_mut().enumerate() {
            let range = if number < self.dense_state.len() { 0..linear.start } else { linear.clone() };
            if *len == range.len() {
                *of = StateOf::Dense(range.start);
            }
        }
        for (number, (table, state)) in weights.tables().iter().zip(&self.table_memory.states).enumerate() {
            let len = |dim: usize| self.of_table(table).state(table.rows, dim);
            let lens = len(table.dim).into_iter().take(state.values.len());
            let lens = lens.chain(len(1).into_iter().take(state.row_weights.len()));
            for (_, len, _) in lens {
                (all[at].1, all[at].2) = (len, StateOf::Table(number));
                at += 1;
            }
        }
        all
    }

    /// The arrays of [`Optimizer::tensors`] for writing, in the same order.
    pub fn tensors_mut(&mut self) -> Vec<&mut [f32]> {
        let states = &mut self.table_memory.states;
        let tables = states.iter_mut().flat_map(|s| s.values.iter_mut().chain(s.row_weights.iter_mut()));
        self.dense_state.iter_mut().chain(&mut self.linear_state).chain(tables).map(|b| &mut b[..]).collect()
    }

    /// Sorts the ids of the batch that the next step is on, which no gradient decides: for who would only
    /// wait otherwise. Uses the current rayon pool.
    pub fn index(&mut self, weights: &Weights, batch: &Batch) {
        weights.tables.index(batch, &mut self.table_memory);
        self.is_indexed = true;
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
        self.step_among(weights, gradients, (batch, rates), &mut Alone)
    }

    /// As [`Optimizer::step`], where others share the weights.
    pub fn step_among(
        &mut self,
        weights: &mut Weights,
        gradients: &mut Gradients,
        (batch, rates): (&Batch, Rates),
        among: &mut dyn Among,
    ) -> Option<f64> {
        self.step += 1;
        let mut times = std::mem::take(&mut self.times);
        let mut memory = std::mem::take(&mut self.table_memory);
        let is_indexed = std::mem::take(&mut self.is_indexed);
        times.start();
        let (linear, isa) = (self.linear_range(weights), weights.isa());
        let ranges = [among.own(weights.trained), linear];
        let Weights { tables: store, dense, .. } = &mut *weights;
        // Nothing of the dense parameters depends on the ids, except through the norm.
        both(
            (
                &mut times,
                [Phase::SortIds, if self.clip_norm.is_some() { Phase::Clip } else { Phase::DenseUpdate }],
            ),
            || {
                if !is_indexed {
                    store.index(batch, &mut memory);
                }
            },
            || match self.clip_norm {
                Some(_) => gradients.reduce(isa),
                None => self.dense_step((isa, 1.0), dense, &ranges, gradients, rates),
            },
        );
        let norm = self.clip_norm.map(|_| norm(weights, gradients, &mut memory, among));
        let scale = self.clip_factor(norm);
        times.end(Phase::Clip);
        if norm.is_some() {
            self.dense_step((isa, scale), &mut weights.dense, &ranges, gradients, rates);
        }
        among.send(&weights.dense[..weights.trained]);
        weights.update_statistics(gradients.dense(), batch.len());
        times.end(Phase::DenseUpdate);
        let dy = gradients.embedding();
        let step = self.table_step(weights, scale, rates);
        update_tables(weights, &mut times, among, |tables| tables.apply(dy, &mut memory, &step));
        self.times = times;
        self.table_memory = memory;
        norm
    }

    /// The factor on gradients of this norm, as PyTorch's `clip_grad_norm_` has it.
    fn clip_factor(&self, norm: Option<f64>) -> f32 {
        match (self.clip_norm, norm) {
            (Some(clip), Some(norm)) if norm > clip => (clip / (norm + 1e-6)) as f32,
            _ => 1.0,
        }
    }

    /// How the tables move in this step.
    fn table_step(&self, weights: &Weights, scale: f32, rates: Rates) -> TableStep {
        let common = self.rule(self.tables, rates.tables);
        TableStep {
            common,
            linear: self.linear.map_or(common, |linear| self.rule(linear, rates.linear)),
            step: self.step,
            seed: weights.seed(),
            scale,
            isa: weights.isa(),
        }
    }

    /// Sums the lanes and updates the dense parameters of the first range, chunk by chunk; those of the
    /// linear part, the second one, by their own rule.
    fn dense_step(
        &mut self,
        (isa, scale): (Isa, f32),
        w: &mut [f32],
        [own, linear]: &[Range<usize>; 2],
        gradients: &mut Gradients,
        rates: Rates,
    ) {
        let common = DenseStep { optimizer: self.dense, lr: rates.dense, step: self.step, scale, isa };
        let range = own.start.min(linear.start)..own.end.min(linear.start);
        let mut state = parts(&mut self.dense_state, &(0..linear.start), &range);
        common.run(&mut w[range.clone()], &mut state, gradients.sums(isa, range));
        if let Some(optimizer) = self.linear {
            let step = DenseStep { optimizer: optimizer.for_dense(), lr: rates.linear, ..common };
            let range = own.start.max(linear.start)..own.end.max(linear.start);
            let mut state = parts(&mut self.linear_state, linear, &range);
            step.run(&mut w[range.clone()], &mut state, gradients.sums(isa, range));
        }
        // Behind them lie the statistics of batch normalisation, which only want to be summed.
        gradients.sums(isa, linear.end..w.len()).for_each(|_| {});
    }

    /// How tables with this optimiser are updated.
    fn rule(&self, optimizer: TableOptimizer, lr: f64) -> Rule {
        let rows = match optimizer {
            TableOptimizer::Adam { .. } => L2Rows::All,
            // Its λ2 is in the weights that a row has had since it was touched.
            TableOptimizer::Ftrl { .. } => L2Rows::Touched,
            _ => self.l2_rows,
        };
        Rule::new(optimizer, lr, rows, self.step)
    }
}

/// Of the state of the parameters `all` that of `range`. What is no matter of a parameter is whole.
fn parts<'s>(state: &'s mut [Buffer], all: &Range<usize>, range: &Range<usize>) -> Vec<&'s mut [f32]> {
    let within = range.start - all.start..range.end - all.start;
    let part = |array: &'s mut Buffer| {
        if array.len() == all.len() { &mut array[within.clone()] } else { &mut array[..] }
    };
    state.iter_mut().map(part).collect()
}

/// Global norm over dense gradients and summed row gradients.
fn norm(weights: &Weights, gradients: &Gradients, memory: &mut TableMemory, among: &mut dyn Among) -> f64 {
    let dy = gradients.embedding();
    let dense = elementwise::sum_of_squares(&gradients.dense()[..weights.trained]);
    let tables = among.squares(weights.tables.squares(dy, memory));
    (dense + tables.into_iter().map(TableSquares::sum).sum::<f64>()).sqrt()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Bias, Builder, TablePrecision};
    use dlrm_data::batch::Layout;

    /// State is as large as the weights or twice so: it is made once.
    #[test]
    fn no_second_state_is_made_where_nothing_changes() {
        let layout = Layout::default();
        let mut b = Builder::new(&layout);
        b.linear("layer", 3, 2, Activation::Relu, Bias::Zero).unwrap();
        b.linear_part(|b| b.param("linear.bias", &[1], crate::init::Init::Zero));
        let weights = b.finish(1, Isa::detect(), TablePrecision::F32);
        let dense = DenseOptimizer::Adagrad { lr: 0.1, eps: 1e-10, initial_accumulator: 0.5, l2: 0.0 };
        let tables = TableOptimizer::Sgd { lr: 0.1, l2: 0.0 };
        let optimizer = Optimizer::new(&weights, dense, tables, None);
        let place = optimizer.tensors(&weights)[0].1.as_ptr();
        let optimizer = optimizer.with_linear(&weights, None);
        assert_eq!(optimizer.tensors(&weights)[0].1.as_ptr(), place);
        let ftrl = TableOptimizer::Ftrl { lr: 0.1, beta: 1.0, l1: 0.0, l2: 0.0 };
        let optimizer = optimizer.with_linear(&weights, Some(ftrl));
        let names: Vec<String> = optimizer.tensors(&weights).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["dense.sum", "dense.linear.z", "dense.linear.n", "dense.linear.rate"]);
    }
}
