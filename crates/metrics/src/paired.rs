//! Intervals of metrics, and differences of two models on the same rows.
use super::{Bootstrap, Interval, Metric, Ranking, Result, Scored, delong};
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

/// 95 % interval of any metric: DeLong's for AUC, else by bootstrap. `None` where it is undefined.
pub fn interval(
    metric: Metric,
    rows: &Scored<'_>,
    ranking: &Ranking<'_>,
    bootstrap: &Bootstrap,
) -> Option<Interval> {
    match (metric, rows.task()) {
        (Metric::Auc, Task::Binary) => delong::auc(rows, ranking).map(|auc| auc.interval),
        (Metric::Auc, Task::Rating) => None,
        _ => bootstrap.interval(metric, rows, ranking),
    }
}

/// A difference between two models on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// First minus second, with its 95 % interval.
    pub interval: Interval,
    /// Two-sided p value of no difference (AUC only, by DeLong).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

/// Metric of `a` minus that of `b` on the same rows, in pairs: sharper than comparing two intervals.
///
/// # Errors
/// If the two are not scored on the same rows.
pub fn difference(
    metric: Metric,
    a: (&Scored<'_>, &Ranking<'_>),
    b: (&Scored<'_>, &Ranking<'_>),
    bootstrap: &Bootstrap,
) -> Result<Option<Difference>> {
    if metric == Metric::Auc && a.0.task() == Task::Binary {
        let found = delong::difference(a, b)?;
        return Ok(found.map(|d| Difference { interval: d.interval, p_value: d.p_value(0.0) }));
    }
    let found = bootstrap.difference(metric, a, b)?;
    Ok(found.map(|interval| Difference { interval, p_value: None }))
}
