//! A whole run: fit the encoder, plan, encode, train the model and its baselines, measure, save.
mod baseline;
mod clock;
mod foreseen;
mod learners;
mod outcome;
mod place;
mod record;
mod rows;
mod scoring;
mod shared;
mod tables;
mod told;
mod training;

pub use clock::Stage;
pub use foreseen::{Foreseen, Network as RankNetwork, StepTime};
pub(crate) use learners::new_learner;
pub use outcome::{Outcome, Scoring, TableState};
pub(crate) use rows::EncodedParts;

use crate::calibration::{CalibrationRecord, calibrate};
use crate::config::{Baseline, Loading, RunConfig};
use crate::error::{Error, Result};
use crate::explain::{Importance, of_run};
use crate::fit::can_start;
use crate::golden::Golden;
use crate::learner::Learner;
use crate::model_dir::ModelContents;
use crate::network::Network;
use crate::observer::{Observer, Unobserved};
use crate::plan::Plan;
use crate::ranks::Ranks;
use crate::regression;
use crate::rows::{GivenRows, with_rows};
use crate::run_dir::{RunDir, StartedWith};
use crate::start::Start;
use crate::tensorboard::TensorBoard;
use crate::train_state::TrainState;
use crate::trained::Trained;
use crate::warm_start::WarmStart;
use baseline::Reference;
use clock::Clock;
use dlrm_data::dataset::Fitted;
use dlrm_data::prepared::Cache;
use dlrm_data::schema::Schema;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use dlrm_nn::{Isa, Placement};
use place::{Place, stopped_after};
use std::path::PathBuf;
use xxhash_rust::xxh3::Xxh3;

/// What a run may use. No result depends on the threads and the memory.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Worker threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: Isa,
    /// Bytes of memory; without a limit a run takes what it needs.
    pub memory_limit: Option<u64>,
}

impl Default for Resources {
    fn default() -> Self {
        Resources { threads: 1, isa: Isa::detect(), memory_limit: None }
    }
}

/// A complete run, to be executed.
#[derive(Clone)]
pub struct Run {
    /// Complete configuration: resolved input, schema, loss, monitor.
    pub config: RunConfig,
    /// Rows in the place of the files of the configuration.
    pub rows: Option<GivenRows>,
    /// Run directory, if results are to be kept.
    pub out: Option<PathBuf>,
    /// Where it starts.
    pub start: Start,
    /// What it may use.
    pub resources: Resources,
    /// The processes that share its steps.
    pub ranks: Ranks,
}

/// What a run tells while it goes.
pub trait RunObserver: Observer {
    /// A new part of the work begins.
    fn stage(&mut self, _name: &str) {}
    /// The baseline is trained in steps, at most so many.
    fn baseline(&mut self, _steps: u64) {}
    /// The plan is known; training has not started.
    fn planned(&mut self, _plan: &Plan) {}
}

impl RunObserver for Unobserved {}

/// The run directory, the model that training goes on from, and what TensorBoard reads.
type Begun = (Option<RunDir>, Option<WarmStart>, Option<TensorBoard>);

impl Run {
    /// Does the run. Call [`Outcome::finish`] when everything that is made of it is written: until then its
    /// directory is locked and its checkpoints stay.
    ///
    /// # Errors
    /// If rows cannot be read, the configuration contradicts them, memory or the disk does not suffice,
    /// training diverges or the observer asks to stop; what was saved until then stays, and the run can be
    /// resumed.
    pub fn execute(&self, observer: &mut dyn RunObserver) -> Result<Outcome> {
        self.execute_in(None, observer)
    }

    fn execute_here(&self, dir: Option<RunDir>, observer: &mut dyn RunObserver) -> Result<Outcome> {
        self.config.check()?;
        let reading = (self.resources.threads, &observer.stop());
        with_rows(&self.config, self.rows.as_ref(), reading, |source| self.on(source, dir, observer))
    }

