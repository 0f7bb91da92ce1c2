//! A whole run: fit the encoder, plan, encode, train the model and its baselines, measure, save.
use crate::checkpoint::Checkpoints;
use crate::config::{Baseline, Loading, RunConfig};
use crate::error::{Error, Result};
use crate::feed::{MemoryFeed, StreamFeed};
use crate::learner::{self, Learner};
use crate::model_dir::{self, Golden, StoredMetrics};
use crate::network::Network;
use crate::plan::Plan;
use crate::run_dir::RunDir;
use crate::thinning::Thinning;
use crate::trainer::{Observer, State, TrainConfig, Trainer, TrainingRows, Unobserved};
use dlrm_data::batch::Layout;
use dlrm_data::batches::RowStream;
use dlrm_data::dataset::{Dataset, Fitted, PartStats};
use dlrm_data::negatives::Sampler;
use dlrm_data::prepared::Cache;
use dlrm_data::schema::{Schema, Task};
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use dlrm_data::{Batch, Encoder};
use dlrm_metrics::{Metrics, Ranking, Scored};
use dlrm_models::{LrConfig, ModelConfig};
use dlrm_nn::{DenseOptimizer, Isa, LINEAR, TableOptimizer};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use xxhash_rust::xxh3::Xxh3;

/// A timed part of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What was done.
    pub name: String,
    /// Wall-clock time.
    pub seconds: f64,
    /// Rows that went through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// A run to be done.
pub struct Job {
    /// Complete configuration: resolved input, schema, loss, monitor.
    pub config: RunConfig,
    /// Run directory, if results are to be kept.
    pub out: Option<PathBuf>,
    /// Go on from the newest checkpoint in it.
    pub start: Start,
    /// Worker threads; no result depends on it.
    pub threads: usize,
    /// Instruction set.
    pub isa: Isa,
    /// Bytes of memory that may be used.
    pub memory_limit: Option<u64>,
}

/// Where a run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the beginning, in a directory that holds no other run.
    Fresh,
    /// At the beginning, replacing what the directory holds.
    Overwrite,
    /// At the newest checkpoint.
    Resume,
}

/// What a run tells while it goes.
pub trait JobObserver: Observer {
    /// A new part of the work begins.
    fn stage(&mut self, _name: &str) {}
    /// The plan is known; training has not started.
    fn planned(&mut self, _plan: &Plan) {}
}

impl JobObserver for Unobserved {}

/// Logits of one candidate on the parts it is measured on.
pub struct Scoring {
    /// Name in running text.
    pub name: String,
    /// Number of parameters.
    pub parameters: Option<u64>,
    /// Logits of (validation, test).
    pub logits: [Vec<f32>; 2],
}

/// A finished run.
pub struct Trained {
    /// The model with its best weights.
    pub network: Network,
    /// The encoder and what fitting saw.
    pub fitted: Fitted,
    /// What it needed.
    pub plan: Plan,
    /// How training went.
    pub state: State,
    /// Model first, then baselines.
    pub scorings: Vec<Scoring>,
    /// Encoded rows of (train, validation, test); train is empty when streaming.
    pub parts: [Arc<Batch>; 3],
    /// How they looked.
    pub stats: [PartStats; 3],
    /// Share of each model table's rows that no training row touched.
    pub untouched: Vec<f64>,
    /// Metrics of the model by part.
    pub metrics: StoredMetrics,
    /// What took how long.
    pub stages: Vec<Stage>,
    /// Name of the part that results are quoted on: test, or what there is.
    pub verdict_part: Part,
    checkpoints: Option<Checkpoints>,
}

impl Trained {
    /// Removes the checkpoints, once everything made of the run is written.
    ///
    /// # Errors
    /// As the file system.
    pub fn finish(&mut self) -> Result<()> {
        self.checkpoints.take().map_or(Ok(()), Checkpoints::remove)
    }
}

/// Rows of a pass that looks at ids alone.
const ROWS_AT_ONCE: usize = 4096;

/// Rows whose scores are stored with the model.
const GOLDEN_ROWS: usize = 8;

