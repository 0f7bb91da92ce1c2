//! Which model is best, and by how much the others differ from it.
//!
//! A difference between two models has two sources of chance: which rows were tested (DeLong's variance, or
//! the bootstrap's) and which seeds were drawn (the variance over seeds). Both are in the intervals here.
use super::measured::{Measured, OverSeeds};
use crate::error::Result;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_metrics::normal::Z_95;
use dlrm_metrics::{Bootstrap, Interval, Metric, Ranking, Scored, difference};

/// Best first, by the mean over seeds.
pub(super) fn rank(models: &mut [Measured], metric: Metric) {
    let key = |m: &Measured| {
        m.test(metric).map_or(f64::NEG_INFINITY, |o| if metric.higher_is_better() { o.mean } else { -o.mean })
    };
    models.sort_by(|a, b| key(b).total_cmp(&key(a)));
}

/// The best is the one that the validation rows choose, so that its own luck on the test rows does not
/// flatter it; without validation rows the first.
pub(super) fn best(models: &[Measured], metric: Metric) -> usize {
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    let key = |m: &Measured| {
        let values: Option<Vec<f64>> = m.runs.iter().map(|run| metric.of(run.validation.as_ref()?)).collect();
        values.map_or(f64::NEG_INFINITY, |v| sign * OverSeeds::of(&v).mean)
    };
    (0..models.len()).rev().max_by(|&a, &b| key(&models[a]).total_cmp(&key(&models[b]))).unwrap_or(0)
}

/// The mean difference to the best over the seeds; its variance is that of the rows, which all seeds share,
/// plus that of the seeds over their number.
pub(super) fn against_best(models: &mut [Measured], metric: Metric, task: Task, test: &Batch) -> Result<()> {
    let (best, bootstrap) = (best(models, metric), Bootstrap::default());
    let found: Vec<Option<Interval>> = (0..models.len())
        .map(|index| {
            if index == best {
                return Ok(None);
            }
            let (mut differences, mut row_variances) = (Vec::new(), Vec::new());
            for (own, other) in models[index].runs.iter().zip(&models[best].runs) {
                let [a, b] = [own, other].map(|run| Scored::of_batch(task, &run.logits, test));
                let (a, b) = (a?, b?);
                let (ranked_a, ranked_b) = (Ranking::new(&a), Ranking::new(&b));
                if let Some(d) = difference(metric, (&a, &ranked_a), (&b, &ranked_b), &bootstrap)? {
                    differences.push(d.interval.estimate);
                    row_variances.push(((d.interval.high - d.interval.low) / (2.0 * Z_95)).powi(2));
                }
            }
            if differences.is_empty() {
                return Ok(None);
            }
            let n = differences.len() as f64;
            let OverSeeds { mean, sd } = OverSeeds::of(&differences);
            let half = Z_95 * (row_variances.iter().sum::<f64>() / n + sd * sd / n).sqrt();
            Ok(Some(Interval { estimate: mean, low: mean - half, high: mean + half }))
        })
        .collect::<Result<_>>()?;
    models.iter_mut().zip(found).for_each(|(model, interval)| model.against_best = interval);
    Ok(())
}
