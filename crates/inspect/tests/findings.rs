//! `Inspection` on made data whose faults are known, and on clean data.
use dlrm_data::Stop;
use dlrm_data::dataset::Sources;
use dlrm_data::rng::Rng;
use dlrm_data::rows::OpenRows;
use dlrm_data::split::{Part, Split};
use dlrm_data::{RawRow, Result, RowSource};
use dlrm_inspect::findings::{Finding, FindingKind, Inspection, SampledRows, Severity};
use dlrm_inspect::profile::{Profile, ProfileOptions};
use dlrm_synth::{ClickConfig, ClickRows, ClickSimulator};
use std::ops::Range;

const RANDOM: Split = Split::Random { validation: 0.1, test: 0.1, seed: 0 };
const ORDER: Split = Split::Order { validation: 0.1, test: 0.1 };

/// Rows in memory.
#[derive(Clone)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    fn new(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Self {
        Rows { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: rows.collect() }
    }
}

struct Pass(Rows, usize);

impl RowSource for Pass {
    fn columns(&self) -> &[String] {
        &self.0.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        row.clear();
        let Some(fields) = self.0.rows.get(self.1) else { return Ok(false) };
        self.1 += 1;
        row.line = self.1 as u64;
        fields.iter().for_each(|field| row.push(field));
        Ok(true)
    }
}

impl OpenRows for Rows {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        Ok(Box::new(Pass(self.clone(), 0)))
    }

    fn name(&self) -> String {
        "made".into()
    }
}

/// A part of a simulated log.
struct Simulated(ClickSimulator, Range<u64>);

impl Simulated {
    fn rows(&self) -> ClickRows {
        self.0.rows(self.1.clone())
    }
}

impl OpenRows for Simulated {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        Ok(Box::new(self.rows()))
    }

    fn name(&self) -> String {
        "simulated".into()
    }
}

fn diagnose(main: &dyn OpenRows, test: Option<&dyn OpenRows>, split: &Split) -> Inspection {
    let mut source = main.open_rows().unwrap();
    let mut sampled = SampledRows::new(&mut *source);
    let profile = Profile::of(
        &mut sampled,
        &ProfileOptions { label: Some("click".into()), ..ProfileOptions::default() },
    )
    .unwrap();
    let sources =
        Sources { main, validation: None, test, split, max_bad_rows: 0, threads: 2, stop: Stop::never() };
    Inspection::of(&sources, &profile.schema().unwrap(), &profile, &sampled.into_sample()).unwrap()
}

fn of_kind(inspection: &Inspection, kind: FindingKind) -> Vec<&Finding> {
    inspection.findings.iter().filter(|finding| finding.kind == kind).collect()
}

/// Columns that know nothing of one another: a click, a group, a number and a moment.
const COLUMNS: [&str; 4] = ["click", "group", "price", "event_time"];

fn row(rng: &mut Rng, time: u64) -> Vec<String> {
    let (click, group, price) = (rng.below(4) == 0, rng.below(30), rng.normal());
    vec![
        u8::from(click).to_string(),
        format!("g{group}"),
        format!("{price:.4}"),
        (1_600_000_000 + time).to_string(),
    ]
}

fn rows(seed: u64, times: Range<u64>) -> Rows {
    let mut rng = Rng::new(seed, 0);
    Rows::new(&COLUMNS, times.map(|time| row(&mut rng, time)))
}

#[test]
fn clean_data_give_no_warning_whatever_the_seed() {
    for seed in 0..12 {
        for n in [1000, 6000, 30_000] {
            let simulator =
                ClickSimulator::new(ClickConfig { rows: n + 3000, seed, ..ClickConfig::default() });
            let (main, test) = (Simulated(simulator.clone(), 0..n), Simulated(simulator, n..n + 3000));
            for (test, split) in [(None, &RANDOM), (None, &ORDER), (Some(&test as &dyn OpenRows), &RANDOM)] {
                let found = diagnose(&main, test, split);
                // A thousand rows do not have every user; that is worth a note and no more.
                let told =
                    |f: &&Finding| n > 1000 || (f.severity, f.kind) != (Severity::Note, FindingKind::Unseen);
                let told: Vec<_> = found.findings.iter().filter(told).collect();
                assert!(told.is_empty(), "seed {seed}, {n} rows, {split:?}: {told:#?}");
            }
        }
    }
}

