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

/// Whether a trimmed field is what programs write for a number that is none or too large: inf, -Infinity,
/// 1e999.
pub(super) fn is_infinite(trimmed: &str) -> bool {
    trimmed.parse::<f64>().is_ok_and(|x| !x.is_finite())
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
    /// Integers beyond 2^53 that a float writes as they stand: probably floats themselves.
    pub rounded: u64,
    pub iso: u64,
    pub compact: u64,
    /// What dates that end with their year say of day and month, if nearly all fields are such.
    pub dates: Option<Dates>,
    pub mean_words: f64,
}
