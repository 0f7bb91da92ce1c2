//! Logistic (linear) regression trained to its optimum: the model `lr`, and the baseline of every other.
//!
//! The loss of a regression is convex, so it has one minimum and a comparison with it means something only
//! there. L-BFGS goes near that minimum for one strength of L2 after the other, from strong to weak, each
//! from where the one before ended; the validation rows decide which is kept, and goes on to its minimum,
//! then to that of the training and the validation rows together. Where numbers have bins of a
//! piecewise-linear encoding and rows are few, that is done with and without these: a straight effect is
//! learned from fewer rows as one slope.
mod design;
mod folds;
mod minimise;
#[cfg(test)]
mod tests;

use crate::config::{DataConfig, Loading};
use crate::error::{Error, Result};
use crate::learner::{self, Learner};
use crate::observer::{Observer, Standing};
use crate::train_config::TrainConfig;
use crate::train_state::{Best, Ending, Evaluation, TrainState};
use crate::trainer::score;
use design::{Design, Slopes, columns, places};
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_data::schema::Task;
use dlrm_metrics::{Metric, Metrics};
use dlrm_nn::Weights;
use folds::{FOLDS, Folds};
use minimise::{Problem, ROUGH, TOLERANCE};
use std::sync::Arc;

/// The strengths tried: λ = 1 / (C · rows), C from this value on, each time multiplied.
const FIRST_C: f64 = 1e-3;
const FACTOR: f64 = 4.0;
const STRENGTHS: i32 = 12;
/// Fewer validation rows than this, or fewer of the rarer class, are helped by cross-validation over the
/// training rows, if these are at most so many.
const FEW: usize = 500;
const FEW_OF_CLASS: usize = 100;
const FOLDED: usize = 20_000;
/// From so many rows on, bins of numbers are learned well enough, and are not done without.
const MANY: usize = 20_000;
/// Strengths in a row that do not improve, after which weaker ones are not tried.
const PATIENCE: usize = 2;
/// More entries of the matrix than this, or more parameters, are trained in steps instead.
const MOST_ENTRIES: u64 = 200_000_000;
const MOST_PARAMETERS: usize = 5_000_000;

/// A regression at its optimum.
#[derive(Debug, Clone)]
pub(crate) struct Solved {
    /// A weight per dense input, then per row of each table of the layout, then the intercept.
    weights: Vec<f64>,
    /// Mean training loss.
    pub(crate) loss: f64,
    /// How it was found.
    pub(crate) state: TrainState,
    /// That on the validation rows too, once these have chosen its strength.
    pub(crate) refit: Option<Refit>,
}

/// A regression on the training and the validation rows: it predicts better where rows are few, and its own
/// figures on validation rows would flatter it.
#[derive(Debug, Clone)]
pub(crate) struct Refit {
    weights: Arc<[f64]>,
}

/// The best strength so far, and the way there.
struct Found {
    weights: Vec<f64>,
    slopes: Slopes,
    /// The strength.
    l2: f64,
    /// What chooses it: the least so far.
    value: f64,
    state: TrainState,
}

/// A regression to be trained.
pub(crate) struct Regression<'a> {
    /// Training rows.
    pub(crate) rows: &'a Batch,
    /// Rows that choose the strength of L2.
    pub(crate) validation: Option<&'a Batch>,
    /// Shape of both.
    pub(crate) layout: &'a Layout,
    /// Task of the labels.
    pub(crate) task: Task,
    /// Whether it is also found on the validation rows.
    pub(crate) refits: bool,
}

/// Whether a regression on these rows can be taken to its optimum: they are in memory, the same in every
/// epoch, and not too many to be gone through a few hundred times.
pub(crate) fn can(data: &DataConfig, layout: &Layout, rows: u64) -> bool {
    let entries = rows * (layout.dense.len() + layout.features.len()) as u64;
    let parameters: usize = layout.tables.iter().map(|table| table.rows).sum();
    data.loading == Loading::Memory
        && data.negatives.is_none()
        && entries <= MOST_ENTRIES
        && parameters <= MOST_PARAMETERS
}

