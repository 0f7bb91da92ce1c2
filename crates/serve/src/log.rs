//! The log for training: what was asked, and what was answered, in Parquet files that `dlrm train` reads.
use crate::models::Loaded;
use dlrm_data::durable::AsideFile;
use dlrm_data::row::RawRow;
use dlrm_data::table::{Cell, Column, ColumnKind, TableFormat, TableWriter, writer};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Answers that may wait to be written; what comes beyond is counted, and not written.
const WAITING: usize = 4096;
/// Rows of a file.
const ROWS: u64 = 100_000;
/// Age of a file's first row when it is finished.
const AGE: Duration = Duration::from_secs(60);

/// Columns behind those of the model, whose names no column of a model should have.
const OWN: [(&str, ColumnKind); 6] = [
    ("dlrm_request", ColumnKind::Text),
    ("dlrm_time", ColumnKind::Integer),
    ("dlrm_model", ColumnKind::Text),
    ("dlrm_version", ColumnKind::Text),
    ("dlrm_prediction", ColumnKind::Double),
    ("dlrm_logit", ColumnKind::Float),
];

/// An answer.
pub(crate) struct Entry {
    pub(crate) model: Arc<Loaded>,
    /// What tells requests apart.
    pub(crate) request: String,
    pub(crate) rows: Vec<RawRow>,
    pub(crate) logits: Vec<f32>,
    pub(crate) predictions: Vec<f64>,
}

/// Writes answers on a thread of its own.
pub(crate) struct Log {
    entries: Option<SyncSender<(u64, Entry)>>,
    thread: Option<JoinHandle<()>>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It will be written.
    Taken,
    /// The disk is too slow.
    Lost,
}

impl Log {
    /// Writes to files in `dir`, which is made; `failed` is told what cannot be written.
    pub(crate) fn start(dir: PathBuf, failed: impl Fn(String) + Send + 'static) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let (entries, taken) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("log".into()).spawn(move || write(&dir, &taken, &failed))?;
        Ok(Log { entries: Some(entries), thread: Some(thread) })
    }

    /// Never waits.
    pub(crate) fn note(&self, entry: Entry) -> Noted {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(entries) = &self.entries else { return Noted::Lost };
        match entries.try_send((now.as_millis() as u64, entry)) {
            Ok(()) => Noted::Taken,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Noted::Lost,
        }
    }
}

impl Drop for Log {
    /// Finishes the files.
    fn drop(&mut self) {
        drop(self.entries.take());
        if let Some(thread) = self.thread.take() {
            // What it could not write it has told.
            let _ = thread.join();
        }
    }
}

/// A file in the making.
struct Open {
    columns: Vec<String>,
    table: Box<dyn TableWriter>,
    file: AsideFile,
    rows: u64,
    begun: Instant,
}

fn write(dir: &Path, entries: &Receiver<(u64, Entry)>, failed: &dyn Fn(String)) {
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    let mut number = 0;
    let told = |done: io::Result<()>| done.unwrap_or_else(|error| failed(error.to_string()));
    loop {
        let next = entries.recv_timeout(Duration::from_secs(1));
        let ended = matches!(next, Err(RecvTimeoutError::Disconnected));
        if let Ok((time, entry)) = next {
            number += 1;
            told(add(dir, &mut open, (time, number), &entry));
        }
        let is_full = |file: &Open| ended || file.rows >= ROWS || file.begun.elapsed() >= AGE;
        let full: Vec<String> =
            open.iter().filter(|(_, file)| is_full(file)).map(|(name, _)| name.clone()).collect();
        for name in full {
            if let Some(file) = open.remove(&name) {
                told(finish(file));
            }
        }
        if ended {
            return;
        }
    }
}

fn finish(mut open: Open) -> io::Result<()> {
    open.table.finish()?;
    drop(open.table);
    open.file.put().map_err(io::Error::other)
}

fn add(
    dir: &Path,
    open: &mut BTreeMap<String, Open>,
    (time, number): (u64, u64),
    entry: &Entry,
) -> io::Result<()> {
    let model = &entry.model;
    let columns = model.format.names();
    // A version that reads other columns has files of its own.
    if let Some(other) =
        open.get(&model.name).is_some_and(|file| file.columns != columns).then(|| open.remove(&model.name))
    {
        other.map(finish).transpose()?;
    }
    if !open.contains_key(&model.name) {
        let file = begin(&dir.join(&model.name), (time, number), &columns)?;
        open.insert(model.name.clone(), file);
    }
    let Some(file) = open.get_mut(&model.name) else { return Ok(()) };
    for (row, (&logit, &prediction)) in entry.rows.iter().zip(entry.logits.iter().zip(&entry.predictions)) {
        let mut cells: Vec<Cell<'_>> = row.fields().map(Cell::Text).collect();
        cells.extend([
            Cell::Text(&entry.request),
            Cell::Integer(time as i64),
            Cell::Text(&model.name),
            Cell::Text(&model.version),
            Cell::Double(prediction),
            Cell::Float(logit),
        ]);
        file.table.row(&cells)?;
        file.rows += 1;
    }
    Ok(())
}

fn begin(dir: &Path, (time, number): (u64, u64), names: &[String]) -> io::Result<Open> {
    fs::create_dir_all(dir)?;
    let path = dir.join(format!("{time}-{number}.parquet"));
    let file = AsideFile::create(&path).map_err(io::Error::other)?;
    let text = |name: &String| Column { name: name.clone(), kind: ColumnKind::Text };
    let own = OWN.map(|(name, kind)| Column { name: name.to_owned(), kind });
    let columns = names.iter().map(text).chain(own).collect();
    let out = OpenOptions::new().write(true).open(file.aside().unwrap_or(&path))?;
    let table = writer(TableFormat::Parquet, Box::new(out), columns)?;
    Ok(Open { columns: names.to_vec(), table, file, rows: 0, begun: Instant::now() })
}
