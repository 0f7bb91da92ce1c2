//! Means over the splits of a table, and what they come to over many tables.
use super::runs::{Done, Run};
use super::study::{Scores, Table};

/// How far below LightGBM counts as on a par with it.
pub(super) const PAR: f64 = 0.005;
/// How far below the best of the family a table led by ids may come.
pub(super) const FAMILY_PAR: f64 = 0.002;

/// A table with one variant: means over the splits that ran.
pub(super) struct Row<'a> {
    pub table: &'a Table,
    pub model: Scores,
    pub baseline: Scores,
    pub lr: Scores,
    pub lr_cv: Scores,
    pub lightgbm: Scores,
    /// Half the widths of the intervals of its differences to the two regressions on one split.
    pub margins: [Scores; 2],
    /// Seconds of a run.
    pub seconds: f64,
    /// Claims to be better than logistic regression where a converged one is better, with either L2.
    pub contradicted: Vec<String>,
    /// AUC of the best other model of the family, and its name.
    pub best_of_family: Option<(f64, String)>,
}

impl<'a> Row<'a> {
    /// None if no split ran.
    pub(super) fn of(table: &'a Table, variant: &str, done: &[Done]) -> Option<Row<'a>> {
        let runs: Vec<(usize, &Run)> = runs_of(table, variant, done).collect();
        if runs.is_empty() {
            return None;
        }
        let mean = |of: &dyn Fn(usize, &Run) -> Scores| {
            Scores::mean(&runs.iter().map(|(split, run)| of(*split, run)).collect::<Vec<_>>())
        };
        Some(Row {
            table,
            model: mean(&|_, run| run.model),
            baseline: mean(&|_, run| run.baseline),
            lr: mean(&|split, _| table.peers[split].lr),
            lr_cv: mean(&|split, _| table.peers[split].lr_cv),
            lightgbm: mean(&|split, _| table.peers[split].lightgbm),
            margins: [0, 1].map(|lr| mean(&|_, run| run.margins[lr])),
            seconds: runs.iter().map(|(_, run)| run.seconds).sum::<f64>() / runs.len() as f64,
            contradicted: runs.iter().flat_map(|(split, run)| contradictions(table, *split, run)).collect(),
            best_of_family: None,
        })
    }

    /// AUC above LightGBM's.
    pub(super) fn above_lightgbm(&self) -> f64 {
        self.model.auc - self.lightgbm.auc
    }

    /// AUC above that of converged logistic regression.
    pub(super) fn above_lr(&self) -> f64 {
        self.model.auc - self.lr_cv.auc
    }

    /// Log loss above that of converged logistic regression.
    pub(super) fn loss_above_lr(&self) -> f64 {
        self.model.log_loss - self.lr_cv.log_loss
    }

    /// Whether a converged logistic regression, with either L2, is better beyond the interval, in AUC or log
    /// loss.
    pub(super) fn worse_than_lr(&self) -> bool {
        [self.lr, self.lr_cv].iter().zip(&self.margins).any(|(lr, margin)| {
            self.model.auc - lr.auc < -margin.auc || self.model.log_loss - lr.log_loss > margin.log_loss
        })
    }

    /// AUC above the best other model of the family.
    pub(super) fn above_family(&self) -> Option<f64> {
        self.best_of_family.as_ref().map(|(auc, _)| self.model.auc - auc)
    }
}

/// Split and run of a table with a variant.
pub(super) fn runs_of<'a>(
    table: &'a Table,
    variant: &'a str,
    done: &'a [Done],
) -> impl Iterator<Item = (usize, &'a Run)> {
    let of = done.iter().filter(move |d| d.variant == variant && d.table == table.name);
    of.filter_map(|d| Some((d.split, d.run.as_ref().ok()?)))
}

fn contradictions(table: &Table, split: usize, run: &Run) -> Vec<String> {
    let (converged, model) = (table.peers[split].best_lr(), run.model);
    let metrics = [
        ("AUC", model.auc, converged.auc, converged.auc > model.auc),
        ("log loss", model.log_loss, converged.log_loss, converged.log_loss < model.log_loss),
    ];
    let false_claims = metrics.into_iter().filter(|(metric, _, _, beaten)| *beaten && run.claims(metric));
    false_claims
        .map(|(metric, ours, theirs, _)| {
            format!("{}, split {split}: better in {metric}, {ours:.4} against {theirs:.4}", table.name)
        })
        .collect()
}

/// The mean of what is a number.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.filter(|v| !v.is_nan()).collect();
    values.iter().sum::<f64>() / values.len() as f64
}
