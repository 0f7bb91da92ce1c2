//! What the profile of single columns says, as findings: leaks first.
use super::finding::{Finding, FindingKind, Severity};
use crate::profile::advice::{LEAK, is_of_sentinel};
use crate::profile::left_out;
use crate::profile::{ColumnProfile, Leak, Profile};
use dlrm_data::schema::Schema;

/// AUC of a single column, and its lead before the next one, from which on it is suspicious.
const SUSPICIOUS: f64 = 0.9;
const LEAD: f64 = 0.15;
/// Rows below which an AUC is too much chance to suspect anyone.
const ENOUGH: u64 = 1000;

/// Columns that give the label away or alone predict far better than any other.
pub(super) fn leaks(profile: &Profile, schema: &Schema) -> Vec<Finding> {
    let is_input = |column: &ColumnProfile| schema.columns().skip(1).any(|name| name == column.name);
    let mut aucs: Vec<f64> = profile.columns.iter().filter(|c| is_input(c)).filter_map(|c| c.auc).collect();
    aucs.sort_by(|a, b| b.total_cmp(a));
    let next = aucs.get(1).copied();
    let mut out = Vec::new();
    for column in &profile.columns {
        let (severity, what) = if is_input(column) {
            (Severity::Critical, "")
        } else {
            (Severity::Note, ", but it is no input")
        };
        let why = "a column that knows the label comes from after the event; the model would be perfect here \
            and useless in use";
        let fix = "leave it out of the schema, unless it is known when a row is to be scored";
        let found = match column.leak {
            Some(Leak::EqualsLabel) => "equal to the label in every row".to_owned(),
            Some(Leak::Missing { auc }) => {
                format!("whether it is missing gives the label away (AUC {auc:.4})")
            }
            Some(Leak::Values { auc }) => {
                format!("alone it predicts the label with an AUC of {auc:.4}, on rows it was not learned on")
            }
            None => {
                out.extend(suspicious(column, next, profile.rows).filter(|_| is_input(column)));
                continue;
            }
        };
        let finding = Finding::new(severity, FindingKind::Leak, found + what).because(why, fix);
        out.push(finding.about(&column.name).sized(column.auc.unwrap_or(1.0)));
    }
    out
}

fn suspicious(column: &ColumnProfile, next: Option<f64>, rows: u64) -> Option<Finding> {
    let (auc, next) = (column.auc.filter(|&auc| auc > SUSPICIOUS && rows >= ENOUGH)?, next.unwrap_or(0.5));
    if auc < next + LEAD {
        return None;
    }
    let found = format!(
        "alone it predicts the label with an AUC of {auc:.4}; the next best column reaches {next:.4}"
    );
    let why = "so far ahead, it may know something of the label that is not known when a row is to be scored";
    let fix = "ask where and when its values are written; negatives that were drawn at random do this to the \
        ids of items";
    let finding = Finding::new(Severity::Warning, FindingKind::Suspicious, found).because(why, fix);
    Some(finding.about(&column.name).sized(auc))
}

/// The other warnings of the profile.
pub(super) fn columns(profile: &Profile, schema: &Schema) -> Vec<Finding> {
    // With one class there is nothing to learn.
    let is_constant = profile
        .label
        .as_ref()
        .and_then(|label| label.positive_share)
        .is_some_and(|share| share == 0.0 || share == 1.0);
    let severity = if is_constant { Severity::Critical } else { Severity::Warning };
    let mut out: Vec<Finding> = profile
        .warnings
        .iter()
        .map(|warning| Finding::new(severity, FindingKind::Label, warning.clone()))
        .collect();
    let mut left_out = Vec::new();
    for column in &profile.columns {
        let own = left_out::left_out(column);
        if let (Some(reason), false) = (&own, schema.columns().any(|name| name == column.name)) {
            left_out.push(format!("{} ({})", column.name, reason.trim_end_matches(": left out")));
        }
        let settled = schema.dense.iter().any(|c| c.name == column.name && !c.sentinels.is_empty());
        for warning in column
            .warnings
            .iter()
            .filter(|warning| Some(*warning) != own.as_ref() && !warning.starts_with(LEAK))
            .filter(|warning| !(settled && is_of_sentinel(warning)))
        {
            out.push(
                Finding::new(Severity::Warning, FindingKind::Column, warning.clone()).about(&column.name),
            );
        }
    }
    if !left_out.is_empty() {
        let found = format!("left out of the schema: {}", left_out.join(", "));
        let why = "nothing can be learned of a value that is always the same, or never the same";
        out.push(
            Finding::new(Severity::Note, FindingKind::Column, found)
                .because(why, "nothing, unless you know better"),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ProfileOptions;
    use dlrm_data::rng::Rng;
    use dlrm_data::row::{RawRow, RowSource};

    struct Made(Vec<String>, Rng, u64, f64);

    impl RowSource for Made {
        fn columns(&self) -> &[String] {
            &self.0
        }

        fn next_row(&mut self, row: &mut RawRow) -> dlrm_data::Result<bool> {
            row.clear();
            if self.2 == 0 {
                return Ok(false);
            }
            self.2 -= 1;
            let click = self.1.below(2);
            let told = if self.1.uniform() < self.3 { click } else { self.1.below(2) };
            row.push(&click.to_string());
            row.push(&format!("p{}", 2 * self.1.below(30) + told));
            row.push(&format!("v{}", self.1.below(20)));
            Ok(true)
        }
    }

    #[test]
    fn leaks_and_suspects() {
        let kinds = |honesty: f64| {
            let mut rows = Made(["click", "a", "b"].map(str::to_owned).into(), Rng::new(9, 0), 5000, honesty);
            let profile = Profile::of(&mut rows, &ProfileOptions::default()).unwrap();
            leaks(&profile, &profile.schema().unwrap())
                .into_iter()
                .map(|f| (f.kind, f.column.unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(1.0), [(FindingKind::Leak, "a".to_owned())]);
        assert_eq!(kinds(0.9), [(FindingKind::Suspicious, "a".to_owned())]);
        assert_eq!(kinds(0.2), []);
    }
}