    fn on(
        &self,
        source: DataSource<'_>,
        dir: Option<RunDir>,
        observer: &mut dyn RunObserver,
    ) -> Result<Outcome> {
        let schema = self.config.complete_schema()?;
        let board = TensorBoard::begin(&self.config.train, observer.wall_time())?;
        let dir = match (dir, &self.out) {
            (None, Some(out)) => Some(RunDir::open(out, self.start)?),
            (dir, _) => dir,
        };
        let mut clock = Clock::new();
        observer.stage(source.fit_stage());
        let (before, fitted) = match &self.config.train.from {
            Some(from) => {
                WarmStart::fit(from, source, schema).map(|(before, fitted)| (Some(before), fitted))?
            }
            None => (None, source.fit(schema)?),
        };
        clock.lap("fit the encoder", Some(fitted.rows.values().sum()));
        stop_if_asked(observer)?;
        self.settled(&fitted)?.on_fitted(source, fitted, ((dir, before, board), clock), observer)
    }

    /// This run with what follows from the rows.
    fn settled(&self, fitted: &Fitted) -> Result<Run> {
        let mut run = self.clone();
        let rows = Plan::new(&self.config, fitted)?.epoch_rows;
        run.config.train.settle(&self.config.model, &self.config.data, &fitted.encoder.layout(), rows);
        Ok(run)
    }

    fn on_fitted(
        &self,
        source: DataSource<'_>,
        fitted: Fitted,
        (begun, mut clock): (Begun, Clock),
        observer: &mut dyn RunObserver,
    ) -> Result<Outcome> {
        let schema = self.config.complete_schema()?;
        let (plan, placement) = self.plan(&fitted, schema, observer)?;
        let mut place = self.place(begun, placement, &fitted)?;
        observer.stage(source.encode_stage());
        let rows = self.encoded(source, &fitted, &mut place, &mut clock)?;
        let reference = self.early_reference(&rows, plan.linear, &mut clock, observer)?;
        let mut trained = self.train(&rows, reference.as_ref(), &mut place, observer)?;
        clock.lap("train", Some(trained.state.rows));
        let refit = trained.refit.is_some();
        let (calibration, own) = self.calibrated(&mut trained, &rows, &mut clock, observer)?;
        let Trained { mut learner, state, .. } = trained;
        let scorings = self.measure(own, (&rows, &state, &place), reference, &mut clock, observer)?;
        let metrics = scoring::stored_metrics(&scorings[0], &rows.parts, schema.label.task)?;
        let tables = tables::after_training(learner.network(), &rows)?;
        let importance = self.importance(&mut learner, &rows, &fitted, state.rows, &mut clock)?;
        let config = self.repeatable(&state);
        let (network, optimizer) = learner.into_parts();
        let golden = self.golden(&network, (source, &fitted), &place, state.step, observer)?;
        if let Some(golden) = &golden {
            let contents = ModelContents {
                network: &network,
                encoder: &fitted.encoder,
                config: &config,
                metrics: &metrics,
                calibration: calibration.as_ref(),
                golden,
                trained: &self.trained_files(place.before.as_ref(), &rows, refit)?,
                optimizer: self.config.train.keeps_optimizer().then_some(&optimizer),
            };
            place.save(&contents, &fitted, state.step, observer)?;
            clock.lap("save", None);
        }
        let EncodedParts { parts, stats, .. } = rows;
        Ok(Outcome {
            config,
            network,
            fitted,
            plan,
            state,
            refit,
            scorings,
            verdict_part: outcome::verdict_part(&parts).0,
            parts,
            stats,
            tables,
            importance,
            calibration,
            metrics,
            stages: clock.stages,
            golden_rows: golden.map_or(0, |golden| golden.rows.len()),
            dir: place.dir,
        })
    }

