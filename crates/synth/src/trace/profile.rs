//! A trace's unique ids and the distribution of its stack distances; in three lines of text, as the reference
//! implementation of DLRM writes it.
use super::padding::Padding;
use super::stack::distances;
use dlrm_data::error::{Error, Position, Result, quoted};
use std::collections::{BTreeMap, HashSet};
use std::fmt::{Display, Write};
use std::str::FromStr;

/// What a trace is synthesised from.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The ids in the order of their first access.
    pub unique: Vec<u64>,
    /// Stack distances that occur, rising; 0 is a new id.
    pub distances: Vec<usize>,
    /// Probability of this distance or a smaller one.
    pub cumulative: Vec<f64>,
}

impl Profile {
    /// Of `trace`, which holds an id. With padding, new ids count as if they came once more for each access
    /// that an id has on average, so that a long trace of few ids finds them all soon.
    ///
    /// # Panics
    /// If the trace is empty.
    pub fn of(trace: &[u64], padding: Padding) -> Self {
        assert!(!trace.is_empty(), "a trace without an access");
        let mut seen = HashSet::new();
        let unique: Vec<u64> = trace.iter().copied().filter(|&id| seen.insert(id)).collect();
        let mut counts = BTreeMap::new();
        distances(trace).into_iter().for_each(|distance| *counts.entry(distance).or_insert(0) += 1);
        if padding == Padding::NewIds {
            let longest = counts.keys().next_back().copied().unwrap_or(0).max(1);
            *counts.entry(0).or_insert(0) += trace.len().div_ceil(longest);
        }
        Self::of_counts(unique, counts)
    }

    fn of_counts(unique: Vec<u64>, counts: BTreeMap<usize, usize>) -> Self {
        let all: usize = counts.values().sum();
        let mut so_far = 0;
        let cumulative = counts.values().map(|count| {
            so_far += count;
            so_far as f64 / all as f64
        });
        Profile { cumulative: cumulative.collect(), unique, distances: counts.into_keys().collect() }
    }

    /// The profile of the first `most` ids alone; longer distances are left out.
    #[must_use]
    pub fn bounded(mut self, most: usize) -> Self {
        self.unique.truncate(most.max(1));
        let kept = self.distances.partition_point(|&distance| distance <= self.unique.len()).max(1);
        self.distances.truncate(kept);
        self.cumulative.truncate(kept);
        let all = self.cumulative[kept - 1];
        self.cumulative.iter_mut().for_each(|p| *p /= all);
        self
    }

    /// Three lines: unique ids, distances, cumulative probabilities.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        line(&mut text, &self.unique);
        line(&mut text, &self.distances);
        line(&mut text, &self.cumulative);
        text
    }

    /// Reads three such lines. `name` is how messages call the text.
    ///
    /// # Errors
    /// Lines that are no profile.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let [unique, distances, cumulative] = lines[..] else {
            return Err(Error::input(
                name,
                "three lines: unique ids, stack distances, cumulative probabilities",
                lines.len().to_string(),
            ));
        };
        let unique: Vec<u64> = numbers(unique, name, 1, "an id")?;
        let distances: Vec<usize> = numbers(distances, name, 2, "a stack distance")?;
        let cumulative: Vec<f64> = numbers(cumulative, name, 3, "a probability")?;
        let fault = |expected: String, found: String| Err(Error::input(name, expected, found));
        if unique.iter().collect::<HashSet<_>>().len() != unique.len() {
            return fault("ids that differ in the first line".into(), "one twice".into());
        }
        if distances.len() != cumulative.len() {
            return fault(
                format!("{} probabilities, as many as distances", distances.len()),
                cumulative.len().to_string(),
            );
        }
        if !distances.is_sorted_by(|a, b| a < b) {
            return fault("distances that rise".into(), "others".into());
        }
        if let Some(longest) = distances.last().filter(|&&longest| longest > unique.len()) {
            return fault(
                format!("distances up to {}, the number of ids", unique.len()),
                longest.to_string(),
            );
        }
        let rise = cumulative.is_sorted() && cumulative.first().is_some_and(|&first| first > 0.0);
        if !rise || !cumulative.last().is_some_and(|last| (last - 1.0).abs() < 1e-6) {
            return fault("probabilities that rise to 1".into(), "others".into());
        }
        Ok(Profile { unique, distances, cumulative })
    }
}

fn line(text: &mut String, numbers: &[impl Display]) {
    for (i, number) in numbers.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{number}", if i > 0 { ", " } else { "" });
    }
    text.push('\n');
}

fn numbers<T: FromStr>(line: &str, name: &str, number: u64, expected: &str) -> Result<Vec<T>> {
    let words = line.split(',').map(str::trim).zip(1..);
    let parsed = words.map(|(word, column)| {
        let position =
            Position { file: name.to_owned(), line: number, column: Some((column, String::new())) };
        word.parse().map_err(|_| Error::row(position, expected, quoted(word)))
    });
    parsed.collect()
}
