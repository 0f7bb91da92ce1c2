//! Several models on the same rows: one encoder, one split, one loader, the same seeds for all; what each is
//! worth and what it costs.
mod compared;
mod entry;
mod measured;
mod request;
mod statistics;
mod watch;

pub use compared::Compared;
pub use entry::Entry;
pub use measured::{Diverged, Measured, OverSeeds, SeedRun};
pub use request::CompareRequest;

use crate::calibration::calibrate;
use crate::checkpoint_store::InMemory;
use crate::config::{Loading, RunConfig};
use crate::error::{Error, Result};
use crate::fit::{Fit, regression};
use crate::observer::Observer;
use crate::plan::Plan;
use crate::regression::{self, Solved};
use crate::rows::{GivenRows, with_rows};
use crate::run::{EncodedParts, Resources, new_learner};
use crate::train_config::TrainConfig;
use dlrm_data::dataset::Fitted;
use dlrm_data::schema::Task;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use dlrm_metrics::{Metric, Metrics, Ranking, Scored};
use dlrm_models::{LrConfig, ModelConfig};
use std::time::Instant;
use watch::Watch;

/// A comparison to be made.
pub struct Compare {
    /// Input, split and schema.
    pub base: RunConfig,
    /// Rows in the place of the files of the configuration.
    pub rows: Option<GivenRows>,
    /// The models.
    pub entries: Vec<Entry>,
    /// Number of seeds; entry seeds are `train.seed`, `train.seed + 1`, …
    pub seeds: u64,
    /// What it may use.
    pub resources: Resources,
}

/// What the runs of a comparison share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    rows: &'a EncodedParts<'a>,
    regression: Option<&'a Solved>,
    task: Task,
}

/// What a comparison tells while it goes.
pub trait CompareObserver: Observer {
    /// A run begins: index of the model, its name, seed.
    fn run(&mut self, _index: usize, _name: &str, _seed: u64) {}
    /// A run is done.
    fn done(&mut self, _name: &str, _run: &SeedRun) {}
    /// A run has diverged; its model is left out.
    fn diverged(&mut self, _run: &Diverged) {}
    /// The most memory in bytes that the process has held since the run began, where the system tells.
    fn peak_bytes(&mut self) -> Option<u64> {
        None
    }
}

impl Compare {
    /// Makes the comparison.
    ///
    /// # Errors
    /// If rows cannot be read or there are none to test, the configuration contradicts them, memory does not
    /// suffice, the observer asks to stop, or no model can be trained.
    pub fn execute(&self, observer: &mut dyn CompareObserver) -> Result<Compared> {
        with_rows(&self.base, self.rows.as_ref(), self.resources.threads, |source| self.on(source, observer))
    }

    fn on(&self, source: DataSource<'_>, observer: &mut dyn CompareObserver) -> Result<Compared> {
        let schema = self.base.complete_schema()?;
        let task = schema.label.task;
        let fitted = source.fit(schema)?;
        if fitted.rows[Part::Test] == 0 {
            let hint = "give test rows: data.test, or a share of the split";
            return Err(Error::config("test rows", "at least one", "none").with_hint(hint));
        }
        let plans = self.plans(&fitted, task)?;
        let rows = EncodedParts::encode(source, &fitted, &self.base, Loading::Memory)?;
        let (mut models, mut diverged) = (Vec::new(), Vec::new());
        let regression = self.regression(&plans, &rows, task, observer)?;
        for (index, (entry, plan)) in self.entries.iter().zip(&plans).enumerate() {
            let mut settled = entry.clone();
            settled.train.settle(&entry.model, &self.base.data, &rows.layout, plan.epoch_rows);
            let shared = Shared { rows: &rows, regression: regression.as_ref(), task };
            match self.runs((index, &settled), plan, shared, observer) {
                Ok(measured) => models.push(measured),
                // What the other models have taken hours for is not lost with it.
                Err((seed, Error::Diverged { step, .. }))
                    if models.len() + self.entries.len() > index + 1 =>
                {
                    let run = Diverged { name: entry.name.clone(), seed, step };
                    observer.diverged(&run);
                    diverged.push(run);
                }
                Err((_, error)) => return Err(error),
            }
        }
        let metric = match task {
            Task::Binary if rows.layout.groups => Metric::NdcgAt10,
            Task::Binary => Metric::Auc,
            Task::Rating => Metric::Rmse,
        };
        statistics::rank(&mut models, metric);
        statistics::against_best(&mut models, metric, task, &rows.parts[Part::Test])?;
        Ok(Compared { rows: fitted.rows, task, metric, seeds: self.seeds, models, diverged })
    }

