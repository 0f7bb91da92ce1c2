//! Whether the fields of a column hold several values each, and by which separator.
use super::counts::{Precision, ValueCounter};
use super::evidence::{are_strays, number};
use dlrm_data::schema::MultiValued;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Separators in the order in which they are believed.
const SEPARATORS: [char; 4] = ['|', ';', ',', ' '];
/// Between a value and its weight.
const WEIGHT: char = ':';
/// Texts after which it is decided which separator it is, if any; the others are then left alone.
const LOOKED_AT: u64 = 100_000;
/// Longest text that counts as a short value.
const SHORT: usize = 40;

/// Values within the fields of a multi-valued column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// Mean number of values per non-missing field.
    pub mean: f64,
    /// Distinct values.
    pub distinct: u64,
    /// Whether `distinct` is counted or estimated.
    pub precision: Precision,
    /// Share of the distinct values that occur once.
    pub singleton_share: f64,
}

/// Statistics for one separator.
#[derive(Debug, Clone)]
struct Candidate {
    /// Fields that contain the separator.
    fields: u64,
    /// Fewest and most values in such fields.
    fewest: u64,
    most: u64,
    /// Values of such fields.
    counts: ValueCounter,
    /// Values of all fields.
    all: ValueCounter,
    short: u64,
    with_digits: u64,
    /// Fields that hold a value twice.
    repeating: u64,
    weighted: u64,
    /// Values with a weight separator and no number behind it.
    unweightable: u64,
}

/// Gathers the statistics.
#[derive(Debug, Clone)]
pub(super) struct TokenStats {
    /// Distinct values up to which all counts are kept.
    most: usize,
    /// Non-missing fields, and those that are no numbers.
    present: u64,
    texts: u64,
    /// Whether a field had a separator or a weight yet.
    is_started: bool,
    candidates: [Candidate; SEPARATORS.len()],
    /// What the first [`LOOKED_AT`] texts decided.
    decided: Option<Option<usize>>,
    /// What the type of the column says, which needs no evidence.
    declared: Option<MultiValued>,
}

/// Whether a value carries a weight; `None` if what follows the weight separator is no number.
fn is_weighted(token: &str) -> Option<bool> {
    match token.rsplit_once(WEIGHT) {
        None => Some(false),
        Some((_, weight)) => weight.trim().parse::<f32>().is_ok_and(f32::is_finite).then_some(true),
    }
}

impl TokenStats {
    /// Keeping all counts up to `most` distinct values.
    pub(super) fn within(most: usize) -> Self {
        let candidates = std::array::from_fn(|_| Candidate::within(most));
        TokenStats {
            most,
            present: 0,
            texts: 0,
            is_started: false,
            candidates,
            decided: None,
            declared: None,
        }
    }
}

impl Candidate {
    fn within(most: usize) -> Self {
        Candidate {
            fields: 0,
            fewest: 0,
            most: 0,
            counts: ValueCounter::within(most),
            all: ValueCounter::within(most),
            short: 0,
            with_digits: 0,
            repeating: 0,
            weighted: 0,
            unweightable: 0,
        }
    }

    /// Counts one value of a field.
    fn value(&mut self, token: &str) -> u64 {
        let weighted = is_weighted(token);
        let name = if weighted == Some(true) {
            token.rsplit_once(WEIGHT).map_or(token, |(name, _)| name)
        } else {
            token
        };
        let hash = xxh3_64(name.as_bytes());
        self.all.add(hash);
        self.weighted += u64::from(weighted == Some(true));
        self.unweightable += u64::from(weighted.is_none());
        hash
    }

    fn add(&mut self, field: &str, separator: char, scratch: &mut Vec<u64>) {
        if !field.contains(separator) {
            self.value(field);
            return;
        }
        scratch.clear();
        for token in field.split(separator).filter(|token| !token.is_empty()) {
            let hash = self.value(token);
            self.counts.add(hash);
            scratch.push(hash);
            self.short += u64::from(token.len() <= SHORT);
            self.with_digits += u64::from(token.bytes().any(|b| b.is_ascii_digit()));
        }
        let tokens = scratch.len() as u64;
        self.fewest = if self.fields == 0 { tokens } else { self.fewest.min(tokens) };
        self.most = self.most.max(tokens);
        self.fields += 1;
        scratch.sort_unstable();
        self.repeating += u64::from(scratch.windows(2).any(|pair| pair[0] == pair[1]));
    }

