//! Which model is best, and by how much the others differ from it.
//!
//! A difference between two models has two sources of chance: which rows were tested (DeLong's variance, or
//! the bootstrap's) and which seeds were drawn (the variance over seeds). Both are in the intervals here.
use super::measured::{Measured, OverSeeds};
use crate::error::Result;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_metrics::normal::Z_95;
use dlrm_metrics::student::t_95_between;
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

/// The mean of differences, one for each seed; its variance is that of the rows, which all seeds share, plus
/// that of the seeds over their number. The second is estimated from few values, hence Student's quantile,
/// for the degrees of freedom of such a sum (Welch 1947, Satterthwaite 1946): those of the rows are as good
/// as infinite.
fn over_rows_and_seeds(differences: &[f64], row_variances: &[f64]) -> Interval {
    let n = differences.len() as f64;
    let OverSeeds { mean, sd } = OverSeeds::of(differences);
    let of_rows = row_variances.iter().sum::<f64>() / n;
    let of_seeds = sd * sd / n;
    let quantile = if of_seeds > 0.0 {
        t_95_between((n - 1.0) * ((of_rows + of_seeds) / of_seeds).powi(2))
    } else {
        Z_95
    };
    let half = quantile * (of_rows + of_seeds).sqrt();
    Interval { estimate: mean, low: mean - half, high: mean + half }
}

/// The mean difference to the best over the seeds, with its interval.
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
            Ok((!differences.is_empty()).then(|| over_rows_and_seeds(&differences, &row_variances)))
        })
        .collect::<Result<_>>()?;
    models.iter_mut().zip(found).for_each(|(model, interval)| model.against_best = interval);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard normal, number `i` of a stream: Box and Muller over SplitMix64.
    fn normal(i: u64) -> f64 {
        let uniform = |i: u64| {
            let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
        };
        (-2.0 * uniform(2 * i).ln()).sqrt() * (std::f64::consts::TAU * uniform(2 * i + 1)).cos()
    }

    /// The share of comparisons whose interval holds the true difference, of seeds that scatter by `spread`
    /// standard errors of the rows.
    fn coverage(seeds: u64, spread: f64) -> f64 {
        const DRAWN: u64 = 3_000;
        let holds = |drawn: u64| {
            // All seeds share the test rows and so the error that these make.
            let first = 1 + drawn * (seeds + 1);
            let of_rows = normal(first);
            let differences: Vec<f64> =
                (1..=seeds).map(|seed| 0.3 + of_rows + spread * normal(first + seed)).collect();
            let interval = over_rows_and_seeds(&differences, &vec![1.0; seeds as usize]);
            interval.low <= 0.3 && 0.3 <= interval.high
        };
        (0..DRAWN).filter(|&drawn| holds(drawn)).count() as f64 / DRAWN as f64
    }

    /// By the normal quantile it would be 81 % for three seeds that scatter widely. Two seeds can tell too
    /// little of their scatter by chance, where it is a few times that of the rows.
    #[test]
    fn intervals_hold_the_difference_as_often_as_they_say() {
        for seeds in [2, 3, 5, 10] {
            for spread in [0.0, 0.3, 1.0, 3.0, 100.0] {
                let found = coverage(seeds, spread);
                let least = if seeds == 2 { 0.86 } else { 0.92 };
                assert!((least..0.97).contains(&found), "{seeds} seeds, spread {spread}: {found}");
            }
        }
        let one = over_rows_and_seeds(&[0.5], &[0.01]);
        assert!((one.high - 0.5 - 0.1 * Z_95).abs() < 1e-12, "one seed: the rows alone");
    }
}