    /// The regression on the rows, if a model starts from it.
    fn regression(
        &self,
        plans: &[Plan],
        rows: &EncodedParts<'_>,
        task: Task,
        observer: &mut dyn CompareObserver,
    ) -> Result<Option<Solved>> {
        let starts = self.entries.iter().zip(plans).any(|(entry, plan)| {
            plan.linear && entry.train.starts_from_regression() && !matches!(entry.model, ModelConfig::Lr(_))
        });
        if !starts || !regression::can(&self.base.data, &rows.layout, rows.epoch_rows()) {
            return Ok(None);
        }
        let (model, rate) = (ModelConfig::Lr(LrConfig {}), self.base.data.negative_downsampling_rate);
        let mut learner = new_learner(&model, &self.base.train, &rows.layout, rate, self.resources)?;
        regression(rows, task).train(&mut learner, observer).map(Some)
    }

    /// What each model needs, refused where there is not so much.
    fn plans(&self, fitted: &Fitted, task: Task) -> Result<Vec<Plan>> {
        let plan = |entry: &Entry| {
            entry.train.check(task)?;
            let (model, train) = (entry.model.clone(), entry.train.clone());
            let plan = Plan::new(&RunConfig { model, train, ..self.base.clone() }, fitted)?;
            plan.check(self.resources.memory_limit)?;
            Ok(plan)
        };
        self.entries.iter().map(plan).collect()
    }

    /// All runs of a model; an error comes with the seed of its run.
    fn runs(
        &self,
        (index, entry): (usize, &Entry),
        plan: &Plan,
        shared: Shared<'_>,
        observer: &mut dyn CompareObserver,
    ) -> Result<Measured, (u64, Error)> {
        let mut measured = Measured::new(entry, plan);
        for seed in (0..self.seeds).map(|s| entry.train.seed + s) {
            observer.run(index, &entry.name, seed);
            let run = self.one(entry, seed, shared, &mut measured, observer);
            let mut run = run.map_err(|error| (seed, error))?;
            run.peak_bytes = observer.peak_bytes();
            observer.done(&entry.name, &run);
            measured.runs.push(run);
        }
        Ok(measured)
    }

    fn one(
        &self,
        entry: &Entry,
        seed: u64,
        Shared { rows, regression, task }: Shared<'_>,
        measured: &mut Measured,
        observer: &mut dyn CompareObserver,
    ) -> Result<SeedRun> {
        let (test, rate) = (&rows.parts[Part::Test], self.base.data.negative_downsampling_rate);
        let config = TrainConfig { seed, ..entry.train.clone() };
        let mut learner = new_learner(&entry.model, &config, &rows.layout, rate, self.resources)?;
        let cost = learner.network().graph(test).cost();
        measured.forward_multiply_adds = cost.forward;
        measured.training_multiply_adds = cost.training;
        let checkpoints = &InMemory::default();
        let start = Instant::now();
        let mut watch = Watch { inner: observer, start, evaluating: 0.0, last_step: 0.0, best: 0.0 };
        let fresh = || new_learner(&entry.model, &config, &rows.layout, rate, self.resources);
        let fit = Fit { config: &config, rows, task, regression, fresh: &fresh, checkpoints };
        let state = fit.run(&mut learner, None, &mut watch)?;
        if let Some(error) = state.divergence() {
            return Err(error);
        }
        let (evaluating, best) = (watch.evaluating, watch.best);
        let seconds = start.elapsed().as_secs_f64();
        calibrate(&mut learner, &rows.parts, &self.base)?;
        let scoring = Instant::now();
        let logits = learner.logits(test);
        let rate = test.len() as f64 / scoring.elapsed().as_secs_f64().max(1e-9);
        measured.inference_rows_per_second = measured.inference_rows_per_second.max(rate);
        let best_point = state.best.and_then(|best| state.history.iter().find(|p| p.step == best.step));
        let scored = Scored::of_batch(task, &logits, test)?;
        Ok(SeedRun {
            seed,
            validation: best_point.and_then(|p| p.validation.clone()),
            test: Metrics::of(&scored, &Ranking::new(&scored)),
            seconds,
            seconds_to_best: if best > 0.0 { best } else { seconds },
            peak_bytes: None,
            best_epoch: best_point.map_or(state.epoch as f64, |p| p.epoch),
            epochs: state.epoch as f64,
            rows_per_second: state.rows as f64 / (seconds - evaluating).max(1e-9),
            history: state.history,
            logits,
        })
    }
}
