//! What the kind of a column is told by.
use super::counts::Precision;
use super::moments::Numbers;
use super::names::Hint;
use super::times::Dates;

/// The finite number in a trimmed field.
pub(super) fn number(trimmed: &str) -> Option<f64> {
    let first = *trimmed.as_bytes().first()?;
    let numeric = first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.');
    if numeric { trimmed.parse::<f64>().ok().filter(|x| x.is_finite()) } else { None }
}

/// Whether so few of so many fields are mistakes rather than what the column holds.
pub(super) fn are_strays(few: u64, all: u64) -> bool {
    few * 100 <= all
}

/// What the kind of a column is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    pub hint: Hint,
    /// Non-missing fields.
    pub present: u64,
    pub missing: u64,
    pub distinct: u64,
    pub precision: Precision,
    /// Summary if every field is a number, a few strays aside.
    pub numbers: Option<Numbers>,
    pub leading_zeros: u64,
    /// Integers that a float cannot tell from their neighbours.
    pub huge: u64,
    pub iso: u64,
    pub compact: u64,
    /// What dates that end with their year say of day and month, if nearly all fields are such.
    pub dates: Option<Dates>,
    pub mean_words: f64,
}
