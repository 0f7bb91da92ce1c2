//! A run that ranks share: what the first one decides, and when the others have done their part.
use super::{Outcome, Run, RunObserver};
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::observer::{Observer, Standing, Unobserved};
use crate::plan::Plan;
use crate::ranks::Ranks;
use crate::run_dir::{RunDir, bits_of};
use crate::start::Start;
use crate::train_state::{Evaluation, TrainState};
use dlrm_data::{Hint, Stop};

impl Run {
    /// Does the run in its directory, which is open already where something went before it.
    pub(crate) fn execute_in(&self, dir: Option<RunDir>, observer: &mut dyn RunObserver) -> Result<Outcome> {
        if self.ranks.size() == 1 {
            return self.execute_here(dir, observer);
        }
        let alike = self.check_cold().and_then(|()| self.check_alike());
        let done =
            alike.and_then(|()| self.execute_here(dir, &mut Agreed { inner: observer, ranks: &self.ranks }));
        // Whatever went wrong: the others do not wait.
        match &done {
            _ if self.ranks.is_first() => self.ranks.leave(),
            Ok(_) | Err(Error::Assisted) => {}
            Err(_) => drop(self.ranks.fail()),
        }
        done
    }

    /// Assists the first rank, which does the run, until its training is over.
    ///
    /// # Errors
    /// As [`Run::execute`], which this does without a directory.
    pub fn assist(&self) -> Result<()> {
        let mut run = Run { out: None, start: Start::Fresh, ..self.clone() };
        run.config.train.tensorboard = None;
        match run.execute(&mut Unobserved) {
            Err(Error::Assisted) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Refuses to go on from a model: its tables are read by who holds them all.
    fn check_cold(&self) -> Result<()> {
        if self.config.train.from.is_none() {
            return Ok(());
        }
        let error = Error::config("train.from", "one process", format!("{} ranks", self.ranks.size()));
        Err(error.with_hint("go on from a saved model without mpirun, or train a new model on all rows"))
    }

    /// Refuses ranks that would not compute the same bits.
    fn check_alike(&self) -> Result<()> {
        let bits = bits_of(self.resources.isa, &self.config);
        let own = format!("dlrm {} with the bits of {bits}", env!("CARGO_PKG_VERSION"));
        let all = self.ranks.all_gather(own.clone().into_bytes())?;
        match all.iter().position(|other| *other != own.as_bytes()) {
            None => Ok(()),
            Some(rank) => {
                let found = format!("rank {rank} is {}", String::from_utf8_lossy(&all[rank]));
                let error =
                    Error::config("ranks", format!("all as rank {}, {own}", self.ranks.rank()), found);
                let hint = Hint::from("the same program everywhere, and the least instruction set with ");
                Err(error.with_hint(hint.name("run.isa")))
            }
        }
    }

    /// The least memory that a rank may use, which all know then.
    pub(super) fn least_memory(&self) -> Result<Option<u64>> {
        let own = self.resources.memory_limit;
        if self.ranks.size() == 1 {
            return Ok(own);
        }
        let all = self.ranks.all_gather(own.unwrap_or(u64::MAX).to_le_bytes().into())?;
        let limits = all.iter().filter_map(|limit| Some(u64::from_le_bytes(*limit.first_chunk()?)));
        Ok(limits.min().filter(|&least| least < u64::MAX))
    }

    /// Refuses weights that are not finite, whichever rank holds them: without validation rows nothing else
    /// would notice.
    pub(super) fn check_finite(&self, learner: &mut Learner, step: u64) -> Result<()> {
        let tensors = learner.network().weights().tensors();
        let broken = tensors.iter().find_map(|(.., values)| values.iter().find(|v| !v.is_finite()));
        let told = learner.tell_all(broken.map_or(Vec::new(), |broken| broken.to_le_bytes().into()))?;
        let broken = told.iter().find_map(|told| Some(f32::from_le_bytes(*told.first_chunk()?)));
        match broken {
            Some(broken) => Err(Error::Diverged { step, loss: f64::from(broken) }),
            None => Ok(()),
        }
    }
}

/// An observer whose decisions all ranks share.
struct Agreed<'a> {
    inner: &'a mut dyn RunObserver,
    ranks: &'a Ranks,
}

impl Observer for Agreed<'_> {
    fn step(&mut self, state: &TrainState, loss: f64) {
        self.inner.step(state, loss);
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        self.inner.evaluated(evaluation, standing);
    }

    fn warned(&mut self, warning: &str) {
        self.inner.warned(warning);
    }

    /// The first rank stops by itself, after it has saved; the others learn of it in the next exchange.
    fn should_stop(&mut self) -> bool {
        self.ranks.is_first() && self.inner.should_stop()
    }

    fn stop(&self) -> Stop {
        if self.ranks.is_first() { self.inner.stop() } else { Stop::default() }
    }

    /// Training asks the first rank on behalf of all.
    fn should_finish(&mut self) -> bool {
        self.inner.should_finish()
    }

    fn wall_time(&mut self) -> f64 {
        self.inner.wall_time()
    }

    fn should_save(&mut self) -> bool {
        self.ranks.is_first() && self.inner.should_save()
    }
}

impl RunObserver for Agreed<'_> {
    fn stage(&mut self, name: &str) {
        self.inner.stage(name);
    }

    fn baseline(&mut self, steps: u64) {
        self.inner.baseline(steps);
    }

    fn planned(&mut self, plan: &Plan) {
        self.inner.planned(plan);
    }
}
