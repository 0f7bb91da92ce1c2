//! Optimisers: their settings, their state and the step that turns gradients into weights.
//!
//! A step reduces the lanes in a fixed tree, sums every touched table row once and updates it. Work is split
//! by parameter and row ranges, each element being computed the same way whoever does it, so the bits do
//! not depend on the number of threads. Table state exists for rows; only [`TableOptimizer::Adam`] (exact)
//! visits rows that the batch did not touch.
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::row_index::RowIndex;
use crate::update;
use crate::weights::{Table, Weights};
use dlrm_data::Batch;
use dlrm_kernels::{Buffer, elementwise, optimizer as kernel};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Optimiser of the dense parameters. `l2` is added to the gradient as l2·w.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum DenseOptimizer {
    /// Stochastic gradient descent with (heavy-ball) momentum.
    Sgd {
        lr: f64,
        #[serde(default)]
        momentum: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Adagrad (Duchi et al. 2011).
    Adagrad {
        lr: f64,
        #[serde(default = "adagrad_eps")]
        eps: f64,
        #[serde(default)]
        initial_accumulator: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Adam (Kingma and Ba 2015).
    Adam {
        lr: f64,
        #[serde(default = "beta1")]
        beta1: f64,
        #[serde(default = "beta2")]
        beta2: f64,
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw {
        lr: f64,
        #[serde(default = "beta1")]
        beta1: f64,
        #[serde(default = "beta2")]
        beta2: f64,
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default = "weight_decay")]
        weight_decay: f64,
    },
    /// FTRL-Proximal (McMahan et al. 2013): α is `lr`; `l1` makes weights exactly zero.
    Ftrl {
        lr: f64,
        #[serde(default = "ftrl_beta")]
        beta: f64,
        #[serde(default)]
        l1: f64,
        #[serde(default)]
        l2: f64,
    },
}

/// Which rows of a table `l2` pulls towards zero in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L2Rows {
    /// Those that the batch touched: a step costs what the batch costs. (Exact Adam always visits all.)
    #[default]
    Touched,
    /// All, as if ½·l2·‖W‖² were part of the loss (FuxiCTR's regularisation). A step costs the size of the table.
    All,
}

/// Optimiser of the tables. `l2` is added as l2·w to the gradient, see [`L2Rows`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum TableOptimizer {
    /// Stochastic gradient descent.
    Sgd {
        lr: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Adagrad with one accumulator per element.
    Adagrad {
        lr: f64,
        #[serde(default = "adagrad_eps")]
        eps: f64,
        #[serde(default)]
        initial_accumulator: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Adagrad with one accumulator per row (the reference's `rwsadagrad`).
    RowwiseAdagrad {
        lr: f64,
        #[serde(default = "adagrad_eps")]
        eps: f64,
        #[serde(default)]
        initial_accumulator: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Adam on touched rows only (PyTorch's `SparseAdam`).
    AdamLazy {
        lr: f64,
        #[serde(default = "beta1")]
        beta1: f64,
        #[serde(default = "beta2")]
        beta2: f64,
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default)]
        l2: f64,
    },
    /// Exact Adam: every row's moments decay at every step. A step costs the size of the table.
    Adam {
        lr: f64,
        #[serde(default = "beta1")]
        beta1: f64,
        #[serde(default = "beta2")]
        beta2: f64,
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default)]
        l2: f64,
    },
    /// FTRL-Proximal (McMahan et al. 2013) on touched rows: α is `lr`; `l1` makes weights exactly zero.
    Ftrl {
        lr: f64,
        #[serde(default = "ftrl_beta")]
        beta: f64,
        #[serde(default)]
        l1: f64,
        #[serde(default)]
        l2: f64,
    },
}

fn adagrad_eps() -> f64 {
    1e-10
}
fn adam_eps() -> f64 {
    1e-8
}
fn beta1() -> f64 {
    0.9
}
fn beta2() -> f64 {
    0.999
}
fn weight_decay() -> f64 {
    0.01
}
fn ftrl_beta() -> f64 {
    1.0
}

