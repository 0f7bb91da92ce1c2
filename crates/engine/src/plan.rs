//! What a run will need, known before it starts.
use crate::config::{Loading, RunConfig};
use crate::error::{Error, Result};
use crate::placement::{self, TableLoad};
use crate::regression;
use crate::step_plan::StepPlan;
use crate::train_config::{Solver, TrainConfig};
use dlrm_data::Hint;
use dlrm_data::batch::Layout;
use dlrm_data::dataset::Fitted;
use dlrm_data::format::bytes;
use dlrm_data::split::{Part, Parts};
use dlrm_nn::{Builder, Holder, Role, Sharding, TableSpec};
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
    /// What each of them asks of who holds it.
    #[serde(skip)]
    pub table_loads: Vec<TableLoad>,
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
    /// The encoder's vocabularies in memory.
    #[serde(skip)]
    pub encoder_bytes: u64,
    /// Counts and vocabularies while the encoder was fitted, before all else.
    #[serde(skip)]
    pub fitting_bytes: u64,
    /// Weights in memory.
    pub weight_bytes: u64,
    /// Gradients in memory, one for each lane.
    #[serde(skip)]
    pub gradient_bytes: u64,
    /// Optimiser state and gradients in memory.
    pub training_bytes: u64,
    /// A second model that is held for a while: the best weights so far, where they are kept in memory, or at
    /// its start, where the trained one is compared with that.
    #[serde(skip)]
    pub second_bytes: u64,
    /// The regression while it is solved, before the model is made.
    #[serde(skip)]
    pub regression_bytes: u64,
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
    /// Bytes of the encoder in memory.
    pub encoder_bytes: u64,
}

