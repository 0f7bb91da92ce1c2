//! The model of a run, trained.
use super::baseline::Reference;
use super::place::Place;
use super::{EncodedParts, Run, RunObserver, new_learner};
use crate::checkpoint::Checkpoints;
use crate::checkpoint_store::{CheckpointStore, InMemory};
use crate::error::Result;
use crate::fit::Fit;
use crate::learner::Learner;
use crate::network::Values;
use crate::shared_start;
use crate::shared_store::{KeepsForAll, KeptByFirst};
use crate::train_config::TrainConfig;
use crate::trained::Trained;
use dlrm_data::batch::Layout;
use dlrm_models::ModelConfig;
use dlrm_nn::Placement;

impl Run {
    /// Trains the model, from a checkpoint where asked.
    pub(super) fn train(
        &self,
        rows: &EncodedParts<'_>,
        reference: Option<&Reference>,
        place: &mut Place,
        observer: &mut dyn RunObserver,
    ) -> Result<Trained> {
        observer.stage("training");
        place.warning.iter().for_each(|warning| observer.warned(warning));
        let config = &self.config.train;
        let task = self.config.complete_schema()?.label.task;
        let newest = place.checkpoints.as_ref().map(Checkpoints::newest).transpose()?.flatten();
        let wanted = self.start.goes_on() && newest.is_some();
        let resumes = self.ranks.decide(|| wanted)?;
        let values = if resumes { Values::Unfilled } else { Values::Drawn };
        let (own, placement) = ((&self.config.model, config), &place.placement);
        let shared = |values| {
            let learner = self.learner(values, own, (&rows.layout, placement.clone()))?;
            learner.with_ranks(self.ranks.clone())
        };
        let mut learner = shared(values)?;
        let (in_memory, keeps) = (InMemory::default(), place.checkpoints.as_ref());
        let keeps_for_all = keeps.map(|checkpoints| KeepsForAll(checkpoints));
        let checkpoints: &dyn CheckpointStore = match &keeps_for_all {
            Some(keeps) => keeps,
            None => &in_memory,
        };
        let checkpoints = if self.ranks.decide(|| keeps.is_some())? && keeps.is_none() {
            &KeptByFirst
        } else {
            checkpoints
        };
        let resumed = shared_start::resume(resumes, (checkpoints, &mut learner))?;
        if let Some(before) = place.before.as_ref().filter(|_| resumed.is_none()) {
            before.put_into(&mut learner, &self.config.model, config)?;
        }
        let fresh = || shared(Values::Drawn);
        let regression = reference.and_then(|reference| reference.solved.as_ref());
        let fit = Fit { config, rows, task, regression, fresh: &fresh, checkpoints };
        let (state, refit) = match place.board.take() {
            None => fit.run(&mut learner, resumed, observer)?,
            Some(board) => {
                let so_far = resumed.as_ref().map_or(&[][..], |state| &state.history);
                let mut observer = board.beside(config, so_far, observer);
                fit.run(&mut learner, resumed, &mut observer)?
            }
        };
        self.check_finite(&mut learner, state.step)?;
        Ok(Trained { learner, state, refit })
    }

    pub(super) fn learner(
        &self,
        values: Values,
        of: (&ModelConfig, &TrainConfig),
        (layout, placement): (&Layout, Placement),
    ) -> Result<Learner> {
        let rate = self.config.data.negative_downsampling_rate;
        new_learner(values, of, layout, rate, (self.resources, placement))
    }
}
