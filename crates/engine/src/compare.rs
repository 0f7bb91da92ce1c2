//! Several models on the same rows: one encoder, one split, one loader, the same seeds for all; what each is worth and what it costs.
//!
//! A difference between two models has two sources of chance: which rows were tested (DeLong's variance, or the bootstrap's)
//! and which seeds were drawn (the variance over seeds). Both are in the intervals here.
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::feed::MemoryFeed;
use crate::learner::{self, Learner};
use crate::network::Network;
use crate::plan::Plan;
use crate::thinning::Thinning;
use crate::trainer::{Observer, Point, State, TrainConfig, Trainer};
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_data::dataset::Dataset;
use dlrm_data::negatives::Sampler;
use dlrm_data::schema::Task;
use dlrm_data::source::DataSource;
use dlrm_metrics::normal::Z_95;
use dlrm_metrics::{Bootstrap, Interval, Metric, Metrics, Ranking, Scored, difference};
use dlrm_models::ModelConfig;
use dlrm_nn::Isa;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// A model to be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// How tables call it.
    pub name: String,
    /// The model.
    pub model: ModelConfig,
    /// How it is trained.
    pub train: TrainConfig,
}

/// A comparison to be made.
pub struct Compare {
    /// Input, split and schema.
    pub base: RunConfig,
    /// The models.
    pub entries: Vec<Entry>,
    /// Number of seeds; entry seeds are `train.seed`, `train.seed + 1`, …
    pub seeds: u64,
    /// Worker threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: Isa,
    /// Bytes of memory that may be used.
    pub memory_limit: Option<u64>,
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

/// One model with one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedRun {
    /// Seed of initial weights, shuffling and dropout.
    pub seed: u64,
    /// On the validation rows.
    pub validation: Option<Metrics>,
    /// On the test rows.
    pub test: Metrics,
    /// Seconds of training, evaluations included.
    pub seconds: f64,
    /// Seconds until the best weights.
    pub seconds_to_best: f64,
    /// Passes until the best weights.
    pub best_epoch: f64,
    /// Passes over the training rows.
    pub epochs: f64,
    /// The most memory that the process held in training and scoring, the rows that all models share included.
    pub peak_bytes: Option<u64>,
    /// Training rows per second, without evaluations.
    pub rows_per_second: f64,
    /// All evaluations.
    pub history: Vec<Point>,
    #[serde(skip)]
    logits: Vec<f32>,
}

/// Mean and standard deviation over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OverSeeds {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (over n - 1); zero for one seed.
    pub sd: f64,
}

impl OverSeeds {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0).max(1.0);
        OverSeeds { mean, sd: variance.sqrt() }
    }
}

/// What was measured of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// How tables call it.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Order of explicit interactions.
    pub order: &'static str,
    /// Unit of interaction.
    pub unit: &'static str,
    /// Parameters in tables.
    pub table_parameters: u64,
    /// Other parameters.
    pub dense_parameters: u64,
    /// Multiply-adds per row of the forward pass.
    pub forward_multiply_adds: f64,
    /// Multiply-adds per row of forward and backward pass.
    pub training_multiply_adds: f64,
    /// Bytes of weights, optimiser state and gradients.
    pub memory_bytes: u64,
    /// Test rows scored per second.
    pub inference_rows_per_second: f64,
    /// Its runs.
    pub runs: Vec<SeedRun>,
    /// Main metric (AUC, or RMSE for ratings) minus that of the best, with its interval; none for the best itself.
    pub against_best: Option<Interval>,
}

impl Measured {
    /// A test metric over the seeds.
    pub fn test(&self, metric: Metric) -> Option<OverSeeds> {
        let values: Option<Vec<f64>> = self.runs.iter().map(|run| metric.of(&run.test)).collect();
        values.filter(|v| !v.is_empty()).map(|values| OverSeeds::of(&values))
    }

    /// The most memory of any run.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.runs.iter().filter_map(|run| run.peak_bytes).max()
    }

    /// Something of each run, over the seeds.
    pub fn over(&self, f: impl Fn(&SeedRun) -> f64) -> OverSeeds {
        OverSeeds::of(&self.runs.iter().map(f).collect::<Vec<_>>())
    }
}

