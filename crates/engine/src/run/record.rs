//! What a run notes of itself in its model.
use super::{EncodedParts, Run, outcome};
use crate::config::RunConfig;
use crate::error::Result;
use crate::train_state::{Ending, TrainState};
use crate::trained_files::TrainedFiles;
use crate::warm_start::WarmStart;

impl Run {
    /// The configuration that gives these weights again, whatever the clock says then, and nothing beside
    /// them.
    pub(super) fn repeatable(&self, state: &TrainState) -> RunConfig {
        let mut config = self.config.clone();
        config.train.tensorboard = None;
        if state.ending == Some(Ending::Budget) {
            config.train.max_steps = Some(state.step);
        }
        config
    }

    /// The files whose rows were trained on, here and in what training went on from, and how many values of
    /// other rows were unseen; whether the weights are a `refit`, on the validation rows too.
    pub(super) fn trained_files(
        &self,
        before: Option<&WarmStart>,
        rows: &EncodedParts<'_>,
        refit: bool,
    ) -> Result<TrainedFiles> {
        let mut all = before.map_or_else(|| Ok(TrainedFiles::default()), WarmStart::trained_files)?;
        if self.rows.is_none() {
            all.add(TrainedFiles::of(&self.config.input, &self.config.data.split));
        }
        let measured = outcome::verdict_part(&rows.parts).0;
        let columns = &self.config.complete_schema()?.categorical;
        let rates = columns.iter().zip(&rows.stats[measured].counts);
        all.note_unseen(
            rates.filter_map(|(column, counts)| Some((column.name.clone(), counts.unseen_rate()?))),
        );
        all.note_validation(refit);
        Ok(all)
    }
}
