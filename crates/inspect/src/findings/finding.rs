//! What was found, why it matters and what to do about it.
use serde::{Deserialize, Serialize};

/// How much a finding matters. The first ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Measured results would be wrong, or training fails.
    Critical,
    /// Results will probably be worse than they need be.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A column that gives the label away.
    Leak,
    /// A column that alone predicts far better than any other.
    Suspicious,
    /// Rows out of the order of time, or test rows before training rows.
    TimeOrder,
    /// Rows of test or validation that training has too.
    SharedRows,
    /// Rows that repeat others.
    Duplicates,
    /// Rows that are equal but for the label.
    Contradictions,
    /// The label is of another rate in test or validation.
    LabelShift,
    /// A column is distributed otherwise in test or validation.
    Drift,
    /// Values that training does not have.
    Unseen,
    /// Rows that training will refuse.
    Malformed,
    /// Something about the label.
    Label,
    /// Something about one column.
    Column,
    /// The default model does not fit these columns.
    Model,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// The column it is about, if it is about one.
    pub column: Option<String>,
    /// What was found.
    pub found: String,
    /// Why that matters; empty where it goes without saying.
    pub why: String,
    /// What to do; empty where `found` says it.
    pub fix: String,
    /// By what findings of one severity and kind are ordered, the largest first.
    pub size: f64,
}

impl Finding {
    /// A finding about the data as a whole, with nothing to say beyond what was found.
    pub fn new(severity: Severity, kind: FindingKind, found: impl Into<String>) -> Self {
        let (why, fix) = (String::new(), String::new());
        Finding { severity, kind, column: None, found: found.into(), why, fix, size: 0.0 }
    }

    /// Names the column that the finding is about.
    #[must_use]
    pub fn about(self, column: &str) -> Self {
        Finding { column: Some(column.to_owned()), ..self }
    }

    /// Says why it matters and what to do.
    #[must_use]
    pub fn because(self, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { why: why.into(), fix: fix.into(), ..self }
    }

    /// Says how large it is, by which findings of one severity are ordered.
    #[must_use]
    pub fn sized(self, size: f64) -> Self {
        Finding { size, ..self }
    }
}

/// The most important first.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (a.severity, a.kind).cmp(&(b.severity, b.kind)).then(b.size.total_cmp(&a.size)));
}
