//! Checkpoints of a run as directories: `step-N-E-H` (steps, epochs, evaluations done) holds weights,
//! optimiser and position,
//! `best-N` the best weights so far.
use crate::checkpoint_store::CheckpointStore;
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::optimizer_state;
use crate::saved::{self, Kind, Names, Saved, Writer};
use crate::train_state::TrainState;
use crate::whole;
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
        entries.into_iter().any(|entry| is_checkpoint(&entry.file_name().to_string_lossy(), "step-"))
    }

    /// Restores weights, optimiser and position from `checkpoint`.
    ///
    /// # Errors
    /// If it is damaged or of another model or optimiser.
    fn load(&self, checkpoint: &Path, learner: &mut Learner) -> Result<TrainState> {
        let saved = Saved::open(checkpoint, Kind::Checkpoint)?;
        read_weights(&saved, learner)?;
        let state: TrainState = saved.json(STATE)?;
        learner.optimizer_mut().set_steps(state.step);
        read_optimizer(&saved, learner)?;
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
            Some(newest) => {
                let state: TrainState = Saved::open(&newest, Kind::Checkpoint)?.json(STATE)?;
                state.best.map(|best| best.step)
            }
            None => None,
        };
        let needed: Vec<PathBuf> = [Some(step), needed].into_iter().flatten().map(|s| self.best(s)).collect();
        for old in self.list("best-")?.iter().filter(|old| !needed.contains(old)) {
            fs::remove_dir_all(old).map_err(Error::io("remove", old))?;
        }
        Ok(())
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
            if is_checkpoint(&entry.file_name().to_string_lossy(), prefix) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Whether `name` is that of a checkpoint of this kind: numbers follow.
fn is_checkpoint(name: &str, prefix: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix(prefix).is_some_and(|rest| rest.split('-').all(number))
}

/// What of a directory of checkpoints is not ours: the directory itself, or an entry of it. `own` stands
/// beside checkpoints in it; the first two of them always do. None if it is not there or all of it is ours.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn foreign(dir: &Path, own: &[&str]) -> Result<Option<PathBuf>> {
    let found = stranger(dir, own)?;
    let begun = || own[..2].iter().all(|own| dir.join(own).exists());
    let empty = || fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    Ok(found.or_else(|| (!begun() && !empty()).then(|| dir.to_owned())))
}

/// An entry of a directory of checkpoints that is no checkpoint and not one of `own`; what is left of one
/// that was being removed has none.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn stranger(dir: &Path, own: &[&str]) -> Result<Option<PathBuf>> {
    let names = match saved::names(dir)? {
        Names::None => return Ok(None),
        Names::NoDirectory => return Ok(Some(dir.to_owned())),
        Names::Of(names) => names,
    };
    for name in names {
        let visible = name.trim_start_matches('.');
        let whole = visible.trim_end_matches(".partial").trim_end_matches(".old");
        let of_checkpoints = ["step-", "best-"].iter().any(|prefix| is_checkpoint(whole, prefix));
        // Earlier versions wrote `config.toml` aside as `config.partial`.
        let of = |own: &str| {
            visible == own || visible.strip_suffix(".partial").is_some_and(|stem| own.starts_with(stem))
        };
        if !of_checkpoints && !own.iter().any(|own| of(own)) {
            return Ok(Some(dir.join(name)));
        }
    }
    Ok(None)
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
        let mut writer = Writer::new(&place, Kind::Checkpoint)?;
        whole::write_weights(&mut writer, WEIGHTS, learner.network())?;
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
        whole::write_weights(&mut writer, WEIGHTS, learner.network())?;
        if self.optimizer {
            write_optimizer(&mut writer, learner)?;
        }
        writer.finish()?;
        self.remove_forgotten(step)
    }

    fn load_best(&self, learner: &mut Learner, step: u64) -> Result<()> {
        let saved = Saved::open(&self.best(step), Kind::Checkpoint)?;
        read_weights(&saved, learner)?;
        if self.optimizer { read_optimizer(&saved, learner) } else { Ok(()) }
    }
}

fn write_optimizer(writer: &mut Writer<'_>, learner: &Learner) -> Result<()> {
    optimizer_state::write(writer, learner.optimizer(), learner.network())
}

fn read_optimizer(saved: &Saved, learner: &mut Learner) -> Result<()> {
    let (network, optimizer) = learner.network_and_optimizer_mut();
    optimizer_state::read(saved, optimizer, network)
}

fn read_weights(saved: &Saved, learner: &mut Learner) -> Result<()> {
    whole::read_weights(saved, WEIGHTS, learner.network_mut())
}