impl Job {
    /// Does the run.
    ///
    /// # Errors
    /// As reading, configuration, memory, the file system, divergence or interruption.
    pub fn run(&self, source: DataSource<'_>, observer: &mut dyn JobObserver) -> Result<Trained> {
        self.config.check()?;
        let schema =
            self.config.schema.as_ref().ok_or_else(|| Error::config("schema", "a schema", "none"))?;
        let task = schema.label.task;
        let dir = self.out.as_deref().map(|out| RunDir::open(out, self.start)).transpose()?;
        let mut clock = Clock::new();
        observer.stage("fitting the encoder");
        let fitted = source.fit(schema)?;
        clock.lap("fit the encoder", Some(fitted.rows.iter().sum()));
        stop_if_asked(observer)?;
        let plan = Plan::new(&self.config, &fitted)?;
        observer.planned(&plan);
        self.check_linear(&plan, schema)?;
        plan.check(self.memory_limit)?;
        let encoder = serde_json::to_vec(&*fitted.encoder).expect("an encoder is plain data");
        let checkpoints = dir.as_ref().map(|dir| dir.prepare(&encoder, &self.config)).transpose()?;

        observer.stage("encoding");
        let streaming = self.config.data.loading == Loading::Stream;
        let Dataset { parts, stats } = source.encode(&fitted, |part| !(streaming && part == Part::Train))?;
        let thinning = Thinning::new(self.config.data.negative_downsampling_rate, self.config.train.seed);
        let parts = parts.map(Arc::new);
        clock.lap("encode", Some(fitted.rows.iter().sum()));
        stop_if_asked(observer)?;
        let fingerprint = fingerprint(&parts, &stats);
        dir.as_ref().map_or(Ok(()), |dir| dir.check_rows(&fingerprint))?;
        let layout = fitted.encoder.layout();
        let train = match thinning {
            Some(thinning) if !streaming => Arc::new(thinning.apply(&parts[0], &layout)),
            _ => parts[0].clone(),
        };
        let sampler = match &self.config.data.negatives {
            Some(negatives) => Some(Arc::new(Sampler::new(parts[0].clone(), &layout, negatives)?)),
            None => None,
        };
        let cache = match source {
            DataSource::Raw(_) => self.cache(dir.as_ref(), &fitted.encoder, &encoder, &fingerprint),
            DataSource::Prepared(_) => None,
        };
        let feed = |seed| -> Box<dyn TrainingRows + '_> {
            let (batch, window) = (self.config.train.batch_size, self.config.data.shuffle_window);
            if streaming {
                Box::new(
                    StreamFeed::new(source, &fitted, batch, window, seed)
                        .with_cache(cache.clone())
                        .with_thinning(thinning),
                )
            } else {
                Box::new(
                    MemoryFeed::new(train.clone(), layout.clone(), batch, seed)
                        .with_negatives(sampler.clone()),
                )
            }
        };

