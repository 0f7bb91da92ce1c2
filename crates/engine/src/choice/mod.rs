//! `--model auto`: several kinds of models are trained on the same encoded rows, the validation rows choose
//! one, and a run with it goes on to its end.
//!
//! The rule: the best value of the monitored metric on the validation rows wins; of those that are less than
//! a ten-thousandth worse, the one with the fewest parameters. How much that is worth is said by the paired
//! differences to the others: where the interval to a simpler model holds zero, the simpler one may serve as
//! well.
mod chosen;

pub use chosen::{CANDIDATES_FILE, Choice, ChosenCandidate, Fate};

use crate::checkpoint_store::CheckpointStore;
use crate::common_rows::CommonRows;
use crate::config::{Loading, RunConfig};
use crate::error::{Error, Result};
use crate::rows::with_rows;
use crate::run::{Outcome, Run, RunObserver};
use crate::run_dir::{RunDir, StartedWith};
use crate::start::Start;
use crate::tensorboard::TensorBoard;
use crate::train_config::{Solver, TrainConfig};
use crate::train_state::Ending;
use crate::trained::Trained;
use chosen::Scored;
use dlrm_data::dataset::Fitted;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use dlrm_models::ModelConfig;
use std::path::PathBuf;
use std::time::Instant;

/// The kinds that are tried, the simplest first.
pub const KINDS: [&str; 5] = ["lr", "fm", "dlrm", "deepfm", "dcn_v2"];

/// A run whose model the validation rows choose.
pub struct ChosenRun {
    /// The run; its own model is one of the candidates if it is of their kinds.
    pub run: Run,
    /// The candidates.
    pub models: Vec<ModelConfig>,
}

/// What a run whose model is chosen tells while it goes.
pub trait ChoiceObserver: RunObserver {
    /// Candidate number `index` of `of`, from 0, is about to be trained.
    fn candidate(&mut self, _index: usize, _of: usize, _name: &str) {}
    /// The choice is made; the run with it goes on.
    fn chosen(&mut self, _choice: &Choice) {}
}

/// The run directory, and the checkpoint in it that the winner's run goes on from.
type Kept = (RunDir, Option<PathBuf>);

/// A candidate that has been trained.
struct Candidate {
    model: ModelConfig,
    train: TrainConfig,
    trained: Trained,
}

impl ChosenRun {
    /// `run` with the usual candidates; one of the kind of the run's own model has its settings.
    pub fn new(run: Run) -> Self {
        let own = &run.config.model;
        let of = |kind: &str| {
            if own.kind() == kind { Some(own.clone()) } else { ModelConfig::of_kind(kind) }
        };
        let mut models: Vec<ModelConfig> = KINDS.iter().filter_map(|kind| of(kind)).collect();
        if !KINDS.contains(&own.kind()) {
            models.push(own.clone());
        }
        ChosenRun { run, models }
    }

    /// Trains the candidates, chooses one, and does the run with it.
    ///
    /// # Errors
    /// As [`Run::execute`]; if no rows validate, or no candidate can be trained.
    pub fn execute(&self, observer: &mut dyn ChoiceObserver) -> Result<(Choice, Outcome)> {
        self.run.config.check()?;
        if self.run.config.data.loading == Loading::Stream {
            let expected = "rows in memory for several kinds of models to be trained on";
            let error = Error::config("model.kind", expected, "data.loading = \"stream\"");
            return Err(error.with_hint("name one kind of model"));
        }
        // Found out before the work, not after it.
        TensorBoard::check(&self.run.config.train)?;
        let dir = self.run.out.as_deref().map(|out| RunDir::open(out, self.run.start)).transpose()?;
        let threads = self.run.resources.threads;
        let given = self.run.rows.as_ref();
        let (choice, run, kept) =
            with_rows(&self.run.config, given, (threads, &observer.stop()), |source| {
                self.on(source, dir, observer)
            })?;
        observer.chosen(&choice);
        let (dir, checkpoint) = kept.unzip();
        let checkpoint = checkpoint.flatten();
        let outcome = run.execute_in(dir, observer).map_err(|error| match error {
            // What the winner has learned is kept, however early the run with it was stopped.
            Error::Interrupted { step, checkpoint: None } => Error::Interrupted { step, checkpoint },
            other => other,
        })?;
        Ok((choice, outcome))
    }

