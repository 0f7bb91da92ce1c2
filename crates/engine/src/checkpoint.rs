//! Checkpoints of a run as directories: `step-N-E-H` (steps, epochs, evaluations done) holds weights,
//! optimiser and position,
//! `best-N` the best weights so far.
use crate::checkpoint_store::CheckpointStore;
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::optimizer_state;
use crate::saved::{self, Kind, Writer};
use crate::tensors;
use crate::train_state::TrainState;
use std::fs;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const STATE: &str = "state.json";

/// The checkpoint directory of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    dir: PathBuf,
    /// Whether the optimiser's state is kept with the best weights too.
    optimizer: bool,
}

impl Checkpoints {
    /// In `dir`, which is made if needed.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        Ok(Checkpoints { dir, optimizer: false })
    }

    /// Keeps the optimiser's state with the best weights too, or does not.
    #[must_use]
    pub fn with_best_optimizer(self, optimizer: bool) -> Self {
        Checkpoints { optimizer, ..self }
    }

    /// The newest checkpoint, if there is one.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn newest(&self) -> Result<Option<PathBuf>> {
        Ok(self.list("step-")?.pop())
    }

    /// Whether there is a checkpoint in `dir`, which need not exist.
    pub fn any_in(dir: &Path) -> bool {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("step-"))
    }

    /// Restores weights, optimiser and position from `checkpoint`.
    ///
    /// # Errors
    /// If it is damaged or of another model or optimiser.
    fn load(&self, checkpoint: &Path, learner: &mut Learner) -> Result<TrainState> {
        saved::verify(checkpoint, Kind::Checkpoint)?;
        read_weights(&checkpoint.join(WEIGHTS), learner)?;
        let state: TrainState = saved::read_json(&checkpoint.join(STATE))?;
        learner.optimizer_mut().set_steps(state.step);
        read_optimizer(&checkpoint.join(optimizer_state::FILE), learner)?;
        Ok(state)
    }

    /// Removes what the position no longer refers to: checkpoints but this one, and all weights but its best.
    fn remove_older(&self, newest: &Path, state: &TrainState) -> Result<()> {
        let best = state.best.map(|best| self.best(best.step));
        for old in self.list("step-")?.into_iter().chain(self.list("best-")?) {
            if old != newest && Some(&old) != best.as_ref() {
                fs::remove_dir_all(&old).map_err(Error::io("remove", &old))?;
            }
        }
        Ok(())
    }

    /// Removes best weights but those of step `step` and those that the newest checkpoint goes back to: many
    /// evaluations may come before the next one.
    fn remove_forgotten(&self, step: u64) -> Result<()> {
        let needed = match self.newest()? {
            Some(newest) => saved::read_json::<TrainState>(&newest.join(STATE))?.best.map(|best| best.step),
            None => None,
        };
        let needed: Vec<PathBuf> = [Some(step), needed].into_iter().flatten().map(|s| self.best(s)).collect();
        for old in self.list("best-")?.iter().filter(|old| !needed.contains(old)) {
            fs::remove_dir_all(old).map_err(Error::io("remove", old))?;
        }
        Ok(())
    }

    /// Removes everything, at the end of a run.
    ///
    /// # Errors
    /// If a file cannot be removed; the rest is then left too.
    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.dir).map_err(Error::io("remove", &self.dir))
    }

    fn best(&self, step: u64) -> PathBuf {
        self.dir.join(format!("best-{step:010}"))
    }

    /// Checkpoints of a kind, oldest first.
    fn list(&self, prefix: &str) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.dir).map_err(Error::io("read", &self.dir))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read", &self.dir))?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }
}

impl CheckpointStore for Checkpoints {
    /// Writes `step-N-E-H`, a name that no other position has, so that nothing is ever replaced; then removes
    /// older ones and best weights that nothing refers to any more.
    fn save(&self, learner: &Learner, state: &TrainState) -> Result<Option<PathBuf>> {
        let place =
            self.dir.join(format!("step-{:010}-{:06}-{:06}", state.step, state.epoch, state.history.len()));
        if saved::verify(&place, Kind::Checkpoint).is_ok() {
            return Ok(Some(place));
        }
        let weights = learner.network().weights();
        let mut writer = Writer::new(&place, Kind::Checkpoint)?;
        writer.file_with(WEIGHTS, |path| tensors::write(path, &weights.tensors()))?;
        write_optimizer(&mut writer, learner)?;
        writer.file(STATE, &serde_json::to_vec_pretty(state).expect("a state is plain data"))?;
        writer.finish()?;
        self.remove_older(&place, state)?;
        Ok(Some(place))
    }

    fn resume(&self, learner: &mut Learner) -> Result<Option<TrainState>> {
        self.newest()?.map(|newest| self.load(&newest, learner)).transpose()
    }

    fn save_best(&self, learner: &Learner, step: u64) -> Result<()> {
        let mut writer = Writer::new(&self.best(step), Kind::Checkpoint)?;
        writer.file_with(WEIGHTS, |path| tensors::write(path, &learner.network().weights().tensors()))?;
        if self.optimizer {
            write_optimizer(&mut writer, learner)?;
        }
        writer.finish()?;
        self.remove_forgotten(step)
    }

    fn load_best(&self, learner: &mut Learner, step: u64) -> Result<()> {
        let dir = self.best(step);
        saved::verify(&dir, Kind::Checkpoint)?;
        read_weights(&dir.join(WEIGHTS), learner)?;
        if self.optimizer { read_optimizer(&dir.join(optimizer_state::FILE), learner) } else { Ok(()) }
    }
}

fn write_optimizer(writer: &mut Writer, learner: &Learner) -> Result<()> {
    let weights = learner.network().weights();
    writer.file_with(optimizer_state::FILE, |path| optimizer_state::write(path, learner.optimizer(), weights))
}

fn read_optimizer(path: &Path, learner: &mut Learner) -> Result<()> {
    let (weights, optimizer) = learner.weights_and_optimizer_mut();
    optimizer_state::read(path, optimizer, weights, |_| None)
}

fn read_weights(path: &Path, learner: &mut Learner) -> Result<()> {
    let weights = learner.network_mut().weights_mut();
    tensors::read(path, &mut weights.tensors_mut())?;
    weights.repack();
    Ok(())
}
