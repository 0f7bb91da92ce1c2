//! A simulated click log as files, with the true probability of every row beside.
//!
//! Rows are made in parallel, chunk by chunk, and written in order: neither the number of threads nor chance
//! decides a byte.
use super::bayes::Bayes;
use super::parquet_rows::ParquetRows;
use super::process::DataGeneratingProcess;
use dlrm_data::durable::{AsideFile, WholeFile};
use dlrm_data::error::{Error, Result};
use dlrm_data::row::RawRow;
use dlrm_data::threads::spawn_scoped;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Fields between tabs, no header.
    Criteo,
    /// Fields between commas, with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Into how many files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// One for all rows.
    One,
    /// One for each day.
    PerDay,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// Files of rows in order.
    pub files: Vec<WrittenFile>,
    /// Best possible scores over all rows.
    pub all: Bayes,
    /// Best possible scores over the rows of each day.
    pub days: Vec<Bayes>,
    /// Those of the last day.
    pub last_day: Bayes,
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenFile {
    /// Name in the directory.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// Rows that a thread makes at once; of Parquet, the rows of a group.
const CHUNK: u64 = 1 << 13;
const GROUP: u64 = 1 << 16;

/// The file of true probabilities, a column of numbers with a header; in a directory of its own, for it is no
/// input.
pub const PROBABILITIES: &str = "truth/probabilities.csv";
const TRUTH: &str = "truth";

/// Some rows, ready to be written.
struct Chunk {
    rows: Rows,
    probabilities: Vec<f64>,
}

enum Rows {
    Text(Vec<u8>),
    Columns(ParquetRows),
}

/// Writes the whole log into the directory `dir`, which exists. `go_on` is told the number of rows after each
/// chunk and may refuse the next one.
///
/// # Errors
/// If the file cannot be written: free some space or choose another place. `None` if `go_on` refused. What
/// is not finished is removed.
pub fn write_log(
    process: &dyn DataGeneratingProcess,
    form: Form,
    files: Files,
    dir: &Path,
    threads: usize,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Written>> {
    // They are put in place together, at the end.
    let (mut whole, mut truth) = (Vec::new(), Vec::new());
    fs::create_dir_all(dir.join(TRUTH)).map_err(Error::io("create", &dir.join(TRUTH)))?;
    let mut probabilities = create(&dir.join(PROBABILITIES))?;
    let at = |name: &str| dir.join(name);
    writeln!(probabilities, "probability").map_err(Error::io("write", &at(PROBABILITIES)))?;
    let mut written = Vec::new();
    for (name, range) in parts(process, form, files) {
        let path = at(&name);
        let rows = range.end - range.start;
        let mut out = Out::new(process, form, &path)?;
        let is_whole = chunks(process, form, range, threads, &mut |chunk| {
            out.push(&chunk.rows, &path)?;
            for &p in &chunk.probabilities {
                writeln!(probabilities, "{}", p as f32).map_err(Error::io("write", &at(PROBABILITIES)))?;
            }
            truth.extend_from_slice(&chunk.probabilities);
            Ok(go_on(truth.len() as u64))
        })?;
        if !is_whole {
            return Ok(None);
        }
        // Closed: a log has more days than a process may have files. The probabilities, begun first and
        // closed last, keep other processes away.
        let file = out.finish(&path)?.finish()?;
        written.push(WrittenFile { name, rows, bytes: file.bytes()? });
        whole.push(file);
    }
    let probabilities = finished(probabilities, &at(PROBABILITIES))?;
    whole.into_iter().try_for_each(WholeFile::put)?;
    probabilities.put()?;
    let day = |(_, rows): (String, Range<u64>)| Bayes::of(&truth[rows.start as usize..rows.end as usize]);
    let days: Vec<Bayes> = parts(process, form, Files::PerDay).into_iter().map(day).collect();
    let last_day = days.last().copied().unwrap_or(Bayes::of(&[]));
    Ok(Some(Written { files: written, all: Bayes::of(&truth), days, last_day }))
}

/// Names of the files that [`write_log`] writes.
pub fn names(process: &dyn DataGeneratingProcess, form: Form, files: Files) -> Vec<String> {
    let rows = parts(process, form, files).into_iter().map(|(name, _)| name);
    rows.chain([PROBABILITIES.to_owned()]).collect()
}

/// Names of the files and their rows.
fn parts(process: &dyn DataGeneratingProcess, form: Form, files: Files) -> Vec<(String, Range<u64>)> {
    let extension = match form {
        Form::Criteo => "tsv",
        Form::Csv => "csv",
        Form::Parquet => "parquet",
    };
    let mut parts: Vec<(String, Range<u64>)> = Vec::new();
    match files {
        Files::One => parts.push((format!("clicks.{extension}"), 0..process.rows())),
        Files::PerDay => {
            let mut start = 0;
            while start < process.rows() {
                // Days never fall, so the end of this one is found by bisection.
                let (day, mut low, mut high) = (process.day(start), start, process.rows());
                while low + 1 < high {
                    let middle = low + (high - low) / 2;
                    if process.day(middle) == day { low = middle } else { high = middle }
                }
                parts.push((format!("day_{day:02}.{extension}"), start..high));
                start = high;
            }
        }
    }
    parts
}

/// Makes the rows of `range` on `threads` threads and hands them over in order, until `each` says `false`.
fn chunks(
    process: &dyn DataGeneratingProcess,
    form: Form,
    range: Range<u64>,
    threads: usize,
    each: &mut dyn FnMut(Chunk) -> Result<bool>,
) -> Result<bool> {
    let size = if form == Form::Parquet { GROUP } else { CHUNK };
    let count = (range.end - range.start).div_ceil(size);
    let of = |c: u64| range.start + c * size..range.end.min(range.start + (c + 1) * size);
    std::thread::scope(|scope| {
        // Thread t makes chunks t, t + T, …: taking turns among the channels restores the order.
        let threads = threads.max(1);
        let made: Vec<_> = (0..threads as u64)
            .map(|t| {
                let (send, receive) = sync_channel(1);
                let of = &of;
                let work = move || {
                    for c in (t..count).step_by(threads) {
                        // Nobody listens after a failure.
                        if send.send(make(process, form, of(c))).is_err() {
                            return;
                        }
                    }
                };
                spawn_scoped(scope, work).map(|_| receive)
            })
            .collect::<Result<_>>()?;
        for c in 0..count {
            let Ok(chunk) = made[c as usize % threads].recv() else { return Ok(false) };
            if !each(chunk)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn make(process: &dyn DataGeneratingProcess, form: Form, range: Range<u64>) -> Chunk {
    let separator = if form == Form::Criteo { b'\t' } else { b',' };
    let mut rows = match form {
        Form::Parquet => Rows::Columns(ParquetRows::new(process)),
        _ => Rows::Text(Vec::with_capacity(CHUNK as usize * 256)),
    };
    let (mut row, mut probabilities) =
        (RawRow::default(), Vec::with_capacity((range.end - range.start) as usize));
    for r in range {
        row.clear();
        probabilities.push(process.row(r, &mut row));
        match &mut rows {
            Rows::Columns(columns) => columns.push(&row),
            Rows::Text(text) => {
                for (i, field) in row.fields().enumerate() {
                    if i > 0 {
                        text.push(separator);
                    }
                    text.extend_from_slice(field.as_bytes());
                }
                text.push(b'\n');
            }
        }
    }
    Chunk { rows, probabilities }
}

/// A file of rows being written.
enum Out {
    Text(BufWriter<AsideFile>),
    Parquet(super::parquet_rows::Writer),
}

impl Out {
    fn new(process: &dyn DataGeneratingProcess, form: Form, path: &Path) -> Result<Self> {
        Ok(match form {
            Form::Parquet => Out::Parquet(super::parquet_rows::Writer::new(process, path)?),
            Form::Criteo => Out::Text(create(path)?),
            Form::Csv => {
                let mut out = create(path)?;
                writeln!(out, "{}", process.columns().join(",")).map_err(Error::io("write", path))?;
                Out::Text(out)
            }
        })
    }

    fn push(&mut self, rows: &Rows, path: &Path) -> Result<()> {
        match (self, rows) {
            (Out::Text(out), Rows::Text(text)) => out.write_all(text).map_err(Error::io("write", path)),
            (Out::Parquet(out), Rows::Columns(columns)) => out.push(columns, path),
            _ => unreachable!("rows are made in the form of their file"),
        }
    }

    /// The finished file, not yet in its place.
    fn finish(self, path: &Path) -> Result<AsideFile> {
        match self {
            Out::Text(out) => finished(out, path),
            Out::Parquet(out) => out.finish(path),
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<AsideFile>> {
    Ok(BufWriter::with_capacity(1 << 20, AsideFile::create(path)?))
}

/// The file with all that was written to it.
fn finished(out: BufWriter<AsideFile>, path: &Path) -> Result<AsideFile> {
    out.into_inner().map_err(|error| Error::io("write", path)(error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::criteo::{CriteoConfig, CriteoProcess};
    use dlrm_data::readers::Input;
    use std::collections::BTreeMap;

    fn files(form: Form, files: Files, threads: usize) -> (Written, BTreeMap<String, Vec<u8>>) {
        let dir = tempfile::tempdir().expect("a directory");
        let process = CriteoProcess::new(CriteoConfig { rows: 20_000, days: 3, ..CriteoConfig::default() })
            .expect(
                "a \
                law",
            );
        let written = write_log(&process, form, files, dir.path(), threads, &mut |_| true)
            .expect("written")
            .expect("finished");
        let names = written.files.iter().map(|file| file.name.clone()).chain([PROBABILITIES.to_owned()]);
        (
            written.clone(),
            names.map(|name| (name.clone(), fs::read(dir.path().join(name)).expect("read"))).collect(),
        )
    }

    #[test]
    fn threads_and_days_decide_no_byte() {
        let (written, one) = files(Form::Criteo, Files::One, 1);
        let (again, three) = files(Form::Criteo, Files::One, 3);
        assert_eq!((&written, &one), (&again, &three));
        let (_, days) = files(Form::Criteo, Files::PerDay, 2);
        assert_eq!(
            days.keys().map(String::as_str).collect::<Vec<_>>(),
            ["day_00.tsv", "day_01.tsv", "day_02.tsv", PROBABILITIES]
        );
        assert_eq!(
            [&days["day_00.tsv"][..], &days["day_01.tsv"], &days["day_02.tsv"]].concat(),
            one["clicks.tsv"]
        );
        assert_eq!(days[PROBABILITIES].iter().filter(|&&byte| byte == b'\n').count(), 20_001);
    }

    #[test]
    fn forms_hold_the_same_rows() {
        let dir = tempfile::tempdir().expect("a directory");
        let process = CriteoProcess::new(CriteoConfig { rows: 70_000, ..CriteoConfig::default() }).expect(
            "a \
            law",
        );
        let read = |form, name: &str| {
            write_log(&process, form, Files::One, dir.path(), 2, &mut |_| true)
                .expect("written")
                .expect("finished");
            let mut source = Input::new([dir.path().join(name)]).open().expect("opened");
            let (mut row, mut rows, mut hash) = (RawRow::default(), 0, 0);
            while source.next_row(&mut row).expect("a row") {
                rows += 1;
                let text = row.fields().collect::<Vec<_>>().join(",");
                hash = xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), hash);
            }
            (rows, hash, source.columns().to_vec())
        };
        let criteo = read(Form::Criteo, "clicks.tsv");
        assert_eq!((criteo.0, &criteo), (70_000, &read(Form::Csv, "clicks.csv")));
        assert_eq!(criteo, read(Form::Parquet, "clicks.parquet"));
    }

    /// What is written stands aside under a name that is nobody else's.
    #[test]
    fn files_of_other_names_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = dir.path().join("clicks.csv.partial");
        fs::write(&own, "of a person").expect("written");
        let process = CriteoProcess::new(CriteoConfig::default()).expect("a law");
        let stopped = write_log(&process, Form::Csv, Files::One, dir.path(), 2, &mut |_| false);
        assert_eq!(stopped.expect("no failure"), None);
        assert_eq!(fs::read_to_string(&own).expect("there"), "of a person");
    }

    #[test]
    fn what_is_stopped_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let process = CriteoProcess::new(CriteoConfig { rows: 50_000, ..CriteoConfig::default() }).expect(
            "a \
            law",
        );
        let stopped = write_log(&process, Form::Csv, Files::One, dir.path(), 2, &mut |rows| rows < 20_000)
            .expect("no failure");
        assert_eq!(stopped, None);
        let files = |dir: &Path| {
            fs::read_dir(dir)
                .expect("listed")
                .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file()))
                .count()
        };
        assert_eq!((files(dir.path()), files(&dir.path().join(TRUTH))), (0, 0));
    }
}