        observer.stage("training");
        let (learner, state) =
            self.train(&fitted, &parts, &mut *feed(self.config.train.seed), checkpoints.as_ref(), observer)?;
        clock.lap("train", Some(state.rows));
        observer.stage("measuring");
        let mut scorings = vec![scoring(&learner, self.config.model.kind().to_uppercase(), &parts)];
        let mean_label =
            sampler.as_ref().map_or_else(|| stats[0].mean_label(), |sampler| sampler.mean_label());
        scorings.push(label_mean(mean_label, task, &parts));
        clock.lap("score", Some(fitted.rows[1] + fitted.rows[2]));
        if self.config.data.baseline == Baseline::Lr && self.config.model.kind() != "lr" {
            observer.stage("training the baseline");
            let baseline = self.baseline(&fitted, &parts, task, &mut *feed(self.config.train.seed), observer);
            // What the model learned is saved, whatever becomes of the baseline.
            let saved = || checkpoints.as_ref().and_then(|c| c.newest().ok());
            scorings.insert(
                1,
                baseline.map_err(|e| match e {
                    Error::Interrupted { .. } => Error::Interrupted { step: state.step, checkpoint: saved() },
                    other => other,
                })?,
            );
            clock.lap("train and score the baseline", None);
        }
        let metrics = stored_metrics(&scorings[0], &parts, task)?;
        let stream = || -> Result<Box<dyn RowStream>> {
            let rows = Box::new(source.stream(&fitted)?);
            Ok(if let Some(thinning) = thinning { thinning.stream(rows, &layout) } else { rows })
        };
        let untouched = untouched(&learner, &layout, if streaming { Some(stream()?) } else { None }, &train)?;
        let network = learner.into_network();
        if let Some(out) = &self.out {
            observer.stage("saving");
            let golden = self.golden(&network, source, &fitted, state.step)?;
            model_dir::save(&out.join("model"), &network, &fitted.encoder, &self.config, &metrics, &golden)?;
            clock.lap("save", None);
        }
        let verdict_part =
            [Part::Test, Part::Validation].into_iter().find(|&p| !parts[p as usize].is_empty());
        Ok(Trained {
            network,
            fitted,
            plan,
            state,
            scorings,
            parts,
            stats,
            untouched,
            metrics,
            stages: clock.stages,
            verdict_part: verdict_part.unwrap_or(Part::Train),
            checkpoints,
        })
    }

    /// Settings of a linear part need one.
    fn check_linear(&self, plan: &Plan, schema: &Schema) -> Result<()> {
        let kind = self.config.model.kind();
        let unused =
            |name: String| plan.tables.iter().all(|(table, ..)| table.strip_prefix(LINEAR) != Some(&name));
        let asked = [
            ("train.linear_optimizer", self.config.train.linear_optimizer.is_some() && !plan.linear),
            ("crosses", schema.crosses.iter().any(|cross| unused(cross.name()))),
        ];
        match asked.into_iter().find(|(_, vain)| *vain) {
            Some((what, _)) => Err(Error::config(what, "a model with a linear part", kind)
                .with_hint(format!("leave {what} out, or take lr, fm, ffm, wide_deep, deepfm or xdeepfm"))),
            None => Ok(()),
        }
    }

    /// The rows of a stream, kept encoded if more than one pass will read them.
    fn cache(&self, dir: Option<&RunDir>, encoder: &Encoder, json: &[u8], rows: &str) -> Option<Cache> {
        let data = &self.config.data;
        let again = self.config.train.epochs > 1 || data.baseline == Baseline::Lr;
        let dir = dir.filter(|_| data.loading == Loading::Stream && data.cache && again)?;
        let mut key = Xxh3::new();
        key.update(env!("CARGO_PKG_VERSION").as_bytes());
        key.update(json);
        key.update(rows.as_bytes());
        Some(Cache::new(dir.kept_rows(), format!("{:032x}", key.digest128()), encoder))
    }

    /// Trains the model, from a checkpoint where asked.
    fn train(
        &self,
        fitted: &Fitted,
        parts: &[Arc<Batch>; 3],
        rows: &mut dyn TrainingRows,
        checkpoints: Option<&Checkpoints>,
        observer: &mut dyn JobObserver,
    ) -> Result<(Learner, State)> {
        let config = &self.config.train;
        let task = fitted.encoder.schema().label.task;
        let mut learner = self.learner(&self.config.model, config, fitted)?;
        let state = match checkpoints.filter(|_| self.start == Start::Resume) {
            Some(checkpoints) => checkpoints.load(&checkpoints.newest()?, &mut learner)?,
            None => State::default(),
        };
        let validation = Some(&*parts[Part::Validation as usize]).filter(|rows| !rows.is_empty());
        let trainer = Trainer { config, task, validation, checkpoints };
        let state = trainer.run(&mut learner, rows, state, observer)?;
        // Without validation rows nothing else would notice.
        if let Some(broken) = learner
            .network()
            .weights()
            .tensors()
            .iter()
            .find_map(|(.., values)| values.iter().find(|v| !v.is_finite()))
        {
            return Err(Error::Diverged { step: state.step, loss: f64::from(broken) });
        }
        Ok((learner, state))
    }

    fn learner(&self, model: &ModelConfig, config: &TrainConfig, fitted: &Fitted) -> Result<Learner> {
        let pool = learner::pool(self.threads)?;
        let network = pool.install(|| {
            Network::with_tables(
                model,
                &fitted.encoder.layout(),
                config.table_precision,
                config.seed,
                self.isa,
            )
        })?;
        let network = network
            .with_precision(config.precision)
            .with_negative_downsampling(self.config.data.negative_downsampling_rate);
        let optimizer = config.optimizer_of(network.weights());
        Learner::new(network, optimizer, config.loss.unwrap_or_default(), config.shape(), self.threads)
    }

    /// Logistic (linear) regression on the same rows, trained to its own best.
    fn baseline(
        &self,
        fitted: &Fitted,
        parts: &[Arc<Batch>; 3],
        task: Task,
        rows: &mut dyn TrainingRows,
        observer: &mut dyn JobObserver,
    ) -> Result<Scoring> {
        let (lr, beta1, beta2, eps, l2) = (5e-3, 0.9, 0.999, 1e-8, 0.0);
        let config = TrainConfig {
            epochs: self.config.train.epochs.max(50),
            optimizer: DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 },
            table_optimizer: TableOptimizer::AdamLazy { lr, beta1, beta2, eps, l2 },
            linear_optimizer: None,
            schedule: Default::default(),
            plateau: None,
            patience: self.config.train.patience.max(2),
            checkpoint_every: None,
            ..self.config.train.clone()
        };
        let mut learner = self.learner(&ModelConfig::Lr(LrConfig {}), &config, fitted)?;
        let validation = Some(&*parts[Part::Validation as usize]).filter(|rows| !rows.is_empty());
        // Without validation rows nothing says when to stop, so the baseline gets the model's epochs.
        let config = if validation.is_none() {
            TrainConfig { epochs: self.config.train.epochs, ..config }
        } else {
            config
        };
        let trainer = Trainer { config: &config, task, validation, checkpoints: None };
        let mut quiet = StopOnly(observer);
        trainer.run(&mut learner, rows, State::default(), &mut quiet)?;
        let name = if task == Task::Binary { "logistic regression" } else { "linear regression" };
        Ok(scoring(&learner, name.into(), parts))
    }

    /// A few rows as text with their scores.
    fn golden(
        &self,
        network: &Network,
        source: DataSource<'_>,
        fitted: &Fitted,
        step: u64,
    ) -> Result<Golden> {
        let part =
            [Part::Test, Part::Validation, Part::Train].into_iter().find(|&p| fitted.rows[p as usize] > 0);
        let schema = fitted.encoder.schema();
        let sample = source.sample(fitted, part.unwrap_or(Part::Train), GOLDEN_ROWS)?;
        let names = schema.dense.iter().map(|c| &c.name).chain(schema.categorical.iter().map(|c| &c.name));
        let places: Vec<usize> =
            names.filter_map(|name| sample.columns.iter().position(|c| c == name)).collect();
        let pick =
            |fields: &Vec<String>| -> Vec<String> { places.iter().map(|&i| fields[i].clone()).collect() };
        let (columns, rows) = (pick(&sample.columns), sample.rows.iter().map(pick).collect::<Vec<_>>());
        let logits = model_dir::golden_logits(&fitted.encoder, network, &columns, &rows)?;
        if let Some(broken) = logits.iter().find(|logit| !logit.is_finite()) {
            // Finite weights can be too large to compute with.
            return Err(Error::Diverged { step, loss: f64::from(*broken) });
        }
        let isa = self.isa.level().name().to_owned();
        Ok(Golden { isa, columns, rows, logit_bits: logits.iter().map(|l| l.to_bits()).collect() })
    }
}