    /// Whether `fields` fields, of `distinct` values as a whole, look like lists.
    fn is_convincing(&self, separator: char, fields: u64, distinct: u64) -> bool {
        let tokens = self.counts.total().max(1);
        let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
        let vocabulary = self.counts.distinct().0;
        let varies = self.fewest != self.most || self.fields < fields;
        let common = share(self.fields, fields);
        let reused = share(tokens, vocabulary) >= 2.0 && vocabulary < distinct;
        let plausible = self.most >= 2 && share(self.short, tokens) > 0.95 && reused;
        plausible
            && match separator {
                '|' | ';' => common >= 0.1,
                // Prose and numbers such as 1,000,000 have commas and blanks too.
                ',' => {
                    common >= 0.3
                        && varies
                        && share(self.repeating, self.fields) < 0.3
                        && 3 * vocabulary < 2 * distinct
                }
                _ => common >= 0.3 && varies && share(self.with_digits, tokens) >= 0.8,
            }
    }
}

impl TokenStats {
    /// The fields are lists, written so.
    pub(super) fn declare(&mut self, multi: MultiValued) {
        self.decided = Some(SEPARATORS.iter().position(|&separator| separator == multi.separator));
        self.is_started = true;
        self.declared = Some(multi);
    }

    /// What the type of the column says.
    pub(super) fn declared(&self) -> Option<&MultiValued> {
        self.declared.as_ref()
    }

    /// Looks at a non-missing field; `before` counts the fields before it.
    pub(super) fn add(&mut self, field: &str, before: &ValueCounter, scratch: &mut Vec<u64>) {
        self.present += 1;
        self.texts += u64::from(number(field.trim()).is_none());
        if !self.is_started {
            if !field.contains(SEPARATORS) && !field.contains(WEIGHT) {
                return;
            }
            // Every field before this one was a single value.
            self.is_started = true;
            self.candidates.iter_mut().for_each(|candidate| candidate.all = before.clone());
        }
        match self.decided {
            None => SEPARATORS
                .into_iter()
                .zip(&mut self.candidates)
                .for_each(|(separator, c)| c.add(field, separator, scratch)),
            Some(Some(at)) => self.candidates[at].add(field, SEPARATORS[at], scratch),
            Some(None) => return,
        }
        if self.decided.is_none() && self.texts >= LOOKED_AT {
            let found = self.convincing(before.distinct().0);
            for (_, candidate) in self.candidates.iter_mut().enumerate().filter(|(at, _)| Some(*at) != found)
            {
                *candidate = Candidate::within(self.most);
            }
            self.decided = Some(found);
        }
    }

    fn convincing(&self, distinct: u64) -> Option<usize> {
        SEPARATORS
            .iter()
            .zip(&self.candidates)
            .position(|(&separator, c)| c.is_convincing(separator, self.texts, distinct))
    }

    /// Values of the separator found with no number behind the weight separator.
    pub(super) fn unweightable(&self, separator: char) -> u64 {
        SEPARATORS.iter().position(|&s| s == separator).map_or(0, |at| self.candidates[at].unweightable)
    }