/// A model that could not be trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diverged {
    /// How tables call it.
    pub name: String,
    /// Seed of the run.
    pub seed: u64,
    /// The step whose loss was not finite.
    pub step: u64,
}

/// A finished comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Rows of (train, validation, test).
    pub rows: [u64; 3],
    /// Task of the labels.
    pub task: Task,
    /// The metric that models are ranked by.
    pub metric: Metric,
    /// Number of seeds.
    pub seeds: u64,
    /// Best first.
    pub models: Vec<Measured>,
    /// Models that are left out, for one of their runs diverged.
    pub diverged: Vec<Diverged>,
}

impl Compare {
    /// Does the comparison.
    ///
    /// # Errors
    /// As reading, configuration, memory or interruption; divergence, if no model can be trained.
    pub fn run(&self, source: DataSource<'_>, observer: &mut dyn CompareObserver) -> Result<Compared> {
        let schema = self.base.schema.as_ref().ok_or_else(|| Error::config("schema", "a schema", "none"))?;
        let task = schema.label.task;
        let fitted = source.fit(schema)?;
        if fitted.rows[2] == 0 {
            let hint = "give test rows: data.test, or a share of the split";
            return Err(Error::config("test rows", "at least one", "none").with_hint(hint));
        }
        let mut plans = Vec::new();
        for entry in &self.entries {
            entry.train.check(task)?;
            let config =
                RunConfig { model: entry.model.clone(), train: entry.train.clone(), ..self.base.clone() };
            let plan = Plan::new(&config, &fitted)?;
            plan.check(self.memory_limit)?;
            plans.push(plan);
        }
        let Dataset { parts, .. } = source.encode(&fitted, |_| true)?;
        let (mut parts, layout) = (parts.map(Arc::new), fitted.encoder.layout());
        if let Some(thinning) = Thinning::new(self.base.data.negative_downsampling_rate, self.base.train.seed)
        {
            parts[0] = Arc::new(thinning.apply(&parts[0], &layout));
        }
        let sampler = match &self.base.data.negatives {
            Some(negatives) => Some(Arc::new(Sampler::new(parts[0].clone(), &layout, negatives)?)),
            None => None,
        };
        let data = Data { parts, layout, task, sampler };
        let (mut models, mut diverged) = (Vec::new(), Vec::new());
        for (index, (entry, plan)) in self.entries.iter().zip(&plans).enumerate() {
            match self.runs(index, entry, plan, &data, observer) {
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
            Task::Binary if data.layout.groups => Metric::NdcgAt10,
            Task::Binary => Metric::Auc,
            Task::Rating => Metric::Rmse,
        };
        rank(&mut models, metric);
        against_best(&mut models, metric, &data)?;
        Ok(Compared { rows: fitted.rows, task, metric, seeds: self.seeds, models, diverged })
    }

    /// All runs of a model; an error comes with the seed of its run.
    fn runs(
        &self,
        index: usize,
        entry: &Entry,
        plan: &Plan,
        data: &Data,
        observer: &mut dyn CompareObserver,
    ) -> std::result::Result<Measured, (u64, Error)> {
        let mut measured = self.measured(entry, plan);
        for seed in (0..self.seeds).map(|s| entry.train.seed + s) {
            observer.run(index, &entry.name, seed);
            let mut run =
                self.one(entry, seed, data, &mut measured, observer).map_err(|error| (seed, error))?;
            run.peak_bytes = observer.peak_bytes();
            observer.done(&entry.name, &run);
            measured.runs.push(run);
        }
        Ok(measured)
    }

    fn measured(&self, entry: &Entry, plan: &Plan) -> Measured {
        let about = ModelConfig::ABOUT
            .iter()
            .find(|a| a.kind == entry.model.kind())
            .expect("every kind is described");
        Measured {
            name: entry.name.clone(),
            kind: about.kind,
            order: about.order,
            unit: about.unit,
            table_parameters: plan.table_parameters as u64,
            dense_parameters: plan.dense_parameters as u64,
            forward_multiply_adds: 0.0,
            training_multiply_adds: 0.0,
            memory_bytes: plan.weight_bytes + plan.training_bytes,
            inference_rows_per_second: 0.0,
            runs: Vec::new(),
            against_best: None,
        }
    }

    fn learner(&self, entry: &Entry, seed: u64, data: &Data) -> Result<Learner> {
        let config = &entry.train;
        let pool = learner::pool(self.threads)?;
        let network = pool.install(|| {
            Network::with_tables(&entry.model, &data.layout, config.table_precision, seed, self.isa)
        })?;
        let network = network
            .with_precision(config.precision)
            .with_negative_downsampling(self.base.data.negative_downsampling_rate);
        let optimizer = config.optimizer_of(network.weights());
        Learner::new(network, optimizer, config.loss.unwrap_or_default(), config.shape(), self.threads)
    }

    fn one(
        &self,
        entry: &Entry,
        seed: u64,
        data: &Data,
        measured: &mut Measured,
        observer: &mut dyn CompareObserver,
    ) -> Result<SeedRun> {
        let [train, validation, test] = &data.parts;
        let mut learner = self.learner(entry, seed, data)?;
        let layers = learner.network().layers(test);
        measured.forward_multiply_adds = layers.iter().map(|l| l.cost.forward).sum();
        measured.training_multiply_adds = layers.iter().map(|l| l.cost.training).sum();
        let rows = MemoryFeed::new(train.clone(), data.layout.clone(), entry.train.batch_size, seed);
        let mut rows = rows.with_negatives(data.sampler.clone());
        let validation = Some(&**validation).filter(|rows| !rows.is_empty());
        let trainer = Trainer { config: &entry.train, task: data.task, validation, checkpoints: None };
        let start = Instant::now();
        let mut watch = Watch { inner: observer, start, evaluating: 0.0, last_step: 0.0, best: 0.0 };
        let state = trainer.run(&mut learner, &mut rows, State::default(), &mut watch)?;
        let (evaluating, best) = (watch.evaluating, watch.best);
        let seconds = start.elapsed().as_secs_f64();
        let scoring = Instant::now();
        let logits = learner.logits(test);
        let rate = test.len() as f64 / scoring.elapsed().as_secs_f64().max(1e-9);
        measured.inference_rows_per_second = measured.inference_rows_per_second.max(rate);
        let best_point = state.best.and_then(|best| state.history.iter().find(|p| p.step == best.step));
        Ok(SeedRun {
            seed,
            validation: best_point.and_then(|p| p.validation.clone()),
            test: Metrics::of(&scored(&logits, data)?, &Ranking::new(&scored(&logits, data)?)),
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

/// Encoded rows that all models see.
struct Data {
    parts: [Arc<Batch>; 3],
    layout: Layout,
    task: Task,
    sampler: Option<Arc<Sampler>>,
}

fn scored<'a>(logits: &'a [f32], data: &'a Data) -> Result<Scored<'a>> {
    Ok(Scored::of_batch(data.task, logits, &data.parts[2])?)
}

/// Clocks a run.
struct Watch<'a> {
    inner: &'a mut dyn CompareObserver,
    start: Instant,
    /// Seconds of evaluations.
    evaluating: f64,
    /// When the last step ended.
    last_step: f64,
    /// When the best weights were found.
    best: f64,
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &State, loss: f64) {
        self.last_step = self.start.elapsed().as_secs_f64();
        self.inner.step(state, loss);
    }

    fn evaluated(&mut self, point: &Point, is_best: bool) {
        let now = self.start.elapsed().as_secs_f64();
        self.evaluating += now - self.last_step;
        if is_best {
            self.best = now;
        }
        self.inner.evaluated(point, is_best);
    }

    fn should_stop(&mut self) -> bool {
        self.inner.should_stop()
    }
}

/// Best first, by the mean over seeds.
fn rank(models: &mut [Measured], metric: Metric) {
    let key = |m: &Measured| {
        m.test(metric).map_or(f64::NEG_INFINITY, |o| if metric.higher_is_better() { o.mean } else { -o.mean })
    };
    models.sort_by(|a, b| key(b).total_cmp(&key(a)));
}

/// The best is the one that the validation rows choose, so that its own luck on the test rows does not flatter it; without
/// validation rows the first.
pub fn best(models: &[Measured], metric: Metric) -> usize {
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    let key = |m: &Measured| {
        let values: Option<Vec<f64>> = m.runs.iter().map(|run| metric.of(run.validation.as_ref()?)).collect();
        values.map_or(f64::NEG_INFINITY, |v| sign * OverSeeds::of(&v).mean)
    };
    (0..models.len()).rev().max_by(|&a, &b| key(&models[a]).total_cmp(&key(&models[b]))).unwrap_or(0)
}

/// The mean difference to the best over the seeds; its variance is that of the rows, which all seeds share, plus that of the
/// seeds over their number.
fn against_best(models: &mut [Measured], metric: Metric, data: &Data) -> Result<()> {
    let (best, bootstrap) = (best(models, metric), Bootstrap::default());
    let found: Vec<Option<Interval>> = (0..models.len())
        .map(|index| {
            if index == best {
                return Ok(None);
            }
            let (mut differences, mut row_variances) = (Vec::new(), Vec::new());
            for (own, other) in models[index].runs.iter().zip(&models[best].runs) {
                let (a, b) = (scored(&own.logits, data)?, scored(&other.logits, data)?);
                let (ranked_a, ranked_b) = (Ranking::new(&a), Ranking::new(&b));
                if let Some(d) = difference(metric, (&a, &ranked_a), (&b, &ranked_b), &bootstrap)? {
                    differences.push(d.interval.estimate);
                    row_variances.push(((d.interval.high - d.interval.low) / (2.0 * Z_95)).powi(2));
                }
            }
            if differences.is_empty() {
                return Ok(None);
            }
            let n = differences.len() as f64;
            let OverSeeds { mean, sd } = OverSeeds::of(&differences);
            let half = Z_95 * (row_variances.iter().sum::<f64>() / n + sd * sd / n).sqrt();
            Ok(Some(Interval { estimate: mean, low: mean - half, high: mean + half }))
        })
        .collect::<Result<_>>()?;
    models.iter_mut().zip(found).for_each(|(model, interval)| model.against_best = interval);
    Ok(())
}

impl Compared {
    /// What tables show: the metric that models are ranked by, and the other that matters.
    pub fn metrics(&self) -> [Metric; 2] {
        match self.metric {
            Metric::NdcgAt10 => [Metric::NdcgAt10, Metric::HitRateAt10],
            Metric::Rmse => [Metric::Rmse, Metric::Mae],
            _ => [Metric::Auc, Metric::LogLoss],
        }
    }

    /// The model that the validation rows choose.
    pub fn best(&self) -> &Measured {
        &self.models[best(&self.models, self.metric)]
    }

    /// What may be said: only differences whose interval excludes zero.
    pub fn verdict(&self) -> Vec<String> {
        let (best, title) = (self.best(), self.metric.title());
        let mut sentences = Vec::new();
        let mean = best.test(self.metric).map_or(f64::NAN, |o| o.mean);
        sentences.push(format!("The validation rows choose {}: test {title} {mean:.5}.", best.name));
        let (mut worse, mut better, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for model in &self.models {
            let Some(interval) = model.against_best else { continue };
            let (gain, loss) = if self.metric.higher_is_better() {
                (interval.low > 0.0, interval.high < 0.0)
            } else {
                (interval.high < 0.0, interval.low > 0.0)
            };
            let list = if gain {
                &mut better
            } else if loss {
                &mut worse
            } else {
                &mut open
            };
            list.push(model.name.as_str());
        }
        if !worse.is_empty() {
            sentences.push(format!("Worse than it on the test rows: {}.", worse.join(", ")));
        }
        if !better.is_empty() {
            sentences.push(format!("Better than it on the test rows all the same: {}.", better.join(", ")));
        }
        if !open.is_empty() {
            let cheapest = self
                .models
                .iter()
                .filter(|m| open.contains(&m.name.as_str()) || m.name == best.name)
                .min_by(|a, b| a.training_multiply_adds.total_cmp(&b.training_multiply_adds));
            sentences.push(format!("No difference can be claimed to: {}.", open.join(", ")));
            if let Some(cheapest) = cheapest {
                sentences.push(format!(
                    "Of these and {}, {} needs the fewest multiply-adds.",
                    best.name, cheapest.name
                ));
            }
        }
        for Diverged { name, seed, step } in &self.diverged {
            sentences.push(format!("{name} is left out: with seed {seed} it diverged at step {step}; a lower learning rate may train it."));
        }
        if self.seeds < 3 {
            sentences.push("With fewer than three seeds the spread over seeds is hardly known: read the intervals with care.".into());
        }
        sentences
    }
}