    /// The choice, and the run that goes on with it, from a checkpoint where there is a run directory.
    fn on(
        &self,
        source: DataSource<'_>,
        mut dir: Option<RunDir>,
        observer: &mut dyn ChoiceObserver,
    ) -> Result<(Choice, Run, Option<Kept>)> {
        let config = &self.run.config;
        observer.stage(source.fit_stage());
        let fitted = source.fit(config.complete_schema()?)?;
        observer.stage(source.encode_stage());
        let needed = [Part::Train, Part::Validation];
        let mut common = CommonRows::encode(source, &fitted, config, self.run.resources, &needed)?;
        observer.stage("solving the regression");
        let start = Instant::now();
        common.solve(observer)?;
        let solving = start.elapsed().as_secs_f64();
        let (mut scored, mut candidates) = (Vec::new(), Vec::new());
        for (index, model) in self.models.iter().enumerate() {
            observer.candidate(index, self.models.len(), model.kind());
            observer.stage("training");
            let (mut found, trained) = self.candidate(&common, model, observer)?;
            if trained.as_ref().is_some_and(|candidate| candidate.train.solver == Some(Solver::Lbfgs)) {
                found.seconds += solving;
            }
            scored.push(found);
            candidates.push(trained);
        }
        let validation = &common.rows.parts[Part::Validation];
        let (choice, chosen) = Choice::of(scored, common.task, config.train.monitor, validation)?;
        let winner = candidates.swap_remove(chosen).expect("what is chosen has been trained");
        if let Some(dir) = &mut dir {
            // Before there is a run to go on with, whose model it tells of.
            dir.write(CANDIDATES_FILE, &choice.to_json())?;
        }
        let (run, kept) = self.with(winner, &common, &fitted, dir)?;
        Ok((choice, run, kept))
    }

    /// Trains one candidate; a model that does not fit the rows, or diverges, is none.
    fn candidate(
        &self,
        common: &CommonRows<'_>,
        model: &ModelConfig,
        observer: &mut dyn ChoiceObserver,
    ) -> Result<(Scored, Option<Candidate>)> {
        let name = model.kind().to_uppercase();
        let train = common.settled(model, &self.run.config.train);
        let plan = match common.plan(model, &train) {
            Ok(plan) => plan,
            Err(error @ (Error::Model(_) | Error::Config { .. } | Error::Memory { .. })) => {
                let fate = Fate::Unfit { why: error.to_string() };
                return Ok((Scored::without(name, model.kind(), fate), None));
            }
            Err(error) => return Err(error),
        };
        observer.planned(&plan);
        let start = Instant::now();
        let mut trained = match common.train(model, &train, observer) {
            Ok(trained) => trained,
            Err(Error::Diverged { step, .. }) => {
                return Ok((Scored::without(name, model.kind(), Fate::Diverged { step }), None));
            }
            Err(error) => return Err(error),
        };
        let logits = trained.learner.logits(&common.rows.parts[Part::Validation])?;
        let scored = Scored {
            parameters: Some((plan.dense_parameters + plan.table_parameters) as u64),
            steps: trained.state.step,
            seconds: start.elapsed().as_secs_f64(),
            logits: Some(logits),
            ..Scored::without(name, model.kind(), Fate::Trained)
        };
        Ok((scored, Some(Candidate { model: model.clone(), train, trained })))
    }

    /// The run that goes on with the winner. What it has learned is left in the run directory as a checkpoint
    /// at the end of training, which that run resumes from.
    fn with(
        &self,
        Candidate { model, train, trained }: Candidate,
        common: &CommonRows<'_>,
        fitted: &Fitted,
        dir: Option<RunDir>,
    ) -> Result<(Run, Option<Kept>)> {
        // The run that goes on finds its own regression on the validation rows too.
        let Trained { learner, state, .. } = trained;
        let mut config = RunConfig { model, train, ..self.run.config.clone() };
        let Some(dir) = dir else {
            if state.ending == Some(Ending::Budget) {
                // Without a directory it is trained again, to the same step.
                config.train.max_steps = Some(state.step);
            }
            return Ok((Run { config, ..self.run.clone() }, None));
        };
        let encoder = serde_json::to_vec(&*fitted.encoder).expect("an encoder is plain data");
        let (rows, isa) = (common.rows.fingerprint(), self.run.resources.isa);
        let with = StartedWith { encoder: &encoder, config: &config, rows: &rows, isa };
        let (checkpoints, _) = dir.begin(&with)?;
        if let Some(best) = state.best {
            checkpoints.save_best(&learner, best.step)?;
        }
        let checkpoint = checkpoints.save(&learner, &state)?;
        let run = Run { config, start: Start::Resume, ..self.run.clone() };
        Ok((run, Some((dir.resume(), checkpoint))))
    }
}