#[test]
fn the_forecast_is_what_encoding_gives() {
    let simulator = ClickSimulator::new(ClickConfig { rows: 5000, ..ClickConfig::default() });
    let main = Simulated(simulator, 0..5000);
    let found = diagnose(&main, None, &RANDOM);
    let schema = Profile::of(&mut main.rows(), &ProfileOptions::default()).unwrap().schema().unwrap();
    let fitted = Sources::of(&main, &RANDOM, 2).fit(&schema).unwrap();
    let made = fitted.encoder.layout();
    assert_eq!((&found.layout.features, &found.layout.tables), (&made.features, &made.tables), "to the row");
    // Of the bins of a number the most there can be are foretold.
    assert!(found.layout.dense.len() >= made.dense.len() && found.layout.dense.len() < made.dense.len() + 16);
    assert!(found.rows == fitted.rows && found.encoded_bytes >= fitted.encoded_bytes());
    let user = &found.tables[1];
    assert_eq!((user.column.as_str(), user.error, user.table_rows), ("user_id", 0.0, user.distinct + 2));
    assert!(user.top[0] < user.top[1] && user.top[1] < user.top[2] && user.top[2] < 1.0);
    assert!(
        found.comments().contains(&(Some("user_id".into()), format!("Table of {} rows", user.table_rows)))
    );
}

#[test]
fn rows_planted_in_the_test_file_are_found() {
    let main = rows(1, 0..8000);
    let mut test = rows(2, 8000..9000);
    test.rows[..100].clone_from_slice(&main.rows[4000..4100]);
    let split = Split::Random { validation: 0.0, test: 0.1, seed: 0 };
    let found = diagnose(&main, Some(&test), &split);
    assert_eq!(found.duplicates.shared_with_train[1], Some(0.1));
    let shared = of_kind(&found, FindingKind::SharedRows);
    assert!(
        shared.len() == 1
            && shared[0].severity == Severity::Critical
            && shared[0].found.starts_with("10.0 % of the test rows")
    );
    // The same rows with other labels are separate events, or mistakes.
    for (i, row) in test.rows[..100].iter_mut().enumerate() {
        let other = if row[0] == "1" { "0" } else { "1" };
        row[0] = if i % 2 == 0 { other.to_owned() } else { row[0].clone() };
    }
    let found = diagnose(&main, Some(&test), &split);
    assert_eq!(of_kind(&found, FindingKind::SharedRows)[0].severity, Severity::Warning);
    assert!(
        of_kind(&found, FindingKind::Contradictions)[0].found.starts_with("100 rows (50.0 %"),
        "{:#?}",
        found.findings
    );
}

#[test]
fn equal_rows_of_few_columns_are_no_copies() {
    for seed in 0..8 {
        let mut rng = Rng::new(seed, 0);
        let row = |_| {
            vec![
                u8::from(rng.below(3) == 0).to_string(),
                format!("a{}", rng.below(40)),
                format!("b{}", rng.below(25)),
            ]
        };
        let found = diagnose(&Rows::new(&["click", "site", "shop"], (0..5000).map(row)), None, &RANDOM);
        assert!(found.duplicates.share > 0.5 && found.findings.is_empty(), "{:#?}", found.findings);
    }
}

#[test]
fn repeated_rows_are_found_beside_an_identifier() {
    let mut all = rows(3, 0..4000).rows;
    all.extend_from_within(0..400);
    let with_id = all.into_iter().enumerate().map(|(i, row)| [row, vec![format!("request-{i}")]].concat());
    let main = Rows::new(&[&COLUMNS[..], &["request"]].concat(), with_id);
    let found = diagnose(&main, None, &RANDOM);
    assert_eq!((found.duplicates.repeated, found.duplicates.contradicting), (400, 0));
    assert_eq!(of_kind(&found, FindingKind::Duplicates)[0].severity, Severity::Warning);
}

#[test]
fn time_out_of_order_matters_to_a_split_by_order() {
    let sorted = rows(4, 0..6000);
    assert!(diagnose(&sorted, None, &ORDER).findings.is_empty());
    let by_time = diagnose(&sorted, None, &Split::Time { validation: 0.1, test: 0.1 });
    assert!(by_time.findings.is_empty() && by_time.rows[Part::Test].abs_diff(600) < 60, "{:?}", by_time.rows);
    let mut shuffled = sorted.clone();
    Rng::new(9, 9).shuffle(&mut shuffled.rows);
    let found = diagnose(&shuffled, None, &ORDER);
    let order = of_kind(&found, FindingKind::TimeOrder);
    assert!(
        order[0].severity == Severity::Critical && order[0].column.as_deref() == Some("event_time"),
        "{:#?}",
        found.findings
    );
    assert!(
        diagnose(&shuffled, None, &Split::Time { validation: 0.1, test: 0.1 }).findings.is_empty(),
        "a split by time sorts"
    );
    // Test rows from the middle of the training rows.
    let found = diagnose(&sorted, Some(&rows(5, 2000..3000)), &RANDOM);
    assert!(of_kind(&found, FindingKind::TimeOrder)[0].found.starts_with("in 58."), "{:#?}", found.findings);
    assert!(diagnose(&sorted, Some(&rows(5, 6000..7000)), &RANDOM).findings.is_empty());
}

