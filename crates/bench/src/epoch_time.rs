//! How fast a model trains on data of a given shape, told from a moment of training on random rows of that
//! shape.
use super::measure::{Windows, rows_per_second};
use super::workload::power_law;
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_data::rng::Rng;
use dlrm_engine::StepPlan;
use dlrm_engine::config::RunConfig;
use dlrm_engine::error::Result;
use dlrm_engine::learner::{self, Learner};
use dlrm_engine::network::Network;
use dlrm_nn::{Builder, Isa};
use serde::Serialize;
use std::time::Duration;

/// Bytes of weights and optimiser state of all tables; larger tables are cut, for the cost of a step hardly
/// depends on them.
const MOST_TABLE_BYTES: usize = 128 << 20;
/// Batches that are trained on by turns.
const BATCHES: usize = 16;
/// Ids have a density falling as x^-exponent, as those of click logs do.
const EXPONENT: f64 = 1.05;
const WINDOWS: usize = 3;

/// On what the time of an epoch is estimated.
#[derive(Debug, Clone, Copy)]
pub struct EstimateOptions {
    /// Instruction set.
    pub isa: Isa,
    /// Worker threads.
    pub threads: usize,
    /// Training rows, which decide the rows per step.
    pub rows: u64,
    /// Time to spend on training, about.
    pub length: Duration,
}

/// Rows trained per second, from which the time of an epoch follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EpochTimeEstimate {
    /// Median of a few moments.
    pub rows_per_second: f64,
    /// Worker threads.
    pub threads: usize,
    /// Rows per step.
    pub batch_size: usize,
}

impl EpochTimeEstimate {
    /// Trains the model of `config` on random rows of this shape; feature f has `ids_per_row[f]` ids in a row
    /// on average.
    ///
    /// # Errors
    /// If the model does not fit the shape, or threads cannot be started.
    pub fn measure(
        config: &RunConfig,
        layout: &Layout,
        ids_per_row: &[f64],
        options: EstimateOptions,
    ) -> Result<Self> {
        let layout = cut(config, layout)?;
        let (train, rows) = (&config.train, options.rows);
        let batch_size = StepPlan::new(train, rows).batch_size;
        let made = || Network::with_tables(&config.model, &layout, train.table_precision, 0, options.isa);
        let network = learner::pool(options.threads)?.install(made)?.with_precision(train.precision);
        let optimizer = train.optimizer_of(network.weights());
        let mut learner = Learner::new(
            network,
            optimizer,
            train.loss.unwrap_or_default(),
            train.sharding(),
            options.threads,
        )?;
        let mut rng = Rng::new(0, 0);
        let batches: Vec<Batch> =
            (0..BATCHES).map(|_| batch(&layout, ids_per_row, batch_size, &mut rng)).collect();
        // One more window warms up.
        let windows = Windows { count: WINDOWS, length: options.length / (WINDOWS as u32 + 1) };
        let rate = rows_per_second(&mut learner, &batches, windows)?;
        Ok(EpochTimeEstimate { rows_per_second: rate.median, threads: options.threads, batch_size })
    }
}

/// `layout` with its largest tables cut, so that all together stay small.
fn cut(config: &RunConfig, layout: &Layout) -> Result<Layout> {
    let mut layout = layout.clone();
    loop {
        let mut builder = Builder::new(&layout);
        config.model.build(&mut builder)?;
        // Weights, and at most two numbers of state for each.
        let largest = layout.tables.iter().map(|table| table.rows).max().unwrap_or(0);
        if builder.count().1.saturating_mul(12) <= MOST_TABLE_BYTES || largest < 1000 {
            return Ok(layout);
        }
        layout.tables.iter_mut().for_each(|table| table.rows = table.rows.min(largest.div_ceil(2)));
    }
}

/// Random rows.
fn batch(layout: &Layout, ids_per_row: &[f64], rows: usize, rng: &mut Rng) -> Batch {
    let mut batch = Batch::new(layout);
    for ((bags, feature), &mean) in batch.bags.iter_mut().zip(&layout.features).zip(ids_per_row) {
        let table = layout.tables[feature.table].rows.max(1);
        for _ in 0..rows {
            let ids = mean as usize + usize::from(rng.uniform() < mean.fract());
            (0..ids.max(1)).for_each(|_| bags.ids.push(power_law(rng, table, EXPONENT)));
            bags.offsets.push(bags.ids.len() as u32);
        }
        if let Some(weights) = &mut bags.weights {
            weights.resize(bags.ids.len(), 1.0);
        }
    }
    batch.dense = (0..rows * layout.dense.len()).map(|_| rng.normal() as f32).collect();
    batch.labels = (0..rows).map(|_| f32::from(rng.uniform() < 0.25)).collect();
    if let Some(weights) = &mut batch.weights {
        weights.resize(rows, 1.0);
    }
    if let Some(groups) = &mut batch.groups {
        groups.resize(rows, 0);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::batch::{Feature, TableLayout};

    fn layout() -> Layout {
        let feature = |name: &str, table, weighted| Feature { weighted, ..Feature::new(name, table) };
        let table = |name: &str, rows| TableLayout { name: name.into(), rows };
        Layout {
            dense: vec!["x".into()],
            features: vec![feature("a", 0, false), feature("b", 1, true)],
            tables: vec![table("a", 50_000_000), table("b", 7)],
            sample_weights: true,
            ..Layout::default()
        }
    }

    #[test]
    fn rows_are_as_the_shape_says_and_tables_are_cut() {
        let (config, layout) = (RunConfig::default(), layout());
        let small = cut(&config, &layout).unwrap();
        assert!(small.tables[0].rows < 1_000_000 && small.tables[1].rows == 7, "{:?}", small.tables);
        let batch = batch(&small, &[1.0, 2.5], 1000, &mut Rng::new(1, 0));
        assert_eq!((batch.len(), batch.bags[0].ids.len(), batch.dense.len()), (1000, 1000, 1000));
        assert!(
            (2300..2700).contains(&batch.bags[1].ids.len()) && batch.bags[1].ids.iter().all(|&id| id < 7)
        );
        let options = EstimateOptions {
            isa: Isa::detect(),
            threads: 2,
            rows: 10_000,
            length: Duration::from_millis(20),
        };
        let estimate = EpochTimeEstimate::measure(&config, &layout, &[1.0, 2.5], options).unwrap();
        assert!(estimate.rows_per_second > 0.0 && estimate.rows_per_second.is_finite());
    }
}
