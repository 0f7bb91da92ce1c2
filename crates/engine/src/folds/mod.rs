//! Cross-validation of a run or of a comparison, for tables that are too small for one test part to tell
//! much: the rows are dealt out to K folds, each fold tests what was trained on the others, and each row
//! tests once.
mod folded;

pub use folded::{FOLDS_FILE, Folded, FoldedCandidate, OverFolds};

use crate::compare::{Compare, CompareDir, CompareObserver, Compared};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::rows::GivenRows;
use crate::run::{Outcome, Run, RunObserver};
use crate::run_dir::RunDir;
use crate::start::Start;
use crate::tensorboard::TensorBoard;
use dlrm_data::Hint;
use dlrm_data::schema::Task;
use dlrm_data::split::{Part, Parts, Split};
use dlrm_metrics::{Metric, Metrics, Ranking, Scored};
use folded::Values;

/// A run that is measured on folds before its model is trained.
pub struct FoldedRun {
    /// The run: of its split, the seed and the share of the validation rows hold for the folds too.
    pub run: Run,
    /// Number of folds, K.
    pub folds: u64,
}

/// A comparison that is made on each fold.
pub struct FoldedCompare {
    /// The comparison, likewise.
    pub compare: Compare,
    /// Number of folds, K.
    pub folds: u64,
}

/// What a run on folds tells while it goes.
pub trait FoldsObserver: RunObserver {
    /// Fold number `fold`, from 0, is about to test.
    fn fold(&mut self, _fold: u64, _folds: u64) {}
    /// All folds have tested; the model itself is about to be trained.
    fn measured(&mut self, _folded: &Folded) {}
}

/// What a comparison on folds tells while it goes.
pub trait CompareFoldsObserver: CompareObserver {
    /// Fold number `fold`, from 0, is about to test.
    fn fold(&mut self, _fold: u64, _folds: u64) {}
}

impl FoldedRun {
    /// Measures the settings of the run on the folds, then does the run itself, whose model is the one that
    /// is saved. The figures of the folds are kept in the run directory as soon as they are known.
    ///
    /// # Errors
    /// As [`Run::execute`], or if the rows cannot be dealt out to folds.
    pub fn execute(&self, observer: &mut dyn FoldsObserver) -> Result<(Folded, Outcome)> {
        let config = &self.run.config;
        check(config, self.run.rows.as_ref())?;
        // Found out before the work, not after it.
        TensorBoard::check(&config.train)?;
        let mut dir = self.run.out.as_deref().map(|out| RunDir::open(out, self.run.start)).transpose()?;
        let mut all: Vec<Values> = Vec::new();
        for fold in 0..self.folds {
            observer.fold(fold, self.folds);
            let mut run = Run { out: None, start: Start::Fresh, ..self.run.clone() };
            run.config.data.split = split(config, self.folds, fold)?;
            run.config.train.tensorboard = None;
            all.push(measured(&run.execute(observer)?)?);
        }
        let folded = Folded::of(&all, reference_of_run(&all), split_seed(config)?);
        if let Some(dir) = &mut dir {
            dir.write(FOLDS_FILE, &folded.to_json())?;
        }
        observer.measured(&folded);
        let outcome = self.run.execute_in(dir, observer)?;
        Ok((folded, outcome))
    }
}

impl FoldedCompare {
    /// Makes the comparison on each fold; of several seeds, the mean counts.
    ///
    /// # Errors
    /// As [`Compare::execute`], or if the rows cannot be dealt out to folds.
    pub fn execute(&self, observer: &mut dyn CompareFoldsObserver) -> Result<Folded> {
        self.execute_in(None, observer)
    }

    /// As [`Compare::execute_in`], on each fold.
    ///
    /// # Errors
    /// As [`FoldedCompare::execute`], or if the file system refuses.
    pub fn execute_in(
        &self,
        mut dir: Option<&mut CompareDir>,
        observer: &mut dyn CompareFoldsObserver,
    ) -> Result<Folded> {
        let Compare { base, rows, entries, seeds, resources } = &self.compare;
        check(base, rows.as_ref())?;
        let mut all = Vec::new();
        for fold in 0..self.folds {
            observer.fold(fold, self.folds);
            let mut base = base.clone();
            base.data.split = split(&base, self.folds, fold)?;
            let (rows, entries) = (rows.clone(), entries.clone());
            let compare = Compare { base, rows, entries, seeds: *seeds, resources: *resources };
            all.push(compare.execute_in(dir.as_deref_mut(), observer)?);
        }
        let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        // A model that diverged on one fold is left out.
        let trained = |name: &String| all.iter().all(|fold| fold.models.iter().any(|m| m.name == *name));
        let names: Vec<String> = names.into_iter().filter(trained).collect();
        if names.is_empty() {
            let error = Error::config("models", "one that can be trained on every fold", "none");
            return Err(error.with_hint("lower the learning rate (train.optimizer.lr)"));
        }
        let best = best(&all, &names);
        let values: Vec<Values> = all.iter().map(|fold| compared(fold, &names)).collect();
        Ok(Folded::of(&values, best, split_seed(&self.compare.base)?))
    }
}

