//! Everything that is gathered of one column, row by row.
use super::clock::{Clock, Covered};
use super::counts::{Precision, ValueCounter};
use super::evidence::{Evidence, are_strays, is_infinite, number};
use super::kind::{self, Kind};
use super::leak::Leak;
use super::moments::{Moments, Numbers};
use super::names::Hint;
use super::sentinels::{Extremes, Sentinel};
use super::times;
use super::tokens::{TokenStats, Tokens};
use super::written::Written;
use dlrm_data::error::quoted;
use dlrm_data::format::{count, percent};
use dlrm_data::schema::{MultiValued, is_missing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// Different texts for missing values that are remembered per column.
const MISSING_TEXTS: usize = 8;
/// Examples kept.
const EXAMPLES: usize = 3;
/// Characters of a text kept as example.
const EXAMPLE_LENGTH: usize = 60;
/// 2^53: from here on floats skip integers.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// Facts and advice about one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Name.
    pub name: String,
    /// What it seems to be.
    pub kind: Kind,
    /// Missing fields.
    pub missing: u64,
    /// Share of the rows where it is missing.
    pub missing_share: f64,
    /// Texts of missing fields, besides the empty one, as they stand in the input.
    pub missing_texts: Vec<String>,
    /// Number of distinct non-missing values.
    pub distinct: u64,
    /// Whether `distinct` is counted or estimated.
    pub precision: Precision,
    /// Share of the non-missing rows that hold the most frequent value.
    pub head_share: f64,
    /// Share of the non-missing rows that hold one of the ten most frequent values.
    pub top10_share: f64,
    /// Share of the non-missing rows that hold one of the hundred most frequent values.
    pub top100_share: f64,
    /// Share of the distinct values that occur once.
    pub singleton_share: f64,
    /// Summary of a column of numbers.
    pub numbers: Option<Numbers>,
    /// Values within the fields of a multi-valued column.
    pub tokens: Option<Tokens>,
    /// How much of day and week the moments of a timestamp cover, where each field is one.
    pub covered: Option<Covered>,
    /// Numbers that probably stand for a missing value.
    pub sentinels: Vec<Sentinel>,
    /// The first different values.
    pub examples: Vec<String>,
    /// AUC of this column alone for a binary label (of ratings: for whether they are above the median),
    /// judged on other rows than it was learned on.
    pub auc: Option<f64>,
    /// How it gives the label away, if it does.
    pub leak: Option<Leak>,
    /// What one could do.
    pub suggestions: Vec<String>,
    /// What is wrong.
    pub warnings: Vec<String>,
}

impl ColumnProfile {
    /// Takes the column for what was said of it.
    pub(super) fn become_kind(&mut self, kind: Kind) {
        self.kind = kind;
        (self.tokens, self.covered) = (None, None);
        self.sentinels.clear();
    }
}

/// The column in the making.
#[derive(Debug, Clone)]
pub(super) struct ColumnStats {
    missing: u64,
    missing_texts: BTreeSet<String>,
    counts: ValueCounter,
    moments: Moments,
    extremes: Extremes,
    clock: Clock,
    /// Numbers such as 007.
    leading_zeros: u64,
    /// Integers that a float cannot tell from their neighbours.
    huge: u64,
    /// Others beyond 2^53, which a float writes as they stand.
    rounded: u64,
    /// Fields that hold no finite number but are written like one, and the first different texts of them.
    infinite: u64,
    infinite_texts: BTreeSet<String>,
    iso: u64,
    compact: u64,
    words: u64,
    written: Written,
    tokens: TokenStats,
    scratch: Vec<u64>,
    examples: Vec<(u64, String)>,
    /// First different texts that are no numbers.
    texts: Vec<(u64, String)>,
    fingerprint: u64,
}

impl ColumnStats {
    /// Nothing seen yet; all counts are kept up to `most` distinct values.
    pub(super) fn within(most: usize) -> Self {
        ColumnStats {
            counts: ValueCounter::within(most),
            tokens: TokenStats::within(most),
            missing: 0,
            missing_texts: BTreeSet::new(),
            moments: Moments::default(),
            extremes: Extremes::default(),
            clock: Clock::default(),
            leading_zeros: 0,
            huge: 0,
            rounded: 0,
            infinite: 0,
            infinite_texts: BTreeSet::new(),
            iso: 0,
            compact: 0,
            words: 0,
            written: Written::default(),
            scratch: Vec::new(),
            examples: Vec::new(),
            texts: Vec::new(),
            fingerprint: 0,
        }
    }

