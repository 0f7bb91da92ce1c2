//! Several models on the same rows: one encoder, one split, one loader, the same seeds for all; what each is
//! worth and what it costs.
mod compared;
mod dir;
mod entry;
mod measured;
mod request;
mod statistics;
mod watch;

pub use compared::Compared;
pub use dir::CompareDir;
pub use entry::Entry;
pub use measured::{Diverged, Measured, OverSeeds, SeedRun};
pub use request::CompareRequest;

use crate::common_rows::CommonRows;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::journal;
use crate::observer::{Observer, StopOnly};
use crate::plan::Plan;
use crate::rows::{GivenRows, with_rows};
use crate::run::Resources;
use crate::train_config::{Solver, TrainConfig};
use crate::trained::Trained;
use dir::Kept;
use dlrm_data::schema::Task;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use dlrm_metrics::{Metric, Metrics, Ranking, Scored};
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

/// What a comparison tells while it goes.
pub trait CompareObserver: Observer {
    /// A run begins: index of the model, its name, seed.
    fn run(&mut self, _index: usize, _name: &str, _seed: u64) {}
    /// A run is done.
    fn done(&mut self, _name: &str, _run: &SeedRun) {}
    /// A run has diverged; its model is left out.
    fn diverged(&mut self, _run: &Diverged) {}
    /// The run was finished in an earlier attempt; its results are taken from the directory.
    fn found(&mut self) {}
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
        self.execute_in(None, observer)
    }

    /// Makes the comparison; runs that `dir` holds finished are not made again, and those that are finished
    /// are kept there.
    ///
    /// # Errors
    /// As [`Compare::execute`], or if the file system refuses.
    pub fn execute_in(
        &self,
        dir: Option<&mut CompareDir>,
        observer: &mut dyn CompareObserver,
    ) -> Result<Compared> {
        let trains = self.entries.iter().map(|entry| &entry.train).chain([&self.base.train]);
        trains.into_iter().try_for_each(|train| train.check_several("a comparison"))?;
        let threads = self.resources.threads;
        with_rows(&self.base, self.rows.as_ref(), (threads, &observer.stop()), |source| {
            self.on(source, dir, observer)
        })
    }

    fn on(
        &self,
        source: DataSource<'_>,
        dir: Option<&mut CompareDir>,
        observer: &mut dyn CompareObserver,
    ) -> Result<Compared> {
        let fitted = source.fit(self.base.complete_schema()?)?;
        let needed = [Part::Train, Part::Test];
        let mut common = CommonRows::encode(source, &fitted, &self.base, self.resources, &needed)?;
        let plan = |entry: &Entry| common.plan(&entry.model, &entry.train);
        let plans = self.entries.iter().map(plan).collect::<Result<Vec<_>>>()?;
        let start = Instant::now();
        if self
            .entries
            .iter()
            .zip(&plans)
            .any(|(entry, plan)| plan.linear && entry.train.starts_from_regression())
        {
            common.solve(&mut StopOnly(observer))?;
        }
        let solving = start.elapsed().as_secs_f64();
        let rows = if dir.is_some() { self.key(&common) } else { String::new() };
        let mut finished = Finished { dir, rows, solving };
        let (mut models, mut diverged) = (Vec::new(), Vec::new());
        for (index, (entry, plan)) in self.entries.iter().zip(&plans).enumerate() {
            let train = common.settled(&entry.model, &entry.train);
            let settled = Entry { train, ..entry.clone() };
            match self.runs((index, &settled), plan, &common, &mut finished, observer) {
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
        let (task, rows) = (common.task, &common.rows);
        let metric = match task {
            Task::Binary if rows.layout.groups => Metric::NdcgAt10,
            Task::Binary => Metric::Auc,
            Task::Rating => Metric::Rmse,
        };
        statistics::rank(&mut models, metric);
        statistics::against_best(&mut models, metric, task, &rows.parts[Part::Test])?;
        Ok(Compared { rows: fitted.rows, task, metric, seeds: self.seeds, models, diverged })
    }

    /// What stands for the rows and all that the models share.
    fn key(&self, common: &CommonRows<'_>) -> String {
        let encoder = serde_json::to_vec(&*common.fitted.encoder).expect("an encoder is plain data");
        let isa = self.resources.isa.level().name();
        let parts = [common.rows.fingerprint(), self.base.to_toml(), isa.to_owned()];
        let [rows, base, isa] = parts.each_ref().map(|part| part.as_bytes());
        journal::key(&[&encoder, rows, base, isa])
    }

    /// All runs of a model; an error comes with the seed of its run.
    fn runs(
        &self,
        (index, entry): (usize, &Entry),
        plan: &Plan,
        common: &CommonRows<'_>,
        finished: &mut Finished<'_>,
        observer: &mut dyn CompareObserver,
    ) -> Result<Measured, (u64, Error)> {
        let mut measured = Measured::new(entry, plan);
        for seed in (0..self.seeds).map(|s| entry.train.seed + s) {
            observer.run(index, &entry.name, seed);
            let run = finished.run(entry, seed, common, &mut measured, observer);
            let run = run.map_err(|error| (seed, error))?;
            observer.done(&entry.name, &run);
            measured.runs.push(run);
        }
        Ok(measured)
    }
}

/// Where finished runs come from and go to.
struct Finished<'a> {
    dir: Option<&'a mut CompareDir>,
    /// What stands for the rows and all that the models share.
    rows: String,
    /// Seconds that the regression took that all models share.
    solving: f64,
}