/// What a setting may be: in words, and the bound that it must stay below.
type Bound = (&'static str, f64);
const NOT_NEGATIVE: Bound = ("a finite number, at least 0", f64::INFINITY);
const BELOW_ONE: Bound = ("at least 0 and below 1", 1.0);

/// Settings of a step at the rate `lr`.
pub(crate) fn ftrl(lr: f64, beta: f64, l1: f64, l2: f64) -> kernel::Ftrl {
    kernel::Ftrl { lr: lr as f32, beta: beta as f32, l1: l1 as f32, l2: l2 as f32 }
}

/// FTRL divides by its rate.
fn ftrl_settings(lr: f64, beta: f64, l1: f64, l2: f64) -> Result<()> {
    if lr == 0.0 {
        return Err(Error::new("lr", "a positive number for ftrl", "0"));
    }
    all(&[("beta", beta, NOT_NEGATIVE), ("l1", l1, NOT_NEGATIVE), ("l2", l2, NOT_NEGATIVE)])
}

fn all(settings: &[(&str, f64, Bound)]) -> Result<()> {
    match settings.iter().find(|(_, value, (_, below))| !(*value >= 0.0 && value < below)) {
        Some((name, value, (expected, _))) => Err(Error::new(*name, *expected, value.to_string())),
        None => Ok(()),
    }
}

impl DenseOptimizer {
    /// Learning rate before any schedule.
    pub fn lr(&self) -> f64 {
        match *self {
            Self::Sgd { lr, .. } | Self::Adagrad { lr, .. } | Self::Adam { lr, .. } | Self::Adamw { lr, .. } | Self::Ftrl { lr, .. } => lr,
        }
    }

    /// Settings that cannot be.
    ///
    /// # Errors
    /// The first one found.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Sgd { momentum, l2, .. } => all(&[("momentum", momentum, BELOW_ONE), ("l2", l2, NOT_NEGATIVE)]),
            Self::Adagrad { eps, initial_accumulator, l2, .. } => {
                all(&[("eps", eps, NOT_NEGATIVE), ("initial_accumulator", initial_accumulator, NOT_NEGATIVE), ("l2", l2, NOT_NEGATIVE)])
            }
            Self::Adam { beta1, beta2, eps, l2: decay, .. } | Self::Adamw { beta1, beta2, eps, weight_decay: decay, .. } => {
                all(&[("beta1", beta1, BELOW_ONE), ("beta2", beta2, BELOW_ONE), ("eps", eps, NOT_NEGATIVE), ("decay", decay, NOT_NEGATIVE)])
            }
            Self::Ftrl { lr, beta, l1, l2 } => ftrl_settings(lr, beta, l1, l2),
        }
    }

    /// Fits fresh `state` to the weights that it starts from.
    fn start(&self, state: &mut [Buffer], weights: &[f32]) {
        if let (Self::Ftrl { lr, beta, l1, l2 }, [z, ..]) = (*self, state) {
            kernel::ftrl_start(z, weights, 0.0, ftrl(lr, beta, l1, l2));
        }
    }

    /// Names and initial values of the state arrays, each as long as the parameters.
    fn state(&self) -> Vec<(&'static str, f32)> {
        match *self {
            Self::Sgd { momentum: 0.0, .. } => vec![],
            Self::Sgd { .. } => vec![("momentum", 0.0)],
            Self::Adagrad { initial_accumulator, .. } => vec![("sum", initial_accumulator as f32)],
            Self::Adam { .. } | Self::Adamw { .. } => vec![("m", 0.0), ("v", 0.0)],
            Self::Ftrl { .. } => vec![("z", 0.0), ("n", 0.0)],
        }
    }
}

impl TableOptimizer {
    /// Learning rate before any schedule.
    pub fn lr(&self) -> f64 {
        match *self {
            Self::Sgd { lr, .. }
            | Self::Adagrad { lr, .. }
            | Self::RowwiseAdagrad { lr, .. }
            | Self::AdamLazy { lr, .. }
            | Self::Adam { lr, .. }
            | Self::Ftrl { lr, .. } => lr,
        }
    }

