//! The log of requests: a line of JSON for each, written on a thread of its own. It holds no keys and no
//! values of rows: what was asked for, by which name, what became of it, and how long its parts took.
use crate::trace::{Noted, Stage};
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Takes whole lines, each with its end, several at a time.
pub type LineSink = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Lines that may wait to be written; what comes beyond is counted, and not written.
const WAITING: usize = 4096;
/// Bytes that are written at once.
const AT_ONCE: usize = 64 << 10;

/// A request that is over.
pub(crate) struct Entry {
    pub(crate) protocol: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) time: SystemTime,
    pub(crate) took: Duration,
    /// Of HTTP, or of gRPC; none where the client did not wait for it.
    pub(crate) status: Option<u16>,
    /// Why it was refused, if it was.
    pub(crate) code: Option<String>,
    pub(crate) noted: Noted,
}

/// An entry as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    protocol: &'static str,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// Milliseconds, of all and by stage.
    ms: Map<String, Value>,
}

/// Writes lines on a thread of its own.
pub(crate) struct RequestLog {
    entries: Option<SyncSender<Entry>>,
    thread: Option<JoinHandle<()>>,
    lost: Counter,
}

impl RequestLog {
    /// Writes to `sink`. `lost` counts what was not written, and `failed` is told why `sink` takes nothing,
    /// once until it does again.
    pub(crate) fn start(
        sink: LineSink,
        lost: Counter,
        failed: impl Fn(String) + Send + 'static,
    ) -> io::Result<Self> {
        let (entries, taken) = sync_channel(WAITING);
        let not_written = lost.clone();
        let write = move || write(&taken, &sink, &not_written, &failed);
        let thread = thread::Builder::new().name("request-log".into()).spawn(write)?;
        Ok(RequestLog { entries: Some(entries), thread: Some(thread), lost })
    }

    /// Never waits.
    pub(crate) fn note(&self, entry: Entry) {
        if self.entries.as_ref().is_none_or(|entries| entries.try_send(entry).is_err()) {
            self.lost.inc();
        }
    }
}

impl Drop for RequestLog {
    /// Writes what waits.
    fn drop(&mut self) {
        drop(self.entries.take());
        if let Some(thread) = self.thread.take() {
            // What it could not write it has told.
            let _ = thread.join();
        }
    }
}

fn write(entries: &Receiver<Entry>, sink: &LineSink, lost: &Counter, failed: &dyn Fn(String)) {
    let (mut text, mut was_well) = (String::new(), true);
    while let Ok(first) = entries.recv() {
        text.clear();
        let mut lines = 0;
        let mut next = Some(first);
        while let Some(entry) = next {
            line(&entry, &mut text);
            lines += 1;
            next = if text.len() < AT_ONCE { entries.try_recv().ok() } else { None };
        }
        match sink(&text) {
            Ok(()) => was_well = true,
            Err(error) => {
                lost.inc_by(lines);
                if std::mem::replace(&mut was_well, false) {
                    failed(format!("the log of requests: {error}"));
                }
            }
        }
    }
}

/// Appends the line of an entry.
fn line(entry: &Entry, text: &mut String) {
    let (noted, model) = (&entry.noted, entry.noted.model.as_ref());
    let ms = |time: Duration| Value::from((time.as_secs_f64() * 1e6).round() / 1e3);
    let stages = Stage::ALL.into_iter();
    let stages = stages.filter_map(|stage| Some((stage.name().to_owned(), ms(noted.time(stage)?))));
    let line = Line {
        time: timestamp(entry.time),
        request: noted.request.as_deref(),
        protocol: entry.protocol,
        method: &entry.method,
        path: &entry.path,
        model: model.map(|model| model.name.as_str()),
        version: model.map(|model| model.version.as_str()),
        rows: noted.rows,
        status: entry.status,
        code: entry.code.as_deref(),
        ms: std::iter::once(("total".to_owned(), ms(entry.took))).chain(stages).collect(),
    };
    text.push_str(&serde_json::to_string(&line).unwrap_or_default());
    text.push('\n');
}

/// A moment as RFC 3339 writes it, in UTC to the millisecond.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, ms) = (since.as_secs(), since.subsec_millis());
    let (mut day, of_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc;

    fn entry(path: &str) -> Entry {
        Entry {
            protocol: "http",
            method: "POST".into(),
            path: path.into(),
            time: UNIX_EPOCH,
            took: Duration::from_micros(1500),
            status: Some(200),
            code: None,
            noted: Noted::default(),
        }
    }

    #[test]
    fn moments_as_people_write_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_796_033_430_123, "2026-11-30T10:10:30.123Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_the_path() {
        let mut text = String::new();
        line(&entry("/a\"\n\u{7f}é"), &mut text);
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "/a\"\n\u{7f}é");
        assert_eq!(value["ms"], serde_json::json!({ "total": 1.5 }));
    }

    #[test]
    fn what_is_too_much_is_counted_and_nobody_waits() {
        let (lost, (go, gone)) = (Counter::default(), mpsc::channel::<()>());
        let (gone, told) = (Mutex::new(gone), Arc::new(Mutex::new(Vec::new())));
        let written = Arc::new(Mutex::new(0));
        let (count, errors) = (written.clone(), told.clone());
        // It takes nothing until it is told to, and the first time it fails.
        let sink: LineSink = Arc::new(move |lines: &str| {
            let _ = gone.lock().unwrap().recv();
            let mut count = count.lock().unwrap();
            *count += lines.lines().count();
            if *count < 10 { Err(io::Error::other("full")) } else { Ok(()) }
        });
        let log = RequestLog::start(sink, lost.clone(), move |error| errors.lock().unwrap().push(error));
        let log = log.unwrap();
        log.note(entry("/first"));
        for _ in 0..3 * WAITING {
            log.note(entry("/more"));
        }
        assert!(lost.get() >= 2 * WAITING as u64 - AT_ONCE as u64 / 50, "{}", lost.get());
        drop(go);
        drop(log);
        let failed = told.lock().unwrap().len();
        assert!(failed <= 1, "told once");
        let (all, seen) = (1 + 3 * WAITING as u64, *written.lock().unwrap() as u64);
        // What the sink has refused was seen by it and is lost.
        assert!(seen + lost.get() >= all && seen + lost.get() <= all + 10, "{seen} {}", lost.get());
    }
}
