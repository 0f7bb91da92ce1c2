//! What is wrong with a data set: leaks, rows in the wrong part, repetitions, drift; and what it will take to
//! train on it.
//!
//! Two passes: [`crate::profile::Profile`] over a [`SampledRows`] says what the columns are,
//! [`Inspection::of`] reads the rows of all parts as training will. Memory is bounded whatever the number of
//! rows: what is counted per value or per row is kept by hash, and beyond a limit for a uniform sample of the
//! hashes (`sketch`); the inspection says which share that was.
//!
//! | file | noun |
//! |---|---|
//! | `finding` | what was found, why it matters, what to do |
//! | `leaks` | columns that know the label; other warnings of the profile |
//! | `times` | the order of time |
//! | `rows` | repeated rows, shared rows, contradicting labels |
//! | `labels` | the label in each part |
//! | `drift`, `numbers`, `values` | columns in each part |
//! | `tables` | the tables that encoding will give |
//! | `pass` | one pass over all parts |
//! | `sample`, `sketch` | bounded memory |
//! | `text` | for a terminal |
mod drift;
mod finding;
mod labels;
mod leaks;
mod numbers;
mod pass;
mod rows;
mod sample;
mod sketch;
mod tables;
mod text;
mod times;
mod values;

pub use drift::{Change, Drift, LARGE, MODERATE, Unseen};
pub use finding::{Finding, FindingKind, Severity, sort};
pub use labels::LabelRate;
pub use rows::Duplicates;
pub use sample::{RowSample, SampledRows};
pub use tables::ColumnForecast;
pub use times::TimeOrder;

use crate::profile::Profile;
use dlrm_data::batch::Layout;
use dlrm_data::dataset::Sources;
use dlrm_data::error::Result;
use dlrm_data::schema::Schema;
use dlrm_data::split::{Part, Parts};
use serde::Serialize;
use std::collections::HashSet;

/// What was found in a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The most important first.
    pub findings: Vec<Finding>,
    /// Good rows of each part.
    pub rows: Parts<u64>,
    /// The label in each part.
    pub labels: Parts<Option<LabelRate>>,
    /// Rows that training will refuse.
    pub malformed: u64,
    /// Repeated rows.
    pub duplicates: Duplicates,
    /// The order of time, where the schema names a time column.
    pub time: Option<TimeOrder>,
    /// Every column in validation and test beside training, the largest index first.
    pub drift: Vec<Drift>,
    /// The tables of the categorical columns.
    pub tables: Vec<ColumnForecast>,
    /// Bytes of the encoded rows in memory.
    pub encoded_bytes: u64,
    /// The shape of the encoded rows.
    #[serde(skip)]
    pub layout: Layout,
}

impl Inspection {
    /// Reads every row of `sources` once, as training would by this schema; `profile` and `sample` come from
    /// a pass over the main input.
    ///
    /// # Errors
    /// If reading fails, an input lacks a column, or no row is left to train on.
    pub fn of(sources: &Sources<'_>, schema: &Schema, profile: &Profile, sample: &RowSample) -> Result<Self> {
        let seen = pass::Pass::over(sources, schema, profile, sample)?;
        let tables: Vec<ColumnForecast> = schema
            .categorical
            .iter()
            .zip(&seen.values)
            .map(|(column, values)| {
                tables::forecast(column, values, profile.columns.iter().find(|c| c.name == column.name))
            })
            .collect();
        let layout = tables::layout(schema, &tables);
        let parts = seen.labels.map(|sums| (sums.rows > 0).then(|| sums.rate(schema.label.task)));
        let rows = seen.labels.map(|sums| sums.rows);
        let ids: u64 = seen.values.iter().map(values::Values::ids).sum();
        let weighted = layout.features.iter().any(|feature| feature.weighted);
        let mut inspection = Inspection {
            findings: seen.malformed_findings(profile),
            rows,
            labels: parts,
            malformed: seen.malformed(),
            duplicates: seen.rows.finish(seen.agree),
            time: seen.clock.as_ref().map(times::Clock::finish),
            drift: seen.drift(schema),
            tables,
            // As of a fitted encoder.
            encoded_bytes: rows.values().sum::<u64>()
                * 4
                * (layout.dense.len() + layout.features.len() + 1) as u64
                + ids * if weighted { 8 } else { 4 },
            layout,
        };
        inspection.find(sources, schema, profile, &seen);
        Ok(inspection)
    }

    fn find(&mut self, sources: &Sources<'_>, schema: &Schema, profile: &Profile, seen: &pass::Pass) {
        let encoding = |name: &str| {
            schema.categorical.iter().find(|column| column.name == name).map(|column| &column.encoding)
        };
        let mut findings = std::mem::take(&mut self.findings);
        findings.extend(leaks::leaks(profile, schema));
        findings.extend(leaks::columns(profile, schema));
        let own_files = sources.test.is_some() || sources.validation.is_some();
        let test_rows = if own_files { times::TestRows::OwnFiles } else { times::TestRows::Split };
        findings.extend(self.time.iter().flat_map(|time| time.findings(sources.split, test_rows)));
        findings.extend(self.duplicates.findings());
        let mut told = Vec::new();
        for (part, name) in [(Part::Test, "test"), (Part::Validation, "validation")] {
            told.extend(labels::shift(
                &seen.labels[Part::Train],
                &seen.labels[part],
                name,
                schema.label.task,
            ));
            told.extend(
                self.drift
                    .iter()
                    .filter(|d| d.part == part)
                    .flat_map(|drift| drift.findings(encoding(&drift.column))),
            );
        }
        // What is true of the test rows need not be said of the validation rows again.
        let mut seen_before = HashSet::new();
        told.retain(|finding| seen_before.insert((finding.kind, finding.column.clone())));
        findings.extend(told);
        sort(&mut findings);
        self.findings = findings;
    }

    /// Adds a finding at its place.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
        sort(&mut self.findings);
    }

    /// What people who edit the schema should know, by column.
    pub fn comments(&self) -> Vec<(Option<String>, String)> {
        let table = |forecast: &ColumnForecast| {
            let about = if forecast.error > 0.0 { "about " } else { "" };
            let rows = dlrm_data::format::count(forecast.table_rows);
            (Some(forecast.column.clone()), format!("Table of {about}{rows} rows"))
        };
        // The profile's own warnings stand in the schema already.
        let known = [FindingKind::Leak, FindingKind::Label, FindingKind::Column];
        let findings = self.findings.iter().filter(|finding| !known.contains(&finding.kind));
        let finding =
            |f: &Finding| (f.column.clone(), format!("{}: {}", capital(f.severity.title()), f.found));
        self.tables.iter().map(table).chain(findings.map(finding)).collect()
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