    /// The fields are lists, written so.
    pub(super) fn declare_lists(&mut self, multi: MultiValued) {
        self.tokens.declare(multi);
    }

    /// Adds a field; gives its hash and number, if it is not missing.
    pub(super) fn add(&mut self, field: &str) -> Option<(u64, Option<f64>)> {
        let hash = xxh3_64(field.as_bytes());
        self.fingerprint = (self.fingerprint.rotate_left(5) ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let trimmed = field.trim();
        if is_missing(trimmed) {
            self.add_missing(field, trimmed);
            return None;
        }
        self.tokens.add(field, &self.counts, &mut self.scratch);
        self.counts.add(hash);
        remember(&mut self.examples, EXAMPLES, hash, trimmed);
        let number = number(trimmed);
        match number {
            Some(x) => {
                self.moments.add(x);
                self.extremes.add(x);
                self.clock.add_number(x, trimmed);
                let bytes = trimmed.as_bytes();
                self.leading_zeros +=
                    u64::from(bytes.len() > 1 && bytes[0] == b'0' && bytes.iter().all(u8::is_ascii_digit));
                let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
                if x.abs() >= EXACT_INTEGERS && digits.iter().all(u8::is_ascii_digit) {
                    let is_float = x.abs() <= f64::from(f32::MAX) && x.to_string() == trimmed;
                    self.rounded += u64::from(is_float);
                    self.huge += u64::from(!is_float);
                }
                self.compact += u64::from(times::is_compact(trimmed));
            }
            None => {
                remember(&mut self.texts, EXAMPLES + 1, hash, trimmed);
                self.clock.add_text(trimmed);
                if is_infinite(trimmed) {
                    self.infinite += 1;
                    remember_missing(&mut self.infinite_texts, field, trimmed);
                }
                self.iso += u64::from(times::is_iso(trimmed));
                self.written.add(trimmed);
                self.words += trimmed.split_ascii_whitespace().count() as u64;
            }
        }
        Some((hash, number))
    }

    fn add_missing(&mut self, field: &str, trimmed: &str) {
        self.missing += 1;
        remember_missing(&mut self.missing_texts, field, trimmed);
    }

    /// Fields such as `inf`, which are missing values of a column that holds numbers but for them.
    fn missing_numbers(&self) -> u64 {
        let (numbers, all) = (self.moments.count(), self.counts.total() - self.infinite);
        let are_numbers = numbers > self.infinite && are_strays(all - numbers, all);
        if are_numbers && self.infinite_texts.len() < MISSING_TEXTS { self.infinite } else { 0 }
    }

    /// That such fields are taken as missing.
    pub(super) fn infinite_warning(&self) -> Option<String> {
        let texts: Vec<String> = self.infinite_texts.iter().map(|text| quoted(text)).collect();
        let share = self.missing_numbers() as f64 / (self.missing + self.counts.total()).max(1) as f64;
        (share > 0.0).then(|| {
            format!(
                "{} in {} of the fields among numbers: taken as missing",
                texts.join(", "),
                percent(share)
            )
        })
    }

    /// Hashes that are kept to count distinct values.
    pub(super) fn kept(&self) -> usize {
        self.counts.kept()
    }

    /// Drops them: distinct values are estimated from now on.
    pub(super) fn estimate(&mut self) {
        self.counts.estimate();
    }

    /// Two columns with the same fields in all rows have the same fingerprint.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Non-missing fields that are no numbers.
    fn no_numbers(&self) -> u64 {
        self.counts.total() - self.moments.count() - self.missing_numbers()
    }

    /// What is odd about a column of this kind: fields that are mistakes if the column is what nearly all of
    /// them say.
    pub(super) fn stray_warning(&self, kind: Kind) -> Option<String> {
        let (what, strays) = match kind {
            Kind::Dense => ("no number", self.no_numbers()),
            Kind::MultiValued { separator, weight_separator: Some(_) } => {
                ("a value whose weight is no number", self.tokens.unweightable(separator))
            }
            _ => return None,
        };
        let texts: Vec<String> = self.texts.iter().map(|(_, text)| quoted(text)).collect();
        let shown = if kind == Kind::Dense { format!(" ({})", texts.join(", ")) } else { String::new() };
        (strays > 0).then(|| {
            format!(
                "{what} in {} fields{shown}: such rows are malformed for training; mend them, skip them with \
                    data.max_bad_rows, or list \
                 the text under `missing`",
                count(strays)
            )
        })
    }

    /// What is wrong with its dates.
    pub(super) fn date_warning(&self) -> Option<String> {
        self.clock.warning(self.counts.total())
    }

    /// What to do about numbers that are written in a way that is not read.
    pub(super) fn written_warning(&self, kind: Kind) -> Option<String> {
        let is_list = matches!(kind, Kind::MultiValued { .. });
        let plain = self.moments.count() + self.infinite;
        self.written.warning(plain, self.counts.total(), is_list)
    }

    /// Texts among numbers, if they are few and all the same: perhaps one more way to write *missing*.
    pub(super) fn stray_texts(&self) -> Option<Vec<&str>> {
        let (numbers, present) = (self.moments.count(), self.counts.total());
        let few = self.texts.len() <= EXAMPLES
            && !are_strays(present - numbers, present)
            && numbers as f64 >= 0.9 * present as f64;
        few.then(|| self.texts.iter().map(|(_, text)| text.as_str()).collect())
    }

    /// The facts, without advice.
    pub(super) fn profile(&self, name: &str, hint: Hint, auc: Option<f64>) -> ColumnProfile {
        let infinite = self.missing_numbers();
        let (present, missing) = (self.counts.total() - infinite, self.missing + infinite);
        let (distinct, precision) = self.counts.distinct();
        let missing_texts = self.missing_texts.iter();
        let missing_texts = missing_texts.chain(self.infinite_texts.iter().filter(|_| infinite > 0));
        let numbers = self.moments.summary().filter(|_| are_strays(self.no_numbers(), present));
        let evidence = Evidence {
            hint,
            present,
            missing,
            distinct,
            precision,
            numbers,
            leading_zeros: self.leading_zeros,
            huge: self.huge,
            rounded: self.rounded,
            iso: self.iso,
            compact: self.compact,
            dates: self.clock.dates(present),
            mean_words: self.words as f64 / present.max(1) as f64,
        };
        let multi = self.tokens.verdict(distinct);
        let kind = match self.tokens.declared() {
            Some(MultiValued { separator, weight_separator }) => {
                Kind::MultiValued { separator: *separator, weight_separator: *weight_separator }
            }
            None => kind::infer(&evidence, multi.as_ref().map(|(multi, _)| multi)),
        };
        let [head_share, top10_share, top100_share] = self.counts.head_shares();
        ColumnProfile {
            name: name.to_owned(),
            tokens: multi.map(|(_, tokens)| tokens).filter(|_| matches!(kind, Kind::MultiValued { .. })),
            kind,
            missing,
            missing_share: missing as f64 / (missing + present).max(1) as f64,
            missing_texts: missing_texts.cloned().collect(),
            distinct,
            precision,
            head_share,
            top10_share,
            top100_share,
            singleton_share: self.counts.singleton_share(),
            numbers,
            covered: match kind {
                Kind::Timestamp { format } => self.clock.covered(format, present),
                _ => None,
            },
            sentinels: if kind == Kind::Dense { self.extremes.sentinels() } else { Vec::new() },
            examples: self.examples.iter().map(|(_, text)| text.clone()).collect(),
            auc,
            leak: None,
            suggestions: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Keeps the first few different texts of missing values. Numbers are compared trimmed, texts as they
/// stand: both forms must be known.
fn remember_missing(kept: &mut BTreeSet<String>, field: &str, trimmed: &str) {
    for text in [field, trimmed] {
        if !text.is_empty() && kept.len() < MISSING_TEXTS && text.len() <= EXAMPLE_LENGTH {
            kept.insert(text.to_owned());
        }
    }
}

/// Keeps the beginning of the first few different texts.
fn remember(kept: &mut Vec<(u64, String)>, most: usize, hash: u64, text: &str) {
    if kept.len() < most && !kept.iter().any(|(other, _)| *other == hash) {
        kept.push((hash, text.chars().take(EXAMPLE_LENGTH).collect()));
    }
}
