//! A search for better settings: successive halving (Jamieson and Talwalkar 2016) over models and their
//! settings, on encoded rows in memory.
//!
//! A trial is a number: with the seed it decides the settings, and how long it trains on each rung is counted
//! in steps. So the clock decides only how many trials are begun, and what a trial comes to is the same
//! whenever it is made, in one go or after an interruption. Trial 0 is the default, trial 1 the regression;
//! both are trained to their end. The others come in brackets of nine: all train for a ninth of the rows that
//! the default took, the best three for a third, the best one to its end. On the way a trial is judged by
//! what it has learned, not by the regression that it started from. Only what was trained to its end can win,
//! and of those that are less than a ten-thousandth worse the earliest does.
//!
//! The validation rows choose; the test rows take no part until the winner is known.
mod entry;
mod rungs;
mod space;
mod tuned;

pub use crate::journal::JOURNAL_FILE;
pub use entry::Entry;
pub use space::{DEFAULT, REGRESSION, Trial};
pub use tuned::{Against, BEST_FILE, Figure, TUNED_FILE, Tuned};

use crate::common_rows::{CommonRows, as_good};
use crate::config::{Loading, RunConfig};
use crate::error::{Error, Result};
use crate::journal::{self, Journal};
use crate::observer::{Observer, Standing};
use crate::own_files::OwnFiles;
use crate::rows::{GivenRows, with_rows};
use crate::run::Resources;
use crate::run_dir;
use crate::train_state::{Ending, Evaluation, TrainState};
use crate::trained::Trained;
use dlrm_data::Stop;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use rungs::{BRACKET, LAST, Rungs, kept};
use space::Space;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

/// Trials where their number is not given: the more are tried on few validation rows, the more of what is
/// best on them is luck.
fn most_trials(validation_rows: u64) -> u64 {
    (validation_rows / 4).max(REGRESSION + 1 + 2 * BRACKET)
}

/// A search to be made, or gone on with.
pub struct Tune {
    /// Input, split, schema, and the settings that the search starts from.
    pub base: RunConfig,
    /// Rows in the place of the files of the configuration.
    pub rows: Option<GivenRows>,
    /// Trials, at most; by default a quarter of the number of validation rows, and twenty at least.
    pub trials: Option<u64>,
    /// Directory of the journal and of the result.
    pub out: PathBuf,
    /// Whether a search that the directory holds is thrown away.
    pub overwrite: bool,
    /// What it may use.
    pub resources: Resources,
}

/// What a search tells while it goes. [`Observer::should_finish`] says when nothing more is to be begun; a
/// trial that is then under way is given up, but for the default and the regression.
pub trait TuneObserver: Observer {
    /// A new part of the work begins.
    fn stage(&mut self, _name: &str) {}
    /// The journal holds results of an earlier search, which took so many seconds.
    fn resumed(&mut self, _results: usize, _seconds: f64) {}
    /// A trial begins on a rung, from 0.
    fn trial(&mut self, _number: u64, _rung: u32, _trial: &Trial) {}
    /// It is done.
    fn done(&mut self, _entry: &Entry) {}
}

/// Passes on the wish to stop, and that the time is up where it counts.
struct Quiet<'a> {
    inner: &'a mut dyn TuneObserver,
    timed: bool,
}

impl Observer for Quiet<'_> {
    fn step(&mut self, state: &TrainState, loss: f64) {
        self.inner.step(state, loss);
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        self.inner.evaluated(evaluation, standing);
    }

    fn warned(&mut self, warning: &str) {
        self.inner.warned(warning);
    }

    fn should_stop(&mut self) -> bool {
        self.inner.should_stop()
    }

    fn stop(&self) -> Stop {
        self.inner.stop()
    }

    fn should_finish(&mut self) -> bool {
        self.timed && self.inner.should_finish()
    }
}

/// A search that is under way.
struct Search<'a> {
    tune: &'a Tune,
    common: CommonRows<'a>,
    space: Space<'a>,
    journal: Journal<Entry>,
    /// Of the trials that were trained to their end in this process: logits of the test rows.
    logits: HashMap<u64, Vec<f32>>,
    /// Rows that the default was trained on until its end.
    rungs: Option<Rungs>,
}