/// Bytes that solving takes beside the rows, training and validation: numbers of 64 bits for each column,
/// most of them the steps that L-BFGS remembers and the sums of the parts of the rows; for each row, with its
/// label and weight once more; and the regression itself.
pub(crate) fn memory_bytes(layout: &Layout, rows: u64) -> u64 {
    let columns = columns(layout) as u64 + 1;
    let folds = if rows <= FOLDED as u64 { FOLDS } else { 0 };
    let vectors = minimise::VECTORS + design::PARTS as u64 + 1 + folds;
    let of_columns = columns.saturating_mul(8 * vectors + 12);
    of_columns.saturating_add(rows.saturating_mul(8 * minimise::VECTORS_OF_ROWS + 8 + 8 * folds))
}

/// Whether the settings of a regression leave open how it is trained.
pub(crate) fn is_free(config: &TrainConfig) -> bool {
    let usual = TrainConfig::default();
    let own = (&config.optimizer, &config.table_optimizer, &config.schedule);
    let steps = [config.epochs, config.max_steps, config.evaluate_every, config.patience];
    config.starts_from_regression()
        && (own.0, own.1, own.2) == (&usual.optimizer, &usual.table_optimizer, &usual.schedule)
        && steps.iter().all(Option::is_none)
        && config.batch_size.is_none()
        && config.linear_optimizer.is_none()
        && config.plateau.is_none()
}

