//! One pass over the rows of all parts, read as training reads them.
use super::drift::Drift;
use super::finding::{Finding, FindingKind, Severity};
use super::labels::LabelSums;
use super::numbers::Numbers;
use super::rows::{self, RowHash, RowHashes};
use super::sample::RowSample;
use super::times::Clock;
use super::values::{self, Values};
use crate::profile::{Kind, Profile};
use dlrm_data::dataset::Sources;
use dlrm_data::error::{BadRow, Error, Result};
use dlrm_data::format::{count, percent};
use dlrm_data::parse::{Labels, ParsedRow, RowParser};
use dlrm_data::rows::{GoodRows, OpenRows};
use dlrm_data::schema::Schema;
use dlrm_data::split::{Assigner, Part, Parts, Split, Survey};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Values that are kept of all columns together.
const MOST_VALUES: usize = 4_500_000;
/// And at least of each.
const FEWEST_VALUES: usize = 1000;

/// Everything that is counted.
pub(super) struct Pass {
    pub rows: RowHashes,
    pub labels: Parts<LabelSums>,
    pub clock: Option<Clock>,
    pub numbers: Vec<Numbers>,
    pub values: Vec<Values>,
    /// Role, good rows, malformed rows and the first of these, of each input.
    inputs: Vec<(&'static str, u64, u64, Option<BadRow>)>,
    /// Columns that make a row, and which of them each categorical column is.
    hashed: Vec<String>,
    places: Vec<Option<usize>>,
    hashes: Vec<u64>,
    /// Probability that two rows agree in all of these, were they independent.
    pub agree: f64,
}

impl Pass {
    /// Reads everything.
    pub(super) fn over(
        sources: &Sources<'_>,
        schema: &Schema,
        profile: &Profile,
        sample: &RowSample,
    ) -> Result<Self> {
        sources.split.check()?;
        let inputs = inputs(sources);
        let columns: Vec<Vec<String>> = inputs
            .iter()
            .map(|(input, _)| Ok(input.open_rows()?.columns().to_vec()))
            .collect::<Result<_>>()?;
        let mut pass = Pass::new(schema, profile, sample, &columns, sources)?;
        for ((input, part), columns) in inputs.into_iter().zip(&columns) {
            let assigner = match part {
                Some(part) => Assigner::All(part),
                None => Assigner::new(sources.split, survey(sources, schema, profile, sample)?),
            };
            pass.read(sources, input, &schema_of(schema, columns), &assigner)?;
        }
        if pass.labels[Part::Train].rows == 0 {
            let bad = pass.inputs[0].3.as_ref().map_or("none after the split".to_owned(), |bad| {
                format!("none; the first malformed one: {bad}")
            });
            return Err(Error::input(sources.main.name(), "rows to train on", bad));
        }
        Ok(pass)
    }

    fn new(
        schema: &Schema,
        profile: &Profile,
        sample: &RowSample,
        columns: &[Vec<String>],
        sources: &Sources<'_>,
    ) -> Result<Self> {
        let is_input = |name: &str| schema.columns().skip(1).any(|column| column == name);
        let is_identifier =
            |name: &str| profile.columns.iter().any(|c| c.name == name && c.kind == Kind::Identifier);
        let hashed: Vec<String> = columns[0]
            .iter()
            .filter(|name| {
                **name != schema.label.column && columns.iter().all(|columns| columns.contains(name))
            })
            .filter(|name| is_input(name) || !is_identifier(name))
            .cloned()
            .collect();
        let (numbers, values) = sampled(schema, sample, &sources.main.name())?;
        let time = schema.time.as_deref().filter(|time| columns[0].iter().any(|name| name == time));
        Ok(Pass {
            rows: RowHashes::new(rows::MOST),
            labels: Parts::default(),
            clock: time.map(Clock::new),
            numbers,
            values,
            inputs: Vec::new(),
            places: schema
                .categorical
                .iter()
                .map(|c| hashed.iter().position(|name| *name == c.name && c.value_is_field()))
                .collect(),
            hashes: vec![0; hashed.len()],
            agree: agreement(sample, &hashed),
            hashed,
        })
    }