impl Tune {
    /// Makes the search, or goes on with the one that the directory holds.
    ///
    /// # Errors
    /// If rows cannot be read, or none validate or test; if the directory holds another search, or one that
    /// goes on; if the default cannot be trained, or the observer asks to stop. What was found out until then
    /// stays in the journal, and the same search goes on from there.
    pub fn execute(&self, observer: &mut dyn TuneObserver) -> Result<Tuned> {
        self.base.check()?;
        self.base.train.check_several("a search")?;
        if self.base.data.loading == Loading::Stream {
            let error = Error::config("data.loading", "rows in memory to try settings on", "a stream");
            return Err(error.with_hint("tune on a part of the rows"));
        }
        let out = &self.out;
        std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let _lock = run_dir::lock(out)?;
        let mut files = OwnFiles::open(out, self.overwrite)?;
        if !OwnFiles::has_list(out) && journal::is_in(out) {
            // Of an earlier version.
            files.adopt(&[BEST_FILE, TUNED_FILE])?;
        }
        // Found out before the work, not after it.
        files.check(&[BEST_FILE, TUNED_FILE])?;
        files.begin()?;
        let threads = self.resources.threads;
        with_rows(&self.base, self.rows.as_ref(), (threads, &observer.stop()), |source| {
            self.on(source, &mut files, observer)
        })
    }

    fn on(
        &self,
        source: DataSource<'_>,
        files: &mut OwnFiles,
        observer: &mut dyn TuneObserver,
    ) -> Result<Tuned> {
        observer.stage(source.fit_stage());
        let fitted = source.fit(self.base.complete_schema()?)?;
        observer.stage(source.encode_stage());
        let mut common = CommonRows::encode(source, &fitted, &self.base, self.resources, &Part::ALL)?;
        let encoder = serde_json::to_vec(&*fitted.encoder).expect("an encoder is plain data");
        let (rows, base) = (common.rows.fingerprint(), self.base.to_toml());
        let key = journal::key(&[&encoder, rows.as_bytes(), base.as_bytes()]);
        let journal: Journal<Entry> = Journal::open(&self.out, "search", &key, self.overwrite)?;
        observer.stage("solving the regression");
        common.solve(&mut Quiet { inner: observer, timed: false })?;
        if !journal.entries().is_empty() {
            observer.resumed(journal.entries().len(), journal.entries().iter().map(|e| e.seconds).sum());
        }
        let space = Space { base: &self.base, rows: common.rows.epoch_rows() };
        let mut search = Search { tune: self, common, space, journal, logits: HashMap::new(), rungs: None };
        search.fixed(observer)?;
        observer.stage("searching");
        search.brackets(observer)?;
        observer.stage("measuring");
        let tuned = search.tuned(observer)?;
        let best = search.config(&search.space.trial(tuned.winner));
        files.write(BEST_FILE, best.to_toml().as_bytes())?;
        files.write(TUNED_FILE, &serde_json::to_vec_pretty(&tuned).expect("a result is plain data"))?;
        Ok(tuned)
    }
}