impl Finished<'_> {
    /// A run: found, or made and kept.
    fn run(
        &mut self,
        entry: &Entry,
        seed: u64,
        common: &CommonRows<'_>,
        measured: &mut Measured,
        observer: &mut dyn CompareObserver,
    ) -> Result<SeedRun> {
        let key = dir::run_key(&self.rows, entry, seed);
        if let Some(kept) = self.dir.as_ref().and_then(|dir| dir.find(&key)) {
            observer.found();
            return kept.restored(measured);
        }
        let made = one(entry, seed, common, measured, observer).map(|mut run| {
            if entry.train.solver == Some(Solver::Lbfgs) {
                // All models share the regression, but it is the whole training of this one.
                run.seconds += self.solving;
                run.seconds_to_best += self.solving;
                run.rows_per_second = common.rows.train.len() as f64 * run.epochs / run.seconds.max(1e-9);
            }
            SeedRun { peak_bytes: observer.peak_bytes(), ..run }
        });
        if let Some(dir) = &mut self.dir {
            match &made {
                Ok(run) => dir.keep(Kept::of(key, run, measured))?,
                Err(Error::Diverged { step, .. }) => dir.keep(Kept::diverged(key, *step))?,
                Err(_) => {}
            }
        }
        made
    }
}

/// Trains and measures a model with one seed.
fn one(
    entry: &Entry,
    seed: u64,
    common: &CommonRows<'_>,
    measured: &mut Measured,
    observer: &mut dyn CompareObserver,
) -> Result<SeedRun> {
    let (rows, task) = (&common.rows, common.task);
    let test = &rows.parts[Part::Test];
    let train = TrainConfig { seed, ..entry.train.clone() };
    let start = Instant::now();
    let mut watch = Watch { inner: observer, start, evaluating: 0.0, last_step: 0.0, best: 0.0 };
    let mut trained = common.train(&entry.model, &train, &mut watch)?;
    let (evaluating, best) = (watch.evaluating, watch.best);
    let seconds = start.elapsed().as_secs_f64();
    let cost = trained.learner.network().graph(test).cost();
    measured.forward_multiply_adds = cost.forward;
    measured.training_multiply_adds = cost.training;
    common.calibrate(&mut trained)?;
    let Trained { mut learner, state, .. } = trained;
    let scoring = Instant::now();
    let logits = learner.logits(test)?;
    let rate = test.len() as f64 / scoring.elapsed().as_secs_f64().max(1e-9);
    measured.inference_rows_per_second = measured.inference_rows_per_second.max(rate);
    let kept = train.kept(&state);
    let scored = Scored::of_batch(task, &logits, test)?;
    Ok(SeedRun {
        seed,
        validation: kept.and_then(|p| p.validation.clone()),
        test: Metrics::of(&scored, &Ranking::new(&scored)),
        seconds,
        seconds_to_best: if best > 0.0 { best } else { seconds },
        peak_bytes: None,
        best_epoch: kept.map_or(state.epoch as f64, |p| p.epoch),
        epochs: state.epoch as f64,
        rows_per_second: state.rows as f64 / (seconds - evaluating).max(1e-9),
        history: state.history,
        logits,
    })
}