fn stop_if_asked(observer: &mut dyn JobObserver) -> Result<()> {
    if observer.should_stop() { Err(Error::Interrupted { step: 0, checkpoint: None }) } else { Ok(()) }
}

/// A hash of the encoded rows (of what is known of them where they are streamed).
fn fingerprint(parts: &[Arc<Batch>; 3], stats: &[PartStats; 3]) -> String {
    let mut hash = Xxh3::new();
    for (part, stats) in parts.iter().zip(stats) {
        hash.update(&stats.rows.to_le_bytes());
        hash.update(&stats.label_sum.to_le_bytes());
        if stats.text_hash != 0 {
            hash.update(&stats.text_hash.to_le_bytes());
        }
        hash.update(bytemuck::cast_slice(&part.dense));
        hash.update(bytemuck::cast_slice(&part.labels));
        hash.update(bytemuck::cast_slice(part.weights.as_deref().unwrap_or_default()));
        hash.update(bytemuck::cast_slice(part.groups.as_deref().unwrap_or_default()));
        for bags in &part.bags {
            hash.update(bytemuck::cast_slice(&bags.ids));
            hash.update(bytemuck::cast_slice(&bags.offsets));
            hash.update(bytemuck::cast_slice(bags.weights.as_deref().unwrap_or_default()));
        }
    }
    format!("xxh3 {:016x}\n", hash.digest())
}

