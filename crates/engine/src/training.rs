//! A run as it was asked for: with a model that the validation rows choose, with folds before it, or neither.
use crate::choice::{Choice, ChoiceObserver, ChosenRun};
use crate::error::{Error, Result};
use crate::folds::{Folded, FoldedRun, FoldsObserver};
use crate::run::{Outcome, Run};
use dlrm_data::Hint;

/// The name that stands for the kind of model that the validation rows choose.
pub const AUTO: &str = "auto";

/// A run, and what comes before it.
pub struct Training {
    /// The run; where the model is chosen, its own is one of the candidates.
    pub run: Run,
    /// Whether the validation rows choose the model.
    pub chooses: bool,
    /// Folds to measure on before.
    pub folds: Option<u64>,
}

/// What comes of it.
pub struct Trained {
    /// The candidates, where the model was chosen.
    pub choice: Option<Choice>,
    /// What folds have measured.
    pub folded: Option<Folded>,
    /// The run.
    pub outcome: Outcome,
}

/// Who watches it.
pub trait TrainingObserver: ChoiceObserver + FoldsObserver {}

impl<O: ChoiceObserver + FoldsObserver> TrainingObserver for O {}

impl Training {
    /// Does it.
    ///
    /// # Errors
    /// As [`Run::execute`], or if folds are asked for of a model that is to be chosen.
    pub fn execute(self, observer: &mut dyn TrainingObserver) -> Result<Trained> {
        let Training { run, chooses, folds } = self;
        match (chooses, folds) {
            (true, Some(_)) => Err(Error::config("run.folds", "one kind of model", AUTO).with_hint(
                Hint::from("name one kind with ")
                    .name("model.kind")
                    .say("; `dlrm compare` compares several on folds"),
            )),
            (true, None) => {
                let (choice, outcome) = ChosenRun::new(run).execute(observer)?;
                Ok(Trained { choice: Some(choice), folded: None, outcome })
            }
            (false, Some(folds)) => {
                let (folded, outcome) = FoldedRun { run, folds }.execute(observer)?;
                Ok(Trained { choice: None, folded: Some(folded), outcome })
            }
            (false, None) => {
                // What a run that is resumed had found out before it was interrupted.
                let kept = run.out.as_deref().filter(|_| run.start.goes_on());
                let choice = kept.map(Choice::read).transpose()?.flatten();
                let folded = kept.map(Folded::read).transpose()?.flatten();
                Ok(Trained { choice, folded, outcome: run.execute(observer)? })
            }
        }
    }
}