/// Refuses rows that folds would mix up, or that are not split at all.
fn check(config: &RunConfig, rows: Option<&GivenRows>) -> Result<()> {
    let data = &config.data;
    let given = rows.is_some_and(|rows| rows.validation.is_some() || rows.test.is_some());
    let (found, hint) = if data.prepared.is_some() {
        let hint = Hint::from("give the files that it was made of");
        ("a prepared data set, where it is decided which rows test", hint)
    } else if given || !data.test.is_empty() || !data.validation.is_empty() {
        let hint = Hint::from("leave out ").name("data.test").say(" and ").name("data.validation");
        ("rows that test or validate by themselves", hint)
    } else if !matches!(data.split, Split::Random { .. }) {
        let hint = Hint::from("rows in the order of time have one test part, the latest; else say ");
        ("a split that is not at random", hint.set("data.split", "random"))
    } else {
        return Ok(());
    };
    Err(Error::config("run.folds", "rows of one input, split at random", found).with_hint(hint))
}

fn split_seed(config: &RunConfig) -> Result<u64> {
    match config.data.split {
        Split::Random { seed, .. } => Ok(seed),
        _ => Err(Error::config("run.folds", "a split at random", "another one")),
    }
}

/// The split of one fold.
fn split(config: &RunConfig, folds: u64, fold: u64) -> Result<Split> {
    match config.data.split {
        Split::Random { validation, seed, .. } => Ok(Split::Folds { folds, fold, validation, seed }),
        _ => Err(Error::config("run.folds", "a split at random", "another one")),
    }
}

/// What the model and its baselines are worth on the fold that tested.
fn measured(outcome: &Outcome) -> Result<Values> {
    let (rows, task) = (&outcome.parts[Part::Test], outcome.fitted.encoder.schema().label.task);
    if rows.is_empty() {
        return Err(no_rows());
    }
    let mut candidates = Vec::new();
    for scoring in &outcome.scorings {
        let scored = Scored::of_batch(task, &scoring.logits[Part::Test as usize - 1], rows)?;
        let metrics = Metrics::of(&scored, &Ranking::new(&scored));
        candidates.push((scoring.name.clone(), vec![metrics]));
    }
    let metrics = metrics(task, rows.groups.is_some());
    Ok(Values { task, metrics, rows: outcome.fitted.rows, candidates })
}

fn no_rows() -> Error {
    let error = Error::config("run.folds", "rows in every fold", "a fold without any");
    error.with_hint("take fewer folds")
}

/// What counts, the metric that models are told apart by first.
fn metrics(task: Task, grouped: bool) -> Vec<Metric> {
    match task {
        Task::Binary if grouped => vec![Metric::NdcgAt10, Metric::HitRateAt10],
        Task::Binary => vec![Metric::LogLoss, Metric::Auc, Metric::Accuracy],
        Task::Rating => vec![Metric::Rmse, Metric::Mae],
    }
}

/// The first baseline: the regression, where there is one.
fn reference_of_run(all: &[Values]) -> usize {
    usize::from(all.first().is_some_and(|fold| fold.candidates.len() > 1))
}

/// A comparison on one fold, with the models in the order of `names`.
fn compared(fold: &Compared, names: &[String]) -> Values {
    let of = |name: &String| {
        let model = fold.models.iter().find(|model| model.name == *name);
        let runs = model.map_or(&[][..], |model| &model.runs);
        (name.clone(), runs.iter().map(|run| run.test.clone()).collect())
    };
    let candidates = names.iter().map(of).collect();
    let rows: Parts<u64> = fold.rows;
    Values { task: fold.task, metrics: fold.metrics().to_vec(), rows, candidates }
}

/// The model that the validation rows of all folds choose.
fn best(all: &[Compared], names: &[String]) -> usize {
    let metric = all[0].metric;
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    let value = |name: &String| {
        let runs = all.iter().flat_map(|fold| fold.models.iter().filter(|m| m.name == *name));
        let values: Option<Vec<f64>> =
            runs.flat_map(|m| &m.runs).map(|run| metric.of(run.validation.as_ref()?)).collect();
        values.map_or(f64::NEG_INFINITY, |v| sign * v.iter().sum::<f64>() / v.len().max(1) as f64)
    };
    let keys: Vec<f64> = names.iter().map(value).collect();
    (0..names.len()).rev().max_by(|&a, &b| keys[a].total_cmp(&keys[b])).unwrap_or(0)
}