    /// Settings that cannot be.
    ///
    /// # Errors
    /// The first one found.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Sgd { l2, .. } => all(&[("l2", l2, NOT_NEGATIVE)]),
            Self::Adagrad { eps, initial_accumulator, l2, .. } | Self::RowwiseAdagrad { eps, initial_accumulator, l2, .. } => {
                all(&[("eps", eps, NOT_NEGATIVE), ("initial_accumulator", initial_accumulator, NOT_NEGATIVE), ("l2", l2, NOT_NEGATIVE)])
            }
            Self::AdamLazy { beta1, beta2, eps, l2, .. } | Self::Adam { beta1, beta2, eps, l2, .. } => {
                all(&[("beta1", beta1, BELOW_ONE), ("beta2", beta2, BELOW_ONE), ("eps", eps, NOT_NEGATIVE), ("l2", l2, NOT_NEGATIVE)])
            }
            Self::Ftrl { lr, beta, l1, l2 } => ftrl_settings(lr, beta, l1, l2),
        }
    }

    /// The same for the dense weights of a linear part, whose rows have one column.
    fn for_dense(&self) -> DenseOptimizer {
        match *self {
            Self::Sgd { lr, l2 } => DenseOptimizer::Sgd { lr, momentum: 0.0, l2 },
            Self::Adagrad { lr, eps, initial_accumulator, l2 } | Self::RowwiseAdagrad { lr, eps, initial_accumulator, l2 } => {
                DenseOptimizer::Adagrad { lr, eps, initial_accumulator, l2 }
            }
            Self::AdamLazy { lr, beta1, beta2, eps, l2 } | Self::Adam { lr, beta1, beta2, eps, l2 } => {
                DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 }
            }
            Self::Ftrl { lr, beta, l1, l2 } => DenseOptimizer::Ftrl { lr, beta, l1, l2 },
        }
    }

    /// Fits fresh `state` to the weights that it starts from.
    fn start(&self, state: &mut [Buffer], weights: &[f32]) {
        if matches!(self, Self::Ftrl { .. }) {
            self.for_dense().start(state, weights);
        }
    }

    /// Names, lengths and initial values of the state arrays of a table of `rows` × `dim`.
    fn state(&self, rows: usize, dim: usize) -> Vec<(&'static str, usize, f32)> {
        match *self {
            Self::Sgd { .. } => vec![],
            Self::Adagrad { initial_accumulator, .. } => vec![("sum", rows * dim, initial_accumulator as f32)],
            Self::RowwiseAdagrad { initial_accumulator, .. } => vec![("sum", rows, initial_accumulator as f32)],
            Self::AdamLazy { .. } | Self::Adam { .. } => vec![("m", rows * dim, 0.0), ("v", rows * dim, 0.0)],
            Self::Ftrl { .. } => vec![("z", rows * dim, 0.0), ("n", rows * dim, 0.0)],
        }
    }

    /// Floats of state of a table of `rows` × `dim`, for plans.
    pub fn state_len(&self, rows: usize, dim: usize) -> usize {
        self.state(rows, dim).iter().map(|(_, len, _)| len).sum()
    }
}

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
}

impl Optimizer {
    /// Fresh state for `weights`.
    pub fn new(weights: &Weights, dense: DenseOptimizer, tables: TableOptimizer, clip_norm: Option<f64>) -> Self {
        let (l2_rows, linear) = (L2Rows::default(), None);
        let indices = weights.tables.iter().map(|_| RowIndex::default()).collect();
        let (dense_state, table_state) = (Vec::new(), Vec::new());
        let linear_state = Vec::new();
        Optimizer { dense, tables, linear, clip_norm, l2_rows, step: 0, dense_state, linear_state, table_state, indices }.started(weights)
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
        self.indices.par_iter_mut().enumerate().for_each(|(table, index)| index.build(weights, table, batch));
        reduce_lanes(weights, gradients);
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
        let isa = weights.isa();
        let linear = self.linear_range(weights);
        let dense = update::DenseStep { optimizer: self.dense, lr: rates.dense, step: self.step, isa };
        dense.run(&mut weights.dense[..linear.start], &mut self.dense_state, &gradients.dense()[..linear.start]);
        if let Some(optimizer) = self.linear {
            let dense = update::DenseStep { optimizer: optimizer.for_dense(), lr: rates.linear, ..dense };
            dense.run(&mut weights.dense[linear.clone()], &mut self.linear_state, &gradients.dense()[linear]);
        }
        weights.update_statistics(gradients.dense(), batch.len());
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
        weights.repack();
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