impl Regression<'_> {
    /// Trains the regression that `learner` holds.
    ///
    /// # Errors
    /// If scores are not finite, or the observer wants to stop.
    pub(crate) fn train(&self, learner: &mut Learner, observer: &mut dyn Observer) -> Result<Solved> {
        let state = TrainState { rows: self.rows.len() as u64, ..TrainState::default() };
        let (weights, value) = (self.start(), f64::INFINITY);
        let mut found = Found { weights, slopes: Slopes::Many, l2: 1.0, value, state };
        self.strengths(Slopes::Many, &mut found, learner, observer)?;
        if !self.layout.bins.is_empty() && self.rows.len() < MANY {
            self.strengths(Slopes::One, &mut found, learner, observer)?;
        }
        self.finish(found, learner, observer)
    }

    /// Takes the strength that was chosen all the way to its minimum.
    fn finish(&self, found: Found, learner: &mut Learner, observer: &mut dyn Observer) -> Result<Solved> {
        let Found { mut weights, slopes, l2, mut state, .. } = found;
        let pool = learner::pool(learner.pool().current_num_threads())?;
        let design = Design::new(&[self.rows], self.layout, slopes, &pool);
        let ended =
            self.problem(&design, l2, TOLERANCE).minimise(&mut weights, &mut || observer.should_stop());
        (state.step, state.epoch) =
            (state.step + ended.iterations as u64, state.epoch + ended.iterations as u64);
        if observer.should_stop() {
            return Err(Error::Interrupted { step: state.step, checkpoint: None });
        }
        let validation = self.score(&weights, learner)?;
        let metric = validation.as_ref().and_then(|metrics| Metric::usual(self.task).of(metrics));
        state.best = metric.map(|value| Best { step: state.step, value });
        let evaluation = self.evaluation(&state, ended.loss, validation);
        observer.evaluated(&evaluation, Standing::Best);
        state.history.push(evaluation);
        let refit = self.refit((&weights, slopes, l2), &pool, observer)?;
        let converged = ended.converged && refit.as_ref().is_none_or(|(_, converged)| *converged);
        state.ending = Some(if converged { Ending::Converged } else { Ending::Iterations });
        let refit = refit.map(|(refit, _)| refit);
        Ok(Solved { weights, loss: self.plain(ended.loss), state, refit })
    }

    /// Goes on to the minimum on the training and the validation rows, for the same strength by row; whether
    /// it was reached.
    fn refit(
        &self,
        (weights, slopes, l2): (&[f64], Slopes, f64),
        pool: &rayon::ThreadPool,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Refit, bool)>> {
        let Some(validation) = self.validation.filter(|_| self.refits) else { return Ok(None) };
        let blocks = [self.rows, validation];
        let labels = blocks.map(|rows| &rows.labels[..]).concat();
        let of_rows = blocks.map(|rows| rows.weights.as_deref().unwrap_or_default()).concat();
        let design = Design::new(&blocks, self.layout, slopes, pool);
        let problem = Problem {
            labels: &labels,
            weights: Some(&of_rows[..]).filter(|weights| !weights.is_empty()),
            l2: l2 * self.rows.len() as f64 / labels.len() as f64,
            ..self.problem(&design, l2, TOLERANCE)
        };
        let mut weights = weights.to_vec();
        let ended = problem.minimise(&mut weights, &mut || observer.should_stop());
        if observer.should_stop() {
            return Err(Error::Interrupted { step: 0, checkpoint: None });
        }
        Ok(Some((Refit { weights: weights.into() }, ended.converged)))
    }

    fn problem<'a>(&'a self, design: &'a Design<'a>, l2: f64, tolerance: f64) -> Problem<'a> {
        let (labels, weights) = (&*self.rows.labels, self.rows.weights.as_deref());
        Problem { design, labels, weights, task: self.task, l2, tolerance }
    }

    /// Puts the weights into the regression that `learner` holds, and measures it on the validation rows.
    fn score(&self, weights: &[f64], learner: &mut Learner) -> Result<Option<Metrics>> {
        write(weights, self.layout, learner.network_mut().weights_mut())?;
        self.validation.map(|rows| score(learner, rows, self.task)).transpose()
    }

    /// Goes from strong L2 to weak, and keeps what is better than what was found before.
    fn strengths(
        &self,
        slopes: Slopes,
        found: &mut Found,
        learner: &mut Learner,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let pool = learner::pool(learner.pool().current_num_threads())?;
        let design = Design::new(&[self.rows], self.layout, slopes, &pool);
        let mut weights = self.start();
        let few = self.validation.is_none_or(|rows| self.are_few(rows)) && self.rows.len() <= FOLDED;
        let mut folds = few.then(|| Folds::new(self.rows.len(), self.rows.weights.as_deref(), &weights));
        let (mut least, mut worse) = (f64::INFINITY, 0);
        for c in (0..STRENGTHS).map(|k| FIRST_C * FACTOR.powi(k)) {
            let l2 = 1.0 / (c * self.rows.len().max(1) as f64);
            let problem = self.problem(&design, l2, ROUGH);
            let ended = problem.minimise(&mut weights, &mut || observer.should_stop());
            found.state.step += ended.iterations.max(1) as u64;
            found.state.epoch = found.state.step;
            let folded = folds.as_mut().map(|folds| folds.loss(&problem, &mut || observer.should_stop()));
            if observer.should_stop() {
                return Err(Error::Interrupted { step: found.state.step, checkpoint: None });
            }
            let validation = self.score(&weights, learner)?;
            let (metric, value) = self.value(validation.as_ref(), folded);
            let mut standing = Standing::NotBest;
            if value < found.value {
                standing = Standing::Best;
                (found.weights, found.slopes, found.l2, found.value) = (weights.clone(), slopes, l2, value);
                found.state.best = metric.map(|value| Best { step: found.state.step, value });
            }
            let evaluation = self.evaluation(&found.state, ended.loss, validation);
            observer.evaluated(&evaluation, standing);
            found.state.history.push(evaluation);
            worse = if value < least { 0 } else { worse + 1 };
            least = least.min(value);
            if worse == PATIENCE {
                break;
            }
        }
        Ok(())
    }

    /// Whether the rows alone are too few to choose a strength.
    fn are_few(&self, rows: &Batch) -> bool {
        let clicks = rows.labels.iter().filter(|&&label| label > 0.5).count();
        let rarer = clicks.min(rows.len() - clicks);
        rows.len() < FEW || (self.task == Task::Binary && rarer < FEW_OF_CLASS)
    }

    /// The monitored metric of the validation rows, and what chooses the strength: their mean loss, together
    /// with that of the rows left out of folds.
    fn value(&self, validation: Option<&Metrics>, folded: Option<(f64, f64)>) -> (Option<f64>, f64) {
        let value = validation.and_then(|metrics| Metric::usual(self.task).of(metrics));
        let mean = |value: f64| if self.task == Task::Binary { value } else { 0.5 * value * value };
        let rows = self.validation.map_or(0.0, |rows| rows.len() as f64);
        let own = value.map_or((0.0, 0.0), |value| (mean(value) * rows, rows));
        let (loss, total) = folded.map_or(own, |folded| (folded.0 + own.0, folded.1 + own.1));
        (value, loss / total.max(1e-300))
    }

    /// The weights of a regression without inputs: an intercept alone.
    fn start(&self) -> Vec<f64> {
        let labels = self.rows.labels.iter().map(|&label| f64::from(label));
        let intercept = neutral_score(labels.sum::<f64>() / self.rows.len().max(1) as f64, self.task);
        let mut weights = vec![0.0; columns(self.layout)];
        weights.extend([intercept]);
        weights
    }

    fn evaluation(&self, state: &TrainState, loss: f64, validation: Option<Metrics>) -> Evaluation {
        let (train_loss, epoch) = (self.plain(loss), state.epoch as f64);
        Evaluation { step: state.step, epoch, train_loss, train_accuracy: None, validation }
    }

    /// The loss as trainers count it: that of ratings is halved while it is minimised.
    fn plain(&self, loss: f64) -> f64 {
        if self.task == Task::Rating { 2.0 * loss } else { loss }
    }
}