    /// The separator of a multi-valued column with `distinct` different fields, and the facts about its
    /// values.
    pub(super) fn verdict(&self, distinct: u64) -> Option<(MultiValued, Tokens)> {
        let at = self.decided.unwrap_or_else(|| self.convincing(distinct))?;
        let (separator, found) = (SEPARATORS[at], &self.candidates[at]);
        let total = found.all.total();
        let weighted = found.weighted as f64 > 0.95 * total as f64;
        let readable = are_strays(found.unweightable, total);
        let (distinct, precision) = found.all.distinct();
        let tokens = Tokens {
            mean: total as f64 / self.present.max(1) as f64,
            distinct,
            precision,
            singleton_share: found.all.singleton_share(),
        };
        let found = MultiValued { separator, weight_separator: (weighted && readable).then_some(WEIGHT) };
        Some((self.declared.clone().unwrap_or(found), tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn verdict(fields: &[String]) -> Option<(MultiValued, Tokens)> {
        let mut stats = TokenStats::within(100_000);
        let mut before = ValueCounter::default();
        for field in fields {
            stats.add(field, &before, &mut Vec::new());
            before.add(xxh3_64(field.as_bytes()));
        }
        stats.verdict(fields.iter().collect::<HashSet<_>>().len() as u64)
    }

    fn lists(separator: &str, token: impl Fn(usize) -> String) -> Vec<String> {
        let list =
            |i: usize| (0..=i % 4).map(|k| token((i / 3 + 3 * k) % 11)).collect::<Vec<_>>().join(separator);
        (0..400).map(list).collect()
    }

    #[test]
    fn lists_are_recognised() {
        let genre = |i: usize| format!("Sci-Fi {i}");
        let (multi, tokens) = verdict(&lists("|", genre)).unwrap();
        assert_eq!((multi.separator, multi.weight_separator, tokens.distinct), ('|', None, 11));
        assert!((tokens.mean - 2.5).abs() < 1e-9);
        assert_eq!(verdict(&lists(";", genre)).unwrap().0.separator, ';');
        assert_eq!(verdict(&lists(",", |i| format!("tag{i}"))).unwrap().0.separator, ',');
        assert_eq!(verdict(&lists(" ", |i| format!("{i}"))).unwrap().0.separator, ' ');
        let (multi, tokens) = verdict(&lists("|", |i| format!("a{i}:0.{i}"))).unwrap();
        assert_eq!((multi.weight_separator, tokens.distinct), (Some(':'), 11));
        assert_eq!(verdict(&lists("|", |i| format!("a{i}:x"))).unwrap().0.weight_separator, None);
        let odd = [lists("|", |i| format!("a{i}:0.{i}")), vec!["a1:x|a2".to_owned()]].concat();
        assert_eq!(verdict(&odd).unwrap().0.weight_separator, Some(':'), "one mistake in a thousand");
    }

    #[test]
    fn what_the_type_says_needs_no_evidence() {
        let declared = |multi: MultiValued, fields: &[&str]| {
            let mut stats = TokenStats::within(100);
            stats.declare(multi);
            fields.iter().for_each(|field| stats.add(field, &ValueCounter::default(), &mut Vec::new()));
            stats.verdict(fields.len() as u64).unwrap()
        };
        let (multi, tokens) = declared(MultiValued::separated(), &["3", "a|b", "b"]);
        assert_eq!((multi, tokens.distinct), (MultiValued::separated(), 3));
        let (multi, tokens) = declared(MultiValued::weighted(), &["a:2", "b"]);
        assert_eq!((multi, tokens.distinct), (MultiValued::weighted(), 2));
    }

    #[test]
    fn values_alone_in_their_field_count_too() {
        // 7 stands alone only, before and after the first list.
        let fields = [
            vec!["7".to_owned(), "lonely".to_owned()],
            lists("|", |i| format!("g{i}")),
            vec!["7".to_owned()],
        ]
        .concat();
        let (_, tokens) = verdict(&fields).unwrap();
        assert_eq!(tokens.distinct, 13);
        assert!((tokens.mean - 1003.0 / 403.0).abs() < 1e-9);
    }

    #[test]
    fn prose_numbers_and_places_are_not_lists() {
        let column = |f: &dyn Fn(usize) -> String| verdict(&(0..400).map(f).collect::<Vec<_>>());
        let countries = ["United States", "New Zealand", "Spain", "South Africa", "United Kingdom"];
        assert_eq!(column(&|i| countries[i % 5].to_owned()), None);
        assert_eq!(column(&|i| format!("{},000,000 - 5,000,000", 1 + i % 5)), None);
        assert_eq!(column(&|i| format!("{},{}", i % 10, i % 7)), None);
        assert_eq!(column(&|i| format!("word{} and more words {}", i, i * 7)), None);
        assert_eq!(column(&|_| String::from("x")), None);
    }
}