    /// Calibrates the model; what it then scores. All else is the first rank's work.
    fn calibrated(
        &self,
        trained: &mut Trained,
        rows: &EncodedParts<'_>,
        clock: &mut Clock,
        observer: &mut dyn RunObserver,
    ) -> Result<(Option<CalibrationRecord>, Scoring)> {
        observer.stage("measuring");
        let (record, logits) = calibrate(trained, rows, &self.config)?;
        trained.learner.part()?;
        clock.lap("score", Some(rows.stats[Part::Validation].rows + rows.stats[Part::Test].rows));
        let name = self.config.model.kind().to_uppercase();
        Ok((record, Scoring { name, parameters: Some(trained.parameters()), converged: None, logits }))
    }

    /// The rows that are stored with the model, where it is saved.
    fn golden(
        &self,
        network: &Network,
        rows: (DataSource<'_>, &Fitted),
        place: &Place,
        step: u64,
        observer: &mut dyn RunObserver,
    ) -> Result<Option<Golden>> {
        if place.dir.is_none() {
            return Ok(None);
        }
        observer.stage("saving");
        Golden::of_run(network, rows, &self.config, step).map(Some)
    }

    /// The rows, encoded.
    fn encoded<'a>(
        &'a self,
        source: DataSource<'a>,
        fitted: &'a Fitted,
        place: &mut Place,
        clock: &mut Clock,
    ) -> Result<EncodedParts<'a>> {
        let mut rows = EncodedParts::encode(source, fitted, &self.config, self.config.data.loading)?;
        clock.lap("encode", Some(fitted.rows.values().sum()));
        self.settle(&mut rows, source, fitted, place)?;
        Ok(rows)
    }

    /// What the run needs, refused where there is not so much.
    /// Who holds its tables, too.
    fn plan(
        &self,
        fitted: &Fitted,
        schema: &Schema,
        observer: &mut dyn RunObserver,
    ) -> Result<(Plan, Placement)> {
        let mut plan = Plan::new(&self.config, fitted)?;
        let keeps = self.ranks.decide(|| self.out.is_some() && self.start != Start::Once)?;
        if !keeps {
            plan = plan.with_best_in_memory();
        }
        let limit = self.least_memory()?;
        let (rank, ranks) = (self.ranks.rank(), self.ranks.size());
        let mut placement = Placement::default();
        if ranks > 1 {
            let holders;
            (plan, holders) = plan.among(ranks, limit)?;
            placement = Placement { rank, ranks, holders };
        }
        observer.planned(&plan);
        self.check_linear(&plan, schema)?;
        plan.check(limit)?;
        Ok((plan, placement))
    }

    /// Settings of a linear part need one.
    fn check_linear(&self, plan: &Plan, schema: &Schema) -> Result<()> {
        let kind = self.config.model.kind();
        let unused = |name: String| !plan.features.contains(&name);
        let asked = [
            ("train.linear_optimizer", self.config.train.linear_optimizer.is_some() && !plan.linear),
            ("crosses", schema.crosses.iter().any(|cross| unused(cross.name()))),
        ];
        match asked.into_iter().find(|(_, vain)| *vain) {
            Some((what, _)) => {
                Err(Error::config(what, "a model with a linear part", kind).with_hint(format!(
                    "leave {what} out, or take a model that has one, such as lr, fm, wide_deep or deepfm"
                )))
            }
            None => Ok(()),
        }
    }

    /// Readies the run directory.
    fn place(&self, (dir, before, board): Begun, placement: Placement, fitted: &Fitted) -> Result<Place> {
        let encoder = serde_json::to_vec(&*fitted.encoder).expect("an encoder is plain data");
        dir.as_ref().map(|dir| dir.check_encoder(&encoder)).transpose()?;
        Ok(Place { dir, checkpoints: None, before, board, encoder, placement, warning: None })
    }

    /// Notes what the run is started with, which rows it is on, and where those of a stream are kept encoded.
    fn settle(
        &self,
        rows: &mut EncodedParts<'_>,
        source: DataSource<'_>,
        fitted: &Fitted,
        place: &mut Place,
    ) -> Result<()> {
        // As large as the vocabularies, and needed here for the last time.
        let encoder = std::mem::take(&mut place.encoder);
        let Some(dir) = &place.dir else { return Ok(()) };
        let (fingerprint, isa) = (rows.fingerprint(), self.resources.isa);
        let (encoder, config) = (&encoder[..], &self.config);
        let (checkpoints, warning) = dir.begin(&StartedWith { encoder, config, rows: &fingerprint, isa })?;
        place.checkpoints = Some(checkpoints).filter(|_| self.start != Start::Once);
        place.warning = warning;
        let data = &self.config.data;
        // One pass would write what nothing reads.
        let again = self.config.train.epochs.is_none_or(|epochs| epochs > 1) || data.baseline == Baseline::Lr;
        let raw = matches!(source, DataSource::Raw(_));
        if raw && data.loading == Loading::Stream && data.cache && again {
            let mut key = Xxh3::new();
            key.update(env!("CARGO_PKG_VERSION").as_bytes());
            key.update(encoder);
            key.update(fingerprint.as_bytes());
            let key = format!("{:032x}", key.digest128());
            rows.keep_in(Some(Cache::new(dir.kept_rows(), key, &fitted.encoder)));
        }
        Ok(())
    }

    /// The regression on the rows before the model is trained, where it can be solved: the model may start
    /// from it, and it is what the model is compared with.
    fn early_reference(
        &self,
        rows: &EncodedParts<'_>,
        linear: bool,
        clock: &mut Clock,
        observer: &mut dyn RunObserver,
    ) -> Result<Option<Reference>> {
        let starts = linear && self.config.train.starts_from_regression();
        let wanted = (starts || self.config.has_baseline()) && can_start(&self.config.model);
        let can = regression::can(&self.config.data, &rows.layout, rows.epoch_rows());
        stop_if_asked(observer)?;
        if !(wanted && can) {
            return Ok(None);
        }
        let task = self.config.complete_schema()?.label.task;
        observer.stage("solving the regression");
        let reference = self.reference(rows, task, observer)?;
        clock.lap("solve the regression", None);
        Ok(Some(reference))
    }

    /// What the model and its baselines score.
    fn measure(
        &self,
        own: Scoring,
        (rows, state, place): (&EncodedParts<'_>, &TrainState, &Place),
        reference: Option<Reference>,
        clock: &mut Clock,
        observer: &mut dyn RunObserver,
    ) -> Result<Vec<Scoring>> {
        let task = self.config.complete_schema()?.label.task;
        let mut scorings = vec![own, scoring::label_mean(rows.mean_label(), task, &rows.parts)];
        if self.config.has_baseline() {
            let trained = match reference {
                Some(reference) => Ok(reference),
                None => {
                    observer.stage("training the baseline");
                    self.reference(rows, task, observer)
                }
            };
            // What the model learned is saved, whatever becomes of the baseline.
            let stopped = |error| stopped_after(error, state.step, place.checkpoints.as_ref());
            let reference = trained.map_err(stopped)?;
            scorings.insert(1, reference.scoring(task, rows)?);
            clock.lap("train and score the baseline", None);
        }
        Ok(scorings)
    }

    /// What the columns are worth on the verdict's rows, after `trained` rows went through training.
    fn importance(
        &self,
        learner: &mut Learner,
        rows: &EncodedParts<'_>,
        fitted: &Fitted,
        trained: u64,
        clock: &mut Clock,
    ) -> Result<Option<Importance>> {
        let (_, measured) = outcome::verdict_part(&rows.parts);
        let found = of_run(learner, (&fitted.encoder, measured), &self.config, trained)?;
        clock.lap("explain", None);
        Ok(found)
    }
}

fn stop_if_asked(observer: &mut dyn RunObserver) -> Result<()> {
    if observer.should_stop() { Err(Error::Interrupted { step: 0, checkpoint: None }) } else { Ok(()) }
}