impl Solved {
    /// Puts the weights into a regression, which then is the one that was solved.
    ///
    /// # Errors
    /// If its tables are of other sizes.
    pub(crate) fn restore(&self, layout: &Layout, weights: &mut Weights) -> Result<()> {
        write(&self.weights, layout, weights)
    }

    /// Puts the weights where a model has its linear part, and silences the rest of the model; whether it has
    /// one of all inputs.
    ///
    /// # Errors
    /// If the model's tables are of other sizes.
    pub(crate) fn start(&self, layout: &Layout, weights: &mut Weights) -> Result<bool> {
        let names: Vec<String> = weights.tensors().into_iter().map(|(name, ..)| name).collect();
        let has = |name: String| names.contains(&name);
        let dense = layout.dense.is_empty() || has("linear.dense.weight".into());
        if !(dense && used(layout).all(|table| has(format!("linear.{}", layout.tables[table].name)))) {
            return Ok(false);
        }
        write(&self.weights, layout, weights)?;
        weights.silence_outputs();
        weights.repack();
        Ok(true)
    }
}

impl Refit {
    /// Puts the weights where a model has the regression that it is: that of the training rows alone.
    ///
    /// # Errors
    /// If the model's tables are of other sizes.
    pub(crate) fn put_into(&self, layout: &Layout, weights: &mut Weights) -> Result<()> {
        write(&self.weights, layout, weights)
    }
}

/// Puts the weights of a regression where a linear part has them.
fn write(from: &[f64], layout: &Layout, weights: &mut Weights) -> Result<()> {
    let values: Vec<f32> = from.iter().map(|&w| w as f32).collect();
    let (dense, last) = (layout.dense.len(), values.len() - 1);
    if dense > 0 {
        weights.set("linear.dense.weight", &values[..dense])?;
    }
    let places = places(layout);
    for table in used(layout) {
        weights.set(&format!("linear.{}", layout.tables[table].name), &values[places[table].clone()])?;
    }
    weights.set_output_bias(values[last]);
    weights.repack();
    Ok(())
}

/// The tables that features use.
fn used(layout: &Layout) -> impl Iterator<Item = usize> + '_ {
    (0..layout.tables.len()).filter(|&table| layout.features.iter().any(|feature| feature.table == table))
}

/// What a model that knows nothing but the mean label scores: its logit, or the mean rating.
pub(crate) fn neutral_score(mean: f64, task: Task) -> f64 {
    match task {
        Task::Binary => {
            // A column of one class has no finite logit.
            let p = mean.clamp(1e-6, 1.0 - 1e-6);
            libm::log(p / (1.0 - p))
        }
        Task::Rating => mean,
    }
}
