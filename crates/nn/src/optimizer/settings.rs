//! The optimisers by name, with their settings.
use crate::error::{Error, Result};
use dlrm_kernels::half::Numbers;
use dlrm_kernels::{Buffer, optimizer as kernel};
use serde::{Deserialize, Serialize};

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
    /// All, as if ½·l2·‖W‖² were part of the loss (FuxiCTR's regularisation). A step costs the size of the
    /// table.
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

/// Settings of Adam's step number `step` at the rate `lr`.
pub(crate) fn adam(
    lr: f32,
    (beta1, beta2): (f64, f64),
    eps: f64,
    l2: f64,
    decay: f64,
    step: u64,
) -> kernel::Adam {
    let settings =
        kernel::Adam { lr, eps: eps as f32, l2: l2 as f32, decay: decay as f32, ..kernel::Adam::default() };
    settings.at_step(step, beta1, beta2)
}

/// Settings of a step of FTRL at the rate `lr`, that of the step before being `last`.
pub(crate) fn ftrl(lr: f64, last: f32, [beta, l1, l2]: [f64; 3]) -> kernel::Ftrl {
    kernel::Ftrl { lr: lr as f32, last, beta: beta as f32, l1: l1 as f32, l2: l2 as f32 }
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
            Self::Sgd { lr, .. }
            | Self::Adagrad { lr, .. }
            | Self::Adam { lr, .. }
            | Self::Adamw { lr, .. }
            | Self::Ftrl { lr, .. } => lr,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name, with what it may be.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Sgd { momentum, l2, .. } => {
                all(&[("momentum", momentum, BELOW_ONE), ("l2", l2, NOT_NEGATIVE)])
            }
            Self::Adagrad { eps, initial_accumulator, l2, .. } => all(&[
                ("eps", eps, NOT_NEGATIVE),
                ("initial_accumulator", initial_accumulator, NOT_NEGATIVE),
                ("l2", l2, NOT_NEGATIVE),
            ]),
            Self::Adam { beta1, beta2, eps, l2: decay, .. }
            | Self::Adamw { beta1, beta2, eps, weight_decay: decay, .. } => all(&[
                ("beta1", beta1, BELOW_ONE),
                ("beta2", beta2, BELOW_ONE),
                ("eps", eps, NOT_NEGATIVE),
                ("decay", decay, NOT_NEGATIVE),
            ]),
            Self::Ftrl { lr, beta, l1, l2 } => ftrl_settings(lr, beta, l1, l2),
        }
    }

    /// Fits fresh `state` to the weights that it starts from.
    pub(super) fn start(&self, state: &mut [Buffer], weights: Numbers<'_>) {
        if let (Self::Ftrl { lr, beta, l1, l2 }, [z, ..]) = (*self, state) {
            kernel::ftrl_start(z, weights, 0.0, ftrl(lr, lr as f32, [beta, l1, l2]));
        }
    }

    /// Names, lengths and initial values of the state arrays of `len` parameters.
    pub(super) fn state(&self, len: usize) -> Vec<(&'static str, usize, f32)> {
        match *self {
            Self::Sgd { momentum: 0.0, .. } => vec![],
            Self::Sgd { .. } => vec![("momentum", len, 0.0)],
            Self::Adagrad { initial_accumulator, .. } => vec![("sum", len, initial_accumulator as f32)],
            Self::Adam { .. } | Self::Adamw { .. } => vec![("m", len, 0.0), ("v", len, 0.0)],
            Self::Ftrl { lr, .. } => vec![("z", len, 0.0), ("n", len, 0.0), ("rate", 1, lr as f32)],
        }
    }

    /// Floats of state of `len` parameters, for plans.
    pub fn state_len(&self, len: usize) -> usize {
        self.state(len).iter().fold(0, |sum, (_, len, _)| sum.saturating_add(*len))
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

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name, with what it may be.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Sgd { l2, .. } => all(&[("l2", l2, NOT_NEGATIVE)]),
            Self::Adagrad { eps, initial_accumulator, l2, .. }
            | Self::RowwiseAdagrad { eps, initial_accumulator, l2, .. } => all(&[
                ("eps", eps, NOT_NEGATIVE),
                ("initial_accumulator", initial_accumulator, NOT_NEGATIVE),
                ("l2", l2, NOT_NEGATIVE),
            ]),
            Self::AdamLazy { beta1, beta2, eps, l2, .. } | Self::Adam { beta1, beta2, eps, l2, .. } => {
                all(&[
                    ("beta1", beta1, BELOW_ONE),
                    ("beta2", beta2, BELOW_ONE),
                    ("eps", eps, NOT_NEGATIVE),
                    ("l2", l2, NOT_NEGATIVE),
                ])
            }
            Self::Ftrl { lr, beta, l1, l2 } => ftrl_settings(lr, beta, l1, l2),
        }
    }

    /// Its like for the dense weights of a linear part, whose rows have one column.
    pub(super) fn for_dense(&self) -> DenseOptimizer {
        match *self {
            Self::Sgd { lr, l2 } => DenseOptimizer::Sgd { lr, momentum: 0.0, l2 },
            Self::Adagrad { lr, eps, initial_accumulator, l2 }
            | Self::RowwiseAdagrad { lr, eps, initial_accumulator, l2 } => {
                DenseOptimizer::Adagrad { lr, eps, initial_accumulator, l2 }
            }
            Self::AdamLazy { lr, beta1, beta2, eps, l2 } | Self::Adam { lr, beta1, beta2, eps, l2 } => {
                DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 }
            }
            Self::Ftrl { lr, beta, l1, l2 } => DenseOptimizer::Ftrl { lr, beta, l1, l2 },
        }
    }

    /// Fits fresh `state` to the weights that it starts from.
    pub(super) fn start(&self, state: &mut [Buffer], weights: Numbers<'_>) {
        if matches!(self, Self::Ftrl { .. }) {
            self.for_dense().start(state, weights);
        }
    }

    /// Names, lengths and initial values of the state arrays of a table of `rows` × `dim`.
    pub(super) fn state(&self, rows: usize, dim: usize) -> Vec<(&'static str, usize, f32)> {
        let len = rows.saturating_mul(dim);
        match *self {
            Self::Sgd { .. } => vec![],
            Self::Adagrad { initial_accumulator, .. } => {
                vec![("sum", len, initial_accumulator as f32)]
            }
            Self::RowwiseAdagrad { initial_accumulator, .. } => {
                vec![("sum", rows, initial_accumulator as f32)]
            }
            Self::AdamLazy { .. } | Self::Adam { .. } => vec![("m", len, 0.0), ("v", len, 0.0)],
            // A row that was not touched for long has had another rate than the others.
            Self::Ftrl { lr, .. } => {
                vec![("z", len, 0.0), ("n", len, 0.0), ("rate", rows, lr as f32)]
            }
        }
    }

    /// Floats of state of a table of `rows` × `dim`, for plans.
    pub fn state_len(&self, rows: usize, dim: usize) -> usize {
        self.state(rows, dim).iter().fold(0, |sum, (_, len, _)| sum.saturating_add(*len))
    }
}