    /// Reads one input; malformed rows are counted.
    fn read(
        &mut self,
        sources: &Sources<'_>,
        input: &dyn OpenRows,
        schema: &Schema,
        assigner: &Assigner,
    ) -> Result<()> {
        let is_main = !matches!(assigner, Assigner::All(_));
        let labels = if schema.time.is_some() { Labels::WithTime } else { Labels::Required };
        let fold = match sources.split {
            Split::Column { column, .. } if is_main => Some(column.as_str()),
            _ => None,
        };
        let mut rows = GoodRows::open(input, schema, labels, u64::MAX)?.with_fold(fold)?;
        let fields: Vec<usize> = self
            .hashed
            .iter()
            .filter_map(|name| rows.columns().iter().position(|column| column == name))
            .collect();
        let mut number = 0;
        while rows.advance()? {
            let part = match assigner.part(number, rows.parsed().time, rows.fold()) {
                Part::Validation if is_main && sources.validation.is_some() => Part::Train,
                Part::Test if is_main && sources.test.is_some() => Part::Train,
                part => part,
            };
            number += 1;
            self.add(&rows, part, &fields);
            if let (Some(clock), true) = (&mut self.clock, schema.time.is_some()) {
                let time = rows.parsed().time;
                if is_main { clock.add_main(time, part, rows.raw()) } else { clock.add(time, part) }
            }
        }
        let role = match assigner {
            Assigner::All(Part::Test) => "test",
            Assigner::All(_) => "validation",
            _ => "main",
        };
        self.inputs.push((role, number, rows.bad_rows(), rows.bad().first().cloned()));
        Ok(())
    }

    fn add(&mut self, rows: &GoodRows, part: Part, fields: &[usize]) {
        let (raw, parsed) = (rows.raw(), rows.parsed());
        let mut row = RowHash::default();
        for (hash, &field) in self.hashes.iter_mut().zip(fields) {
            *hash = xxh3_64(raw.field(field).as_bytes());
            row.add(*hash);
        }
        self.rows.add(row.finish(), part, parsed.label);
        self.labels[part].add(parsed.label);
        for (numbers, &value) in self.numbers.iter_mut().zip(&parsed.dense) {
            numbers.add(value, part);
        }
        for (c, (values, place)) in self.values.iter_mut().zip(&self.places).enumerate() {
            let own = parsed.values(c);
            match place {
                Some(place) => own.iter().for_each(|_| values.add(self.hashes[*place], part)),
                None => {
                    own.iter().for_each(|value| values.add(xxh3_64(value.of(rows.text(c)).as_bytes()), part))
                }
            }
            values.end_row(own.len(), part);
        }
    }

    /// Every column beside the training rows, the largest index first.
    pub(super) fn drift(&self, schema: &Schema) -> Vec<Drift> {
        let mut out = Vec::new();
        for part in [Part::Validation, Part::Test] {
            // Later rows have other ages and other days of the week by nature.
            let dense = schema.dense.iter().zip(&self.numbers).filter(|(c, _)| c.age.is_none());
            out.extend(
                dense.filter_map(|(column, numbers)| numbers.cells().compare(&column.name, part, None)),
            );
            let categorical = schema.categorical.iter().zip(&self.values).filter(|(c, _)| c.time.is_none());
            out.extend(categorical.filter_map(|(column, values)| {
                values.cells().compare(&column.name, part, values.unseen(part))
            }));
        }
        out.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        out
    }

    /// Malformed rows of all inputs.
    pub(super) fn malformed(&self) -> u64 {
        self.inputs.iter().map(|(_, _, bad, _)| bad).sum()
    }

