//! What a run will need, known before it starts.
use crate::config::{Loading, RunConfig};
use crate::error::{Error, Result};
use crate::step_plan::StepPlan;
use crate::train_config::Solver;
use dlrm_data::Hint;
use dlrm_data::batch::Layout;
use dlrm_data::dataset::Fitted;
use dlrm_data::format::bytes;
use dlrm_data::split::{Part, Parts};
use dlrm_nn::{Builder, DenseOptimizer, Role, TableSpec};
use serde::Serialize;

/// Rows, parameters and bytes of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Rows of (train, validation, test).
    pub rows: Parts<u64>,
    /// Rows of an epoch, sampled negatives included, at most.
    pub epoch_rows: u64,
    /// Training steps, at most; of a regression at its optimum there are none.
    pub steps: u64,
    /// Rows of a step, which may be more than there are.
    #[serde(skip)]
    pub batch_size: usize,
    /// Tables as (name, rows, dim), in the order of the model.
    pub tables: Vec<(String, usize, usize)>,
    /// Names of the features that the model embeds.
    #[serde(skip)]
    pub features: Vec<String>,
    /// Whether the model has a linear part.
    pub linear: bool,
    /// Parameters outside tables.
    pub dense_parameters: usize,
    /// Parameters in tables.
    pub table_parameters: usize,
    /// Encoded rows in memory.
    pub data_bytes: u64,
    /// Weights in memory.
    pub weight_bytes: u64,
    /// Optimiser state and gradients in memory.
    pub training_bytes: u64,
    /// The finished model on disk.
    pub disk_bytes: u64,
}

/// What a plan must know of the data.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The shape of encoded rows.
    pub layout: &'a Layout,
    /// Rows of (train, validation, test).
    pub rows: Parts<u64>,
    /// Bytes of the encoded rows in memory.
    pub encoded_bytes: u64,
}

/// Names of the features that a model embeds.
fn embedded(builder: &Builder<'_>) -> Vec<String> {
    let features = builder.layout().features.iter().enumerate();
    features.filter(|(index, _)| builder.embeds(*index)).map(|(_, feature)| feature.name.clone()).collect()
}

impl Plan {
    /// The plan of a run whose encoder is fitted.
    ///
    /// # Errors
    /// If the model does not fit the data.
    pub fn new(config: &RunConfig, fitted: &Fitted) -> Result<Self> {
        let layout = fitted.encoder.layout();
        Plan::of(
            config,
            Expected { layout: &layout, rows: fitted.rows, encoded_bytes: fitted.encoded_bytes() },
        )
    }

    /// The plan of a run on data of which this is known or predicted.
    ///
    /// # Errors
    /// If the model does not fit the data.
    pub fn of(config: &RunConfig, expected: Expected<'_>) -> Result<Self> {
        let rows = expected.rows;
        let mut builder = Builder::new(expected.layout);
        config.model.build(&mut builder)?;
        let (dense, in_tables) = builder.count();
        let table_bytes = builder.table_bytes(config.train.table_precision);
        let linear = config.train.linear_optimizer.unwrap_or(config.train.table_optimizer);
        let of = |t: &TableSpec| if t.role == Role::Linear { linear } else { config.train.table_optimizer };
        let state: usize = builder.tables().iter().map(|t| of(t).state_len(t.rows, t.dim)).sum();
        let dense_state = match config.train.optimizer {
            DenseOptimizer::Sgd { momentum: 0.0, .. } => 0,
            DenseOptimizer::Sgd { .. } | DenseOptimizer::Adagrad { .. } => dense,
            DenseOptimizer::Adam { .. } | DenseOptimizer::Adamw { .. } | DenseOptimizer::Ftrl { .. } => {
                2 * dense
            }
        };
        let kept_state = if config.train.keeps_optimizer() { dense_state + state } else { 0 };
        let kept = match config.data.loading {
            Loading::Memory => 1.0,
            // Validation and test rows are kept all the same.
            Loading::Stream => {
                (rows[Part::Validation] + rows[Part::Test]) as f64 / rows.values().sum::<u64>() as f64
            }
        };
        let per_positive =
            config.data.negatives.as_ref().map_or(0, |negatives| u64::from(negatives.per_positive));
        let epoch_rows = rows[Part::Train] * (1 + per_positive);
        // The order of an epoch, and what each user took.
        let drawn_bytes = if per_positive > 0 { 4 * (epoch_rows + 2 * rows[Part::Train]) } else { 0 };
        let step_plan = StepPlan::new(&config.train, epoch_rows);
        let steps = match config.train.solver {
            Some(Solver::Lbfgs) => 0,
            _ => step_plan.steps(epoch_rows),
        };
        Ok(Plan {
            rows,
            epoch_rows,
            steps,
            batch_size: step_plan.batch_size,
            linear: builder.has_linear_part(),
            tables: builder.tables().iter().map(|t| (t.name.clone(), t.rows, t.dim)).collect(),
            features: embedded(&builder),
            dense_parameters: dense,
            table_parameters: in_tables,
            data_bytes: (expected.encoded_bytes as f64 * kept) as u64 + drawn_bytes,
            // Weight matrices are kept in two packed forms besides.
            weight_bytes: (4 * 3 * dense + table_bytes) as u64,
            training_bytes: 4 * (dense_state + state + config.train.lanes * dense) as u64,
            disk_bytes: (4 * (dense + kept_state) + table_bytes) as u64,
        })
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> u64 {
        self.data_bytes + self.weight_bytes + self.training_bytes
    }

    /// Refuses a run that needs more than `limit` bytes, naming cheaper options.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn check(&self, limit: Option<u64>) -> Result<()> {
        let Some(limit) = limit.filter(|&limit| self.memory_bytes() > limit) else { return Ok(()) };
        let (what, hint) = if self.data_bytes > self.weight_bytes + self.training_bytes {
            ("the encoded rows", Hint::from("stream them with ").set("data.loading", "stream"))
        } else if self.training_bytes > self.weight_bytes {
            (
                "the optimiser's state",
                Hint::from("use row-wise Adagrad (")
                    .set("train.table_optimizer.kind", "rowwise_adagrad")
                    .say(") or SGD for the tables"),
            )
        } else {
            (
                "the tables",
                Hint::from(
                    "lower model.embedding_dim, raise min_count, or hash large columns into fewer buckets",
                ),
            )
        };
        Err(Error::Memory {
            what: format!("memory, mostly for {what}"),
            needed: bytes(self.memory_bytes()),
            available: bytes(limit),
            hint,
        })
    }
}