impl Search<'_> {
    /// The default and the regression.
    fn fixed(&mut self, observer: &mut dyn TuneObserver) -> Result<()> {
        let default = self.entry(DEFAULT, LAST, observer)?.expect("the default is not timed");
        if let Some(why) = &default.failed {
            let error = Error::config("model", "settings to start from that can be trained", why.clone());
            return Err(error.with_hint("start from other settings"));
        }
        self.rungs = Some(Rungs::new(default.rows, self.common.rows.epoch_rows()));
        self.entry(REGRESSION, LAST, observer)?;
        Ok(())
    }

    /// Bracket after bracket, until the time is up or all trials are made.
    fn brackets(&mut self, observer: &mut dyn TuneObserver) -> Result<()> {
        let end = self.tune.trials.unwrap_or_else(|| most_trials(self.common.fitted.rows[Part::Validation]));
        let mut first = REGRESSION + 1;
        while first < end {
            let mut trials: Vec<u64> = (first..end.min(first.saturating_add(BRACKET))).collect();
            for rung in 0..=LAST {
                let mut found = Vec::new();
                for &trial in &trials {
                    match self.entry(trial, rung, observer)? {
                        Some(entry) => found.push((entry.slowness(self.metric()), trial)),
                        None => return Ok(()),
                    }
                }
                found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                found.truncate(kept(trials.len()));
                // A trial that failed is not trained again.
                trials =
                    found.into_iter().filter(|(badness, _)| badness.is_finite()).map(|(_, n)| n).collect();
            }
            first += BRACKET;
        }
        Ok(())
    }

    fn metric(&self) -> dlrm_metrics::Metric {
        self.tune.base.train.monitor.unwrap_or(dlrm_metrics::Metric::usual(self.common.task))
    }

    /// The complete configuration of a trial.
    fn config(&self, trial: &Trial) -> RunConfig {
        let (model, train) = (trial.model.clone(), self.common.settled(&trial.model, &trial.train));
        RunConfig { model, train, ..self.tune.base.clone() }
    }

    /// What a trial comes to on a rung: as the journal has it, or made now. None if the time is up.
    fn entry(&mut self, number: u64, rung: u32, observer: &mut dyn TuneObserver) -> Result<Option<Entry>> {
        if let Some(entry) = entry::find(self.journal.entries(), number, rung) {
            return Ok(Some(entry.clone()));
        }
        let timed = number > REGRESSION;
        if timed && observer.should_finish() {
            return Ok(None);
        }
        let trial = self.space.trial(number);
        observer.trial(number, rung, &trial);
        let start = Instant::now();
        let Some(mut entry) = self.made(number, rung, &trial, &mut Quiet { inner: observer, timed })? else {
            return Ok(None);
        };
        entry.seconds = start.elapsed().as_secs_f64();
        self.journal.append(entry.clone())?;
        observer.done(&entry);
        Ok(Some(entry))
    }

    /// Trains a trial for the steps of a rung; none if the time was up before.
    fn made(
        &mut self,
        number: u64,
        rung: u32,
        trial: &Trial,
        observer: &mut dyn Observer,
    ) -> Result<Option<Entry>> {
        let config = self.config(trial);
        let entry = Entry::of(number, rung, trial);
        if let Err(error) = self.common.plan(&config.model, &config.train) {
            return match error {
                Error::Model(_) | Error::Config { .. } | Error::Memory { .. } => {
                    Ok(Some(Entry { failed: Some(error.to_string()), ..entry }))
                }
                error => Err(error),
            };
        }
        let mut train = config.train.clone();
        if let (Some(rungs), true) = (self.rungs, rung < LAST) {
            let steps = rungs.steps(rung, train.batch_size);
            train.max_steps = Some(train.max_steps.map_or(steps, |most| most.min(steps)));
        }
        match self.common.train(&config.model, &train, observer) {
            Ok(trained) if trained.state.ending == Some(Ending::Budget) => Ok(None),
            Ok(trained) => {
                let kept = train.kept(&trained.state).and_then(|kept| kept.validation.as_ref());
                let value = kept.and_then(|metrics| self.metric().of(metrics));
                self.found(number, trained, Entry { value, ..entry }).map(Some)
            }
            Err(Error::Diverged { step, .. }) => {
                Ok(Some(Entry { failed: Some(format!("diverged at step {step}")), ..entry }))
            }
            Err(error) => Err(error),
        }
    }

    /// What a trained trial comes to, whose value is known.
    fn found(&mut self, number: u64, mut trained: Trained, entry: Entry) -> Result<Entry> {
        // At its end before the rung's: more steps would change nothing.
        let complete = entry.rung == LAST || trained.state.ending != Some(Ending::Steps);
        if complete {
            // As a run does after training; what a trial is judged by is not calibrated on the same rows.
            let logits = self.common.calibrate(&mut trained)?;
            self.logits.insert(number, logits);
        }
        let state = trained.state;
        let metric = self.metric();
        let after = state.history.iter().filter(|evaluation| evaluation.step > 0);
        let values = after.filter_map(|evaluation| metric.of(evaluation.validation.as_ref()?));
        let better = |a: f64, b: f64| if metric.higher_is_better() { a.max(b) } else { a.min(b) };
        let learned = values.reduce(better);
        Ok(Entry { learned, complete, steps: state.step, rows: state.rows, ..entry })
    }

    /// The winner, and what it is worth on the test rows beside the default and the regression.
    fn tuned(&mut self, observer: &mut dyn TuneObserver) -> Result<Tuned> {
        let metric = self.metric();
        let ends = self.journal.entries().iter().filter(|entry| entry.complete && entry.failed.is_none());
        let ends: Vec<(f64, u64)> = ends.map(|entry| (entry.badness(metric), entry.trial)).collect();
        let best = ends.iter().map(|(badness, _)| *badness).fold(f64::INFINITY, f64::min);
        // The default is not left for what makes no difference.
        let good = ends.iter().filter(|(badness, _)| as_good(*badness, best)).map(|(_, trial)| *trial);
        let winner = good.min().unwrap_or(DEFAULT);
        let mut figures = Vec::new();
        for (name, number) in [("best", winner), ("default", DEFAULT), ("regression", REGRESSION)] {
            if let Some(logits) = self.test_logits(number, observer)? {
                figures.push((name, number, logits));
            }
        }
        let test = &self.common.rows.parts[Part::Test];
        let figures = tuned::figures(&figures, self.common.task, test)?;
        let (task, rows) = (self.common.task, self.common.fitted.rows);
        Ok(Tuned { task, metric, rows, winner, figures, entries: self.journal.entries().to_vec() })
    }

    /// The scores of the test rows by a trial that was trained to its end; none if it failed. What another
    /// process has trained is trained again, to the same bits.
    fn test_logits(&mut self, number: u64, observer: &mut dyn TuneObserver) -> Result<Option<Vec<f32>>> {
        if self.journal.entries().iter().any(|entry| entry.trial == number && entry.failed.is_some()) {
            return Ok(None);
        }
        if !self.logits.contains_key(&number) {
            let trial = self.space.trial(number);
            self.made(number, LAST, &trial, &mut Quiet { inner: observer, timed: false })?;
        }
        Ok(self.logits.get(&number).cloned())
    }
}
