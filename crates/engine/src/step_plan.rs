//! How long training goes on and how often it is looked at: what was said, the rest by the number of rows.
use crate::train_config::TrainConfig;

/// A plan of training in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPlan {
    /// Rows per step, B.
    pub batch_size: usize,
    /// Partial sums of its gradients.
    pub lanes: usize,
    /// Passes over the training rows, at most.
    pub epochs: u64,
    /// Steps, at most.
    pub max_steps: Option<u64>,
    /// Steps between evaluations, besides those at the end of each epoch.
    pub evaluate_every: Option<u64>,
    /// Evaluations in a row without a new best after which training stops; 0 never stops early.
    pub patience: u64,
}

/// Rows per step: about this share of the rows, as a power of two within the two bounds. Small sets need
/// small batches to take enough steps, large ones large batches to take them fast.
const STEPS_OF_AN_EPOCH: u64 = 400;
const BATCH_SIZES: [u64; 2] = [32, 512];
/// Passes, at most: so many that small sets take about this many steps, within the two bounds.
const STEPS: u64 = 20_000;
const EPOCHS: [u64; 2] = [20, 200];
/// Epochs of this many steps are looked at more than once.
const LONG_EPOCH: u64 = 250;
const EVALUATIONS_OF_AN_EPOCH: u64 = 5;
const PATIENCE: u64 = 20;

impl StepPlan {
    /// The plan for epochs of `rows` rows.
    pub fn new(config: &TrainConfig, rows: u64) -> Self {
        let rows = rows.max(1);
        let by_rows =
            (rows / STEPS_OF_AN_EPOCH).max(1).next_power_of_two().clamp(BATCH_SIZES[0], BATCH_SIZES[1]);
        let batch_size = config.batch_size.unwrap_or(by_rows as usize);
        let steps = rows.div_ceil(batch_size.max(1) as u64);
        let often = (steps >= LONG_EPOCH).then(|| steps.div_ceil(EVALUATIONS_OF_AN_EPOCH));
        // Who says how many passes are made wants no others looked at between them.
        let often = often.filter(|_| config.epochs.is_none() || config.patience.is_none());
        StepPlan {
            batch_size,
            lanes: config.lanes_for(batch_size),
            epochs: config.epochs.unwrap_or_else(|| STEPS.div_ceil(steps).clamp(EPOCHS[0], EPOCHS[1])),
            max_steps: config.max_steps,
            evaluate_every: config.evaluate_every.or(often),
            patience: config.patience.unwrap_or(PATIENCE),
        }
    }

    /// The most steps that epochs of `rows` rows make of it.
    pub fn steps(&self, rows: u64) -> u64 {
        let steps = self.epochs.saturating_mul(rows.div_ceil(self.batch_size.max(1) as u64));
        self.max_steps.map_or(steps, |most| most.min(steps))
    }
}

impl TrainConfig {
    /// Fills in what depends on the number of rows of an epoch, so that what is stored is complete.
    pub fn complete(&mut self, rows: u64) -> StepPlan {
        let plan = StepPlan::new(self, rows);
        self.batch_size = Some(plan.batch_size);
        self.lanes = Some(plan.lanes);
        self.epochs = Some(plan.epochs);
        self.patience = Some(plan.patience);
        self.evaluate_every = plan.evaluate_every;
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_the_rows() {
        let usual = TrainConfig::default();
        for rows in [0, 1, 31, 350, 5_000, 80_000, 1_000_000, 4_000_000_000] {
            let plan = StepPlan::new(&usual, rows);
            assert!((32..=512).contains(&plan.batch_size) && (20..=200).contains(&plan.epochs), "{plan:?}");
            assert!(plan.steps(rows) >= plan.epochs.min(rows), "{plan:?}");
            let most =
                plan.evaluate_every.map_or(1, |every| rows.div_ceil(plan.batch_size as u64).div_ceil(every));
            assert!(most <= 5, "{plan:?}");
        }
        assert_eq!(StepPlan::new(&usual, 350).steps(350), 200 * 11);
    }

    #[test]
    fn large_batches_feed_many_threads() {
        let lanes = |batch_size| {
            let mut config = TrainConfig { batch_size, ..TrainConfig::default() };
            let before = config.sharding().lanes;
            assert_eq!(config.complete(1_000_000_000).lanes, config.sharding().lanes);
            assert_eq!(before, config.sharding().lanes, "the plan completes what there is");
            assert_eq!(config.lanes, Some(before));
            before
        };
        assert_eq!([None, Some(1), Some(2048), Some(4096)].map(lanes), [8, 8, 16, 32]);
        assert_eq!([Some(1 << 13), Some(1 << 20)].map(lanes), [64, 64]);
        let said = TrainConfig { lanes: Some(3), batch_size: Some(1 << 20), ..TrainConfig::default() };
        assert_eq!((StepPlan::new(&said, 9).lanes, said.sharding().lanes), (3, 3));
    }

    #[test]
    fn what_is_said_counts() {
        let said = TrainConfig {
            epochs: Some(3),
            max_steps: Some(7),
            batch_size: Some(10),
            patience: Some(0),
            ..TrainConfig::default()
        };
        let plan = StepPlan::new(&said, 1000);
        assert_eq!((plan.epochs, plan.batch_size, plan.patience, plan.evaluate_every), (3, 10, 0, None));
        assert_eq!(plan.steps(1000), 7);
    }
}