/// As a number of bytes; what is larger than any memory stays so.
fn capped(bytes: u128) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes of all parts.
fn sum(parts: &[(u64, &'static str)]) -> u64 {
    parts.iter().fold(0, |sum, (bytes, _)| sum.saturating_add(*bytes))
}

/// Rows of an epoch, and bytes of the rows in memory.
fn data(config: &RunConfig, expected: Expected<'_>) -> (u64, u64) {
    let rows = expected.rows;
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
    (epoch_rows, (expected.encoded_bytes as f64 * kept) as u64 + drawn_bytes)
}

/// What each table asks of who holds it.
fn loads(train: &TrainConfig, builder: &Builder<'_>) -> Vec<TableLoad> {
    let linear = train.linear_optimizer.unwrap_or(train.table_optimizer);
    let of = |t: &TableSpec| if t.role == Role::Linear { linear } else { train.table_optimizer };
    let tables = builder.tables().iter().zip(builder.table_uses());
    let load = |(table, (with, width)): (&TableSpec, (usize, usize))| TableLoad {
        bytes: table.bytes(train.table_precision) as u64,
        state_bytes: capped(4 * of(table).state_len(table.rows, table.dim) as u128),
        width,
        with,
    };
    tables.map(load).collect()
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
        let expected = Expected {
            layout: &fitted.encoder.layout(),
            rows: fitted.rows,
            encoded_bytes: fitted.encoded_bytes(),
            encoder_bytes: fitted.encoder.vocabulary_bytes(),
        };
        Ok(Plan { fitting_bytes: fitted.fitting_bytes, ..Plan::of(config, expected)? })
    }

    /// The plan of a run on data of which this is known or predicted.
    ///
    /// # Errors
    /// If the model does not fit the data.
    pub fn of(config: &RunConfig, expected: Expected<'_>) -> Result<Self> {
        let (rows, train) = (expected.rows, &config.train);
        let mut builder = Builder::new(expected.layout);
        config.model.build(&mut builder)?;
        let (dense, in_tables) = builder.count();
        let table_bytes = builder.table_bytes(train.table_precision);
        let (epoch_rows, data_bytes) = data(config, expected);
        let step_plan = StepPlan::new(train, epoch_rows);
        let steps = match train.solver {
            Some(Solver::Lbfgs) => 0,
            _ => step_plan.steps(epoch_rows),
        };
        let table_loads = loads(train, &builder);
        let table_state = table_loads.iter().map(|load| u128::from(load.state_bytes)).sum::<u128>();
        let state = 4 * train.optimizer.state_len(dense) as u128 + table_state;
        let kept_state = if train.keeps_optimizer() { state } else { 0 };
        let sharding = Sharding { shard_rows: train.shard_rows.max(1), lanes: step_plan.lanes };
        let batch = step_plan.batch_size.min(usize::try_from(epoch_rows).unwrap_or(usize::MAX));
        let kept = builder.kept_numbers(batch, sharding);
        let gradients = 4 * (step_plan.lanes as u128 * dense as u128 + kept as u128);
        // Weight matrices are kept in two packed forms besides.
        let weight_bytes = capped(4 * 3 * dense as u128 + table_bytes as u128);
        let training_bytes = capped(state + gradients);
        let can = regression::can(&config.data, expected.layout, epoch_rows);
        let starts = train.starts_from_regression() && builder.has_linear_part();
        let compared = starts && can;
        let solved = can && (starts || config.has_baseline() || train.solver == Some(Solver::Lbfgs));
        let solved_rows = epoch_rows + rows[Part::Validation];
        let regression_bytes =
            if solved { regression::memory_bytes(expected.layout, solved_rows) } else { 0 };
        Ok(Plan {
            rows,
            epoch_rows,
            steps,
            batch_size: step_plan.batch_size,
            linear: builder.has_linear_part(),
            tables: builder.tables().iter().map(|t| (t.name.clone(), t.rows, t.dim)).collect(),
            table_loads,
            features: embedded(&builder),
            dense_parameters: dense,
            table_parameters: in_tables,
            data_bytes,
            encoder_bytes: expected.encoder_bytes,
            fitting_bytes: 0,
            weight_bytes,
            gradient_bytes: capped(gradients),
            training_bytes,
            second_bytes: if compared { weight_bytes.saturating_add(training_bytes) } else { 0 },
            regression_bytes,
            disk_bytes: capped(4 * dense as u128 + kept_state + table_bytes as u128),
        })
    }

    /// The plan of a run that keeps its best weights in memory.
    #[must_use]
    pub(crate) fn with_best_in_memory(self) -> Self {
        Plan { second_bytes: self.second_bytes.max(self.weight_bytes), ..self }
    }

    /// The plan of the rank that holds most where so many share the tables, each with so much memory, and who
    /// holds them.
    ///
    /// # Errors
    /// If there is no room for a table.
    pub fn among(mut self, ranks: usize, limit: Option<u64>) -> Result<(Self, Vec<Holder>)> {
        let with_state = self.second_bytes >= self.weight_bytes.saturating_add(self.training_bytes);
        let copies = u64::from(self.second_bytes > 0);
        let of = |load: &TableLoad| {
            let second = copies * (load.bytes + if with_state { load.state_bytes } else { 0 });
            [load.bytes, load.state_bytes, second]
        };
        let all = |load: &TableLoad| of(load).iter().fold(0, |sum: u64, &bytes| sum.saturating_add(bytes));
        let tables = self.table_loads.iter().fold(0, |sum: u64, load| sum.saturating_add(all(load)));
        let room =
            limit.map(|limit| limit.saturating_sub(sum(&self.training_parts()).saturating_sub(tables)));
        let holders = placement::place(&self.table_loads, all, ranks, room).map_err(|table| {
            let (name, rows, dim) = &self.tables[table];
            Error::Memory {
                what: format!("memory for table {name} of {rows} rows of {dim} numbers on {ranks} ranks"),
                needed: bytes(all(&self.table_loads[table])),
                available: bytes(room.unwrap_or(0)),
                hint: Hint::from("take more ranks, or more memory for each"),
            }
        })?;
        let held = |part: usize| placement::held(&self.table_loads, &holders, ranks, |load| of(load)[part]);
        let most = placement::held(&self.table_loads, &holders, ranks, all);
        let most = (0..ranks).max_by_key(|&rank| most[rank]).unwrap_or(0);
        let [weights, state, second] = [0, 1, 2].map(|part| {
            let held = held(part);
            let total = self.table_loads.iter().fold(0, |sum: u64, load| sum.saturating_add(of(load)[part]));
            total.saturating_sub(held[most])
        });
        self.weight_bytes = self.weight_bytes.saturating_sub(weights);
        self.training_bytes = self.training_bytes.saturating_sub(state);
        self.second_bytes = self.second_bytes.saturating_sub(second);
        Ok((self, holders))
    }

    /// Bytes in memory, at most.
    pub fn memory_bytes(&self) -> u64 {
        sum(&self.memory_parts())
    }

    /// What [`Plan::memory_bytes`] is the sum of, with words for it; what takes nothing is left out. Fitting
    /// the encoder, solving the regression and training come one after the other: these are the parts of the
    /// one that takes most.
    pub fn memory_parts(&self) -> Vec<(u64, &'static str)> {
        let fitting = vec![(self.fitting_bytes, "vocabularies while they are counted")];
        let solving = vec![
            (self.data_bytes, "rows"),
            (self.encoder_bytes, "vocabularies"),
            (self.regression_bytes, "the regression while it is solved"),
        ];
        let mut most = self.training_parts().to_vec();
        for parts in [solving, fitting] {
            if sum(&parts) > sum(&most) {
                most = parts;
            }
        }
        most.retain(|(bytes, _)| *bytes > 0);
        most
    }

    /// What is in memory at once while the model trains.
    fn training_parts(&self) -> [(u64, &'static str); 5] {
        [
            (self.data_bytes, "rows"),
            (self.encoder_bytes, "vocabularies"),
            (self.weight_bytes, "weights"),
            (self.training_bytes, "training"),
            (self.second_bytes, "a second model beside it"),
        ]
    }

    /// Refuses a run that needs more than `limit` bytes, naming cheaper options.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn check(&self, limit: Option<u64>) -> Result<()> {
        // No address space holds more, whatever the machine has.
        let limit = limit.unwrap_or(u64::MAX).min(isize::MAX as u64);
        if self.memory_bytes() <= limit {
            return Ok(());
        }
        let model = self.weight_bytes.saturating_add(self.training_bytes);
        let encoder = self.encoder_bytes.max(self.fitting_bytes);
        let others = model.max(self.data_bytes).max(encoder);
        let (what, hint) = if self.regression_bytes > others {
            let hint = Hint::from("leave it out: ").set("data.baseline", "mean");
            (
                "the regression that the model is compared with",
                hint.say(" and ").set("train.linear_start", "model"),
            )
        } else if encoder > model.max(self.data_bytes) {
            let hint = "raise min_count, or hash large columns into buckets; `dlrm prepare` fits the encoder \
                        in bounded memory";
            ("the vocabularies of the encoder", Hint::from(hint))
        } else if self.data_bytes > model {
            ("the encoded rows", Hint::from("stream them with ").set("data.loading", "stream"))
        } else if self.gradient_bytes > self.training_bytes / 2 && self.gradient_bytes > self.weight_bytes {
            (
                "the gradients, one of the layers for each lane",
                Hint::from("lower train.lanes or the layers' widths"),
            )
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

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::batch::{Feature, TableLayout};
    use dlrm_models::ModelConfig;
    use serde_json::Value;

    /// Every place of `value` that holds a number of rows or columns, with that number replaced by `size`.
    fn with_size(value: &Value, size: u64) -> Vec<Value> {
        match value {
            Value::Number(n) if n.is_u64() => vec![size.into()],
            Value::Array(all) => {
                let one = |i: usize| with_size(&all[i], size).into_iter().map(move |v| (i, v));
                let put = |(i, v)| {
                    let mut all = all.clone();
                    all[i] = v;
                    Value::Array(all)
                };
                (0..all.len()).flat_map(one).map(put).collect()
            }
            Value::Object(all) => {
                let one = |(key, v)| with_size(v, size).into_iter().map(move |v| (key, v));
                let put = |(key, v): (&String, _)| {
                    let mut all = all.clone();
                    all.insert(key.clone(), v);
                    Value::Object(all)
                };
                all.iter().flat_map(one).map(put).collect()
            }
            _ => Vec::new(),
        }
    }

    fn layout() -> Layout {
        let feature = |(table, name): (usize, &str)| Feature::new(name, table);
        Layout {
            dense: vec!["x".into(), "y".into()],
            features: ["a", "b", "c"].into_iter().enumerate().map(feature).collect(),
            tables: ["a", "b", "c"].map(|name| TableLayout { name: name.into(), rows: 1000 }).into(),
            ..Layout::default()
        }
    }

    /// The plan of a run of this configuration, checked against no limit but that of addresses.
    fn planned(config: &RunConfig) -> Result<Plan> {
        let rows = Parts::from_fn(|_| 1000);
        let plan =
            Plan::of(config, Expected { layout: &layout(), rows, encoded_bytes: 1 << 20, encoder_bytes: 0 })?;
        plan.check(None)?;
        Ok(plan)
    }

    /// A setting that no memory can hold is refused, in words; sums and products of sizes do not overflow
    /// (which tests would notice).
    #[test]
    fn sizes_beyond_all_memory_are_refused() {
        let (mut refused, mut fit) = (0, 0);
        for about in ModelConfig::ABOUT {
            let config = ModelConfig::of_kind(about.kind).expect("a kind of the list");
            let config = serde_json::to_value(config).expect("plain data");
            let sizes = [1 << 24, 1 << 28, 1 << 32, 1 << 62, i64::MAX as u64, u64::MAX];
            for changed in sizes.into_iter().flat_map(|size| with_size(&config, size)) {
                let Ok(model) = serde_json::from_value::<ModelConfig>(changed.clone()) else { continue };
                match planned(&RunConfig { model, ..RunConfig::default() }) {
                    Err(error) => refused += usize::from(!error.to_string().is_empty()),
                    Ok(plan) => {
                        assert!(plan.memory_bytes() < 1 << 63, "{changed}");
                        fit += 1;
                    }
                }
            }
        }
        assert!(refused > 40 && fit > 10, "{refused} {fit}");
    }

    #[test]
    fn the_parts_of_memory_are_all_of_it() {
        let plan = planned(&RunConfig::default()).expect("a plan");
        let plan = Plan { second_bytes: 5, regression_bytes: 0, ..plan };
        let words = |plan: &Plan| plan.memory_parts().into_iter().map(|(_, what)| what).collect::<Vec<_>>();
        assert_eq!(sum(&plan.memory_parts()), plan.memory_bytes());
        assert!(words(&plan).contains(&"a second model beside it"), "{:?}", words(&plan));
        let solving = Plan { regression_bytes: plan.memory_bytes(), ..plan.clone() };
        assert_eq!(sum(&solving.memory_parts()), solving.memory_bytes());
        assert!(words(&solving).contains(&"the regression while it is solved"), "{:?}", words(&solving));
        let before = Plan { fitting_bytes: plan.memory_bytes() + 1, ..plan };
        assert_eq!(sum(&before.memory_parts()), before.memory_bytes());
        assert_eq!(words(&before).len(), 1, "it is over before the rest begins");
    }

    #[test]
    fn more_lanes_than_any_memory_holds_are_refused_by_name() {
        for lanes in [1 << 58, i64::MAX as usize, usize::MAX] {
            let mut config = RunConfig::default();
            config.train.lanes = Some(lanes);
            let error = planned(&config).unwrap_err();
            assert!(matches!(error, Error::Memory { .. }), "{error}");
            let said = format!("{error} {error:?}");
            assert!(said.contains("lane") && said.contains("train.lanes"), "{said}");
        }
        assert!(planned(&RunConfig::default()).is_ok());
    }
}