/// Passes on warnings and the wish to stop, and nothing else.
struct StopOnly<'a>(&'a mut dyn JobObserver);

impl Observer for StopOnly<'_> {
    fn warned(&mut self, warning: &str) {
        self.0.warned(warning);
    }

    fn should_stop(&mut self) -> bool {
        self.0.should_stop()
    }
}

/// Times the parts of a run, for the report only.
struct Clock {
    last: Instant,
    stages: Vec<Stage>,
}

impl Clock {
    fn new() -> Self {
        Clock { last: Instant::now(), stages: Vec::new() }
    }

    fn lap(&mut self, name: &str, rows: Option<u64>) {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.stages.push(Stage { name: name.into(), seconds, rows });
        self.last = now;
    }
}

fn scoring(learner: &Learner, name: String, parts: &[Arc<Batch>; 3]) -> Scoring {
    let (dense, tables) = learner.network().weights().count();
    Scoring {
        name,
        parameters: Some((dense + tables) as u64),
        logits: [1, 2].map(|p| learner.logits(&parts[p])),
    }
}

/// Predicts the mean label of the training rows for every row.
fn label_mean(mean: f64, task: Task, parts: &[Arc<Batch>; 3]) -> Scoring {
    let constant = match task {
        Task::Binary => {
            // A column of one class has no finite logit.
            let p = mean.clamp(1e-6, 1.0 - 1e-6);
            (p / (1.0 - p)).ln()
        }
        Task::Rating => mean,
    };
    Scoring {
        name: "label mean".into(),
        parameters: Some(1),
        logits: [1, 2].map(|p| vec![constant as f32; parts[p].len()]),
    }
}

fn stored_metrics(model: &Scoring, parts: &[Arc<Batch>; 3], task: Task) -> Result<StoredMetrics> {
    let mut metrics = StoredMetrics::new();
    for (name, part, logits) in [("validation", 1, &model.logits[0]), ("test", 2, &model.logits[1])] {
        if !parts[part].is_empty() {
            let scored = Scored::of_batch(task, logits, &parts[part])?;
            metrics.insert(name.into(), Metrics::of(&scored, &Ranking::new(&scored)));
        }
    }
    Ok(metrics)
}

/// Share of the rows of each table that no training row touched.
fn untouched(
    learner: &Learner,
    layout: &Layout,
    stream: Option<Box<dyn RowStream>>,
    train: &Batch,
) -> Result<Vec<f64>> {
    let weights = learner.network().weights();
    let mut touched: Vec<Vec<bool>> = weights.tables().iter().map(|t| vec![false; t.rows]).collect();
    let mut mark = |batch: &Batch| {
        for slot in weights.slots() {
            for part in slot.parts() {
                batch.bags[slot.feature]
                    .ids
                    .iter()
                    .for_each(|&id| touched[part.table][part.rows.row(id) as usize] = true);
            }
        }
    };
    match stream {
        None => mark(train),
        Some(mut rows) => {
            let mut batch = Batch::new(layout);
            while rows.append_rows(&mut batch, ROWS_AT_ONCE)? > 0 {
                mark(&batch);
                batch.clear();
            }
        }
    }
    Ok(touched
        .iter()
        .map(|rows| rows.iter().filter(|&&t| !t).count() as f64 / rows.len().max(1) as f64)
        .collect())
}