#[test]
fn planted_drift_names_column_and_value() {
    let main = rows(6, 0..8000);
    let moved = |change: &dyn Fn(usize, &mut Vec<String>)| {
        let mut test = rows(7, 8000..10_000);
        test.rows.iter_mut().enumerate().for_each(|(i, row)| change(i, row));
        diagnose(&main, Some(&test), &RANDOM)
    };
    let columns =
        |found: &Inspection, kind| of_kind(found, kind).iter().map(|f| f.column.clone()).collect::<Vec<_>>();
    assert!(moved(&|_, _| ()).findings.is_empty());
    let dense = moved(&|i, row| row[2] = format!("{}.5", 1 + i % 3));
    assert_eq!(columns(&dense, FindingKind::Drift), [Some("price".to_owned())]);
    assert!(dense.drift[0].psi > 1.0 && dense.findings.len() == 1);
    let head = moved(&|i, row| row[1] = if i % 3 == 0 { "g7".into() } else { row[1].clone() });
    assert!(of_kind(&head, FindingKind::Drift)[0].found.contains("\"g7\""), "{:#?}", head.findings);
    let new = moved(&|i, row| row[1] = if i % 10 == 0 { format!("new{i}") } else { row[1].clone() });
    assert_eq!(columns(&new, FindingKind::Unseen), [Some("group".to_owned())]);
    assert!(
        new.findings
            .iter()
            .any(|f| f.found.starts_with("10.0 % of the values in test never occur in training"))
    );
    let label = moved(&|i, row| row[0] = if i % 5 == 0 { "1".into() } else { row[0].clone() });
    assert_eq!(of_kind(&label, FindingKind::LabelShift).len(), 1, "{:#?}", label.findings);
}

#[test]
fn a_leak_comes_first_and_rows_that_training_refuses_are_told() {
    let mut rng = Rng::new(8, 0);
    let leaky = Rows::new(
        &["click", "group", "price", "outcome"],
        (0..4000).map(|i| {
            let mut row = row(&mut rng, i);
            row[3] = format!("{}{}", if row[0] == "1" { "yes" } else { "no" }, i % 9);
            row
        }),
    );
    let mut test = leaky.clone();
    test.rows.truncate(200);
    test.rows[3][0] = "maybe".into();
    let found = diagnose(&leaky, Some(&test), &RANDOM);
    assert_eq!(
        (found.findings[0].kind, found.findings[0].column.as_deref()),
        (FindingKind::Leak, Some("outcome"))
    );
    let malformed = of_kind(&found, FindingKind::Malformed);
    assert!(
        malformed[0].found.contains("1 rows of the test input") && malformed[0].found.contains("\"maybe\""),
        "{malformed:#?}"
    );
    assert_eq!((found.malformed, found.rows[Part::Test]), (1, 199));
    let text = found.findings_text(100);
    assert!(
        text.contains("1. critical  outcome: alone it predicts")
            && text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn an_input_that_lacks_a_column_is_refused() {
    let main = rows(1, 0..500);
    let test = Rows::new(&["click", "group"], (0..50).map(|i| vec!["1".into(), format!("g{}", i % 5)]));
    let mut source = main.open_rows().unwrap();
    let mut sampled = SampledRows::new(&mut *source);
    let profile = Profile::of(
        &mut sampled,
        &ProfileOptions { label: Some("click".into()), ..ProfileOptions::default() },
    )
    .unwrap();
    let sources = Sources {
        main: &main,
        validation: None,
        test: Some(&test),
        split: &RANDOM,
        max_bad_rows: 0,
        threads: 2,
        stop: Stop::never(),
    };
    let error =
        Inspection::of(&sources, &profile.schema().unwrap(), &profile, &sampled.into_sample()).unwrap_err();
    assert!(error.to_string().contains("expected a column \"price\""), "{error}");
}