    /// What is worth saying of malformed rows; those that the profile has found are told already.
    pub(super) fn malformed_findings(&self, profile: &Profile) -> Vec<Finding> {
        let mut out = Vec::new();
        for (role, good, bad, first) in &self.inputs {
            let known = if *role == "main" { profile.bad_rows } else { 0 };
            let (Some(first), true) = (first, *bad > known) else { continue };
            let share = *bad as f64 / (bad + good) as f64;
            let found = format!(
                "{} rows of the {role} input ({}) are malformed for training, the first {first}",
                count(*bad),
                percent(share)
            );
            let severity = if share > 0.01 { Severity::Critical } else { Severity::Warning };
            let fix =
                first.hint.clone().unwrap_or_else(|| "mend them, or skip them with data.max_bad_rows".into());
            out.push(
                Finding::new(severity, FindingKind::Malformed, found)
                    .because("training ends at the first of them", fix)
                    .sized(share),
            );
        }
        out
    }
}

/// The inputs with the part of those that are one.
fn inputs<'s>(sources: &Sources<'s>) -> Vec<(&'s dyn OpenRows, Option<Part>)> {
    let mut all = vec![(sources.main, None)];
    all.extend(sources.validation.map(|input| (input, Some(Part::Validation))));
    all.extend(sources.test.map(|input| (input, Some(Part::Test))));
    all
}

/// The schema for an input that may lack the time.
fn schema_of(schema: &Schema, columns: &[String]) -> Schema {
    let time = schema.time.clone().filter(|time| columns.contains(time));
    Schema { time, ..schema.clone() }
}

/// What a split by order, files or time must know, without a pass of its own: times come from the sample.
fn survey(sources: &Sources<'_>, schema: &Schema, profile: &Profile, sample: &RowSample) -> Result<Survey> {
    let survey = Survey { rows: profile.rows, last_file: sample.before_last_file(), ..Survey::default() };
    let Split::Time { .. } = sources.split else { return Ok(survey) };
    if schema.time.is_none() {
        return Err(Error::input("split by time", "a column of moments without missing values", "none")
            .with_hint("split by order if the rows are in the order of time, or at random"));
    }
    let parser = RowParser::new(schema, sample.columns(), Labels::WithTime, &sources.main.name())?;
    let mut parsed = ParsedRow::default();
    let times: Vec<f64> = sample
        .rows()
        .iter()
        .filter_map(|row| parser.parse(row, &mut parsed).ok().map(|()| parsed.time))
        .collect();
    Ok(Survey { cut_times: sources.split.cut_times(&times), ..survey })
}

/// Probability that two rows of the sample agree in all of `columns`, were these independent.
fn agreement(sample: &RowSample, columns: &[String]) -> f64 {
    let pairs = |n: u64| n as f64 * (n as f64 - 1.0);
    let of = |name: &String| {
        let Some(index) = sample.columns().iter().position(|column| column == name) else { return 1.0 };
        let mut counts: HashMap<&str, u64> = HashMap::new();
        sample.rows().iter().for_each(|row| *counts.entry(row.field(index)).or_default() += 1);
        counts.values().map(|&n| pairs(n)).sum::<f64>() / pairs(sample.rows().len() as u64).max(1.0)
    };
    columns.iter().map(of).product()
}

/// Empty counts, laid out by a sample of rows.
fn sampled(schema: &Schema, sample: &RowSample, input: &str) -> Result<(Vec<Numbers>, Vec<Values>)> {
    let parser = RowParser::new(schema, sample.columns(), Labels::Ignored, input)?;
    let mut numbers: Vec<Vec<f64>> = vec![Vec::new(); schema.dense.len()];
    let mut values: Vec<HashMap<String, u64>> = vec![HashMap::new(); schema.categorical.len()];
    let mut parsed = ParsedRow::default();
    for row in sample.rows() {
        if parser.parse(row, &mut parsed).is_err() {
            continue;
        }
        for (all, &value) in numbers.iter_mut().zip(&parsed.dense) {
            all.extend(Some(value).filter(|value| !value.is_nan()));
        }
        for (c, all) in values.iter_mut().enumerate() {
            let text = parser.text(row, &parsed, c);
            for value in parsed.values(c) {
                match all.get_mut(value.of(text)) {
                    Some(count) => *count += 1,
                    None => drop(all.insert(value.of(text).to_owned(), 1)),
                }
            }
        }
    }
    let most = (MOST_VALUES / values.len().max(1)).clamp(FEWEST_VALUES, values::MOST);
    Ok((
        numbers.into_iter().map(Numbers::new).collect(),
        values.iter().map(|values| Values::new(values, most)).collect(),
    ))
}
