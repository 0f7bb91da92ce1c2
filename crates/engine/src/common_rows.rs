//! Encoded rows that several models are trained on, one after the other: one encoder, one split, one
//! regression to start from.
use crate::calibration::calibrate;
use crate::checkpoint_store::InMemory;
use crate::config::{Loading, RunConfig};
use crate::error::{Error, Result};
use crate::fit::{Fit, can_start, regression};
use crate::learner::Learner;
use crate::network::Values;
use crate::observer::Observer;
use crate::plan::Plan;
use crate::regression::{self, Solved};
use crate::run::{EncodedParts, Resources, new_learner};
use crate::train_config::{Solver, TrainConfig};
use crate::trained::Trained;
use dlrm_data::dataset::Fitted;
use dlrm_data::schema::Task;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use dlrm_models::{LrConfig, ModelConfig};
use dlrm_nn::Placement;

/// Encoded rows and what is known of them.
pub(crate) struct CommonRows<'a> {
    pub(crate) rows: EncodedParts<'a>,
    pub(crate) fitted: &'a Fitted,
    pub(crate) task: Task,
    config: &'a RunConfig,
    resources: Resources,
    regression: Option<Solved>,
}

/// Values of a metric that differ by less than this share of them count as equal: nobody would notice.
const EQUAL: f64 = 1e-4;

/// Whether a model is as good as the best, each told by a value that is the lower, the better.
pub(crate) fn as_good(value: f64, best: f64) -> bool {
    value <= best + EQUAL * best.abs()
}

impl<'a> CommonRows<'a> {
    /// Encodes the rows of `source`, in memory.
    ///
    /// # Errors
    /// If they cannot be read, or there are none of the parts `needed`.
    pub(crate) fn encode(
        source: DataSource<'a>,
        fitted: &'a Fitted,
        config: &'a RunConfig,
        resources: Resources,
        needed: &[Part],
    ) -> Result<Self> {
        if config.train.from.is_some() {
            let error =
                Error::config("train.from", "nothing, for models of several kinds start anew", "a model");
            return Err(error.with_hint("train the model that goes on by itself"));
        }
        for &part in needed {
            if fitted.rows[part] == 0 {
                let what = format!("{} rows", part.name());
                let error = Error::config(what, "at least one", "none");
                return Err(
                    error.with_hint(format!("give them by data.{0}, or a share of data.split", part.name()))
                );
            }
        }
        let task = config.complete_schema()?.label.task;
        let rows = EncodedParts::encode(source, fitted, config, Loading::Memory)?;
        Ok(CommonRows { rows, fitted, task, config, resources, regression: None })
    }

    /// The settings of training `model` with what follows from the rows.
    pub(crate) fn settled(&self, model: &ModelConfig, train: &TrainConfig) -> TrainConfig {
        let mut train = train.clone();
        train.settle(model, &self.config.data, &self.rows.layout, self.rows.epoch_rows());
        train
    }

    /// What a model needs, refused where there is not so much.
    ///
    /// # Errors
    /// If the model does not fit the rows or the memory, or its settings contradict the rows.
    pub(crate) fn plan(&self, model: &ModelConfig, train: &TrainConfig) -> Result<Plan> {
        train.check(self.task)?;
        let (model, train) = (model.clone(), train.clone());
        let config = RunConfig { model, train, ..self.config.clone() };
        let plan = Plan::new(&config, self.fitted)?.with_best_in_memory();
        plan.check(self.resources.memory_limit)?;
        Ok(plan)
    }

    /// Solves the regression on the rows, where they allow it; models that are trained later start from it.
    ///
    /// # Errors
    /// If the observer wants to stop.
    pub(crate) fn solve(&mut self, observer: &mut dyn Observer) -> Result<()> {
        if regression::can(&self.config.data, &self.rows.layout, self.rows.epoch_rows()) {
            let mut learner = self.learner(&ModelConfig::Lr(LrConfig {}), &self.config.train)?;
            self.regression = Some(regression(&self.rows, self.task).train(&mut learner, observer)?);
        }
        Ok(())
    }

    /// Trains a model with complete settings.
    ///
    /// # Errors
    /// If training diverges or the observer wants to stop.
    pub(crate) fn train(
        &self,
        model: &ModelConfig,
        train: &TrainConfig,
        observer: &mut dyn Observer,
    ) -> Result<Trained> {
        let mut learner = self.learner(model, train)?;
        if let (Some(Solver::Lbfgs), Some(solved)) = (train.solver, &self.regression) {
            solved.restore(&self.rows.layout, learner.network_mut().weights_mut())?;
            return Ok(Trained { learner, state: solved.state.clone(), refit: solved.refit.clone() });
        }
        let fit = Fit {
            config: train,
            rows: &self.rows,
            task: self.task,
            regression: self.regression.as_ref().filter(|_| can_start(model)),
            fresh: &|| self.learner(model, train),
            checkpoints: &InMemory::default(),
        };
        let (state, refit) = fit.run(&mut learner, None, observer)?;
        match state.divergence() {
            Some(error) => Err(error),
            None => Ok(Trained { learner, state, refit }),
        }
    }

    /// Calibrates a trained model as a run does; its logits of the test rows.
    ///
    /// # Errors
    /// If a score is not finite.
    pub(crate) fn calibrate(&self, trained: &mut Trained) -> Result<Vec<f32>> {
        let (_, [_, test]) = calibrate(trained, &self.rows, self.config)?;
        Ok(test)
    }

    fn learner(&self, model: &ModelConfig, train: &TrainConfig) -> Result<Learner> {
        let rate = self.config.data.negative_downsampling_rate;
        let whole = (self.resources, Placement::default());
        new_learner(Values::Drawn, (model, train), &self.rows.layout, rate, whole)
    }
}
