//! Filling a database file, in one transaction. Readers see the state before it until it is committed, and
//! are never locked out: a file that is there is written through a write-ahead log. A new file is written
//! aside and put in its place when it is whole.
use crate::error::{Error, Result};
use crate::sqlite_error;
use crate::sqlite_store::check_kind;
use crate::sqlite_tables::{DESCRIPTIONS, described, exists, is_empty, quoted};
use crate::store::{Table, TableName};
use crate::writer::{Observer, Writer};
use dlrm_data::durable::AsideFile;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// Memory for pages that are being written, in KiB.
const CACHE: i64 = 64 * 1024;

/// A database file that is being filled.
pub(crate) struct SqliteWriter {
    path: PathBuf,
    /// In a transaction from beginning to end.
    connection: Connection,
    /// A new file.
    aside: Option<AsideFile>,
    /// The table that is being filled, and how a row is put into it.
    table: &'static str,
    insert: String,
}

impl SqliteWriter {
    /// Begins to fill the file `path`, which need not be there.
    pub(crate) fn begin(path: &Path, observer: &mut dyn Observer) -> Result<Self> {
        let mut aside = None;
        if !path.exists() {
            let file = AsideFile::create(path)?;
            // Another process may have put it there since.
            aside = (!path.exists()).then_some(file);
        }
        let place = aside.as_ref().and_then(AsideFile::aside);
        place.iter().for_each(|place| observer.aside(place));
        if place.is_none() {
            check_kind(path)?;
        }
        let failed = sqlite_error::of("write", path);
        let connection = open(place.unwrap_or(path)).map_err(&failed)?;
        check_ours(&connection, path)?;
        let until = Instant::now() + PATIENCE;
        while let Err(error) = start(&connection, aside.is_some()) {
            // Not every step waits by itself for another process.
            if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || Instant::now() > until {
                return Err(failed(error));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(SqliteWriter { path: path.to_owned(), connection, aside, table: "", insert: String::new() })
    }

    /// Without its log a database is one file again, as it was. Where others read it at this moment the log
    /// stays, which does no harm.
    fn end_log(connection: &Connection) {
        let _ = connection.busy_timeout(Duration::ZERO);
        let _ = connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()));
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(sqlite_error::of("write", &self.path))
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// Refuses a database that others have made for something else.
fn check_ours(connection: &Connection, path: &Path) -> Result<()> {
    let failed = sqlite_error::of("read", path);
    if exists(connection, DESCRIPTIONS).map_err(&failed)? || is_empty(connection).map_err(&failed)? {
        return Ok(());
    }
    let hint = "name a new file: what others have made is not changed";
    let what = path.display().to_string();
    Err(Error::refused(what, "a database of features", "one with other tables", hint))
}

/// Begins a transaction that no other process writes beside.
fn start(connection: &Connection, is_new: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // A new file is nobody's until it is whole and on the disk, so it needs no log.
    let (journal, synchronous) = if is_new { ("off", "off") } else { ("wal", "full") };
    connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let columns = "side TEXT PRIMARY KEY, key TEXT, columns TEXT";
    connection.execute_batch(&format!("CREATE TABLE IF NOT EXISTS {DESCRIPTIONS} ({columns})"))
}

impl Writer for SqliteWriter {
    fn begin(&mut self, name: TableName, table: &Table) -> Result<()> {
        let failed = sqlite_error::of("write", &self.path);
        self.table = name.as_str();
        if exists(&self.connection, self.table).map_err(&failed)?
            && described(&self.connection, name, &self.path)?.is_none()
        {
            let what = format!("{}, table {}", self.path.display(), self.table);
            let hint = format!("if it may go, drop it first: DROP TABLE {}", self.table);
            return Err(Error::refused(what, "one that was loaded", "one that was made by hand", hint));
        }
        let (columns, keys) = match name {
            TableName::Seen => ("user TEXT, item TEXT".to_owned(), "PRIMARY KEY (user, item)".to_owned()),
            _ => {
                let all = std::iter::once(&table.key).chain(&table.columns);
                let columns: Vec<String> = all.map(|column| format!("{} TEXT", quoted(column))).collect();
                (columns.join(", "), format!("PRIMARY KEY ({})", quoted(&table.key)))
            }
        };
        let name = self.table;
        self.execute(&format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns}, {keys}) WITHOUT ROWID"
        ))?;
        let values = vec!["?"; table.columns.len() + 1].join(", ");
        self.insert = format!("INSERT OR REPLACE INTO {name} VALUES ({values})");
        let columns = serde_json::Value::from(table.columns.clone()).to_string();
        let sql = format!("INSERT OR REPLACE INTO {DESCRIPTIONS} VALUES (?1, ?2, ?3)");
        self.connection.execute(&sql, [name, &table.key, &columns]).map(drop).map_err(failed)
    }

    fn row(&mut self, fields: &[&str]) -> Result<()> {
        let statement = self.connection.prepare_cached(&self.insert);
        let done = statement.and_then(|mut insert| insert.execute(params_from_iter(fields)));
        done.map(drop).map_err(sqlite_error::of("write", &self.path))
    }

    fn end(&mut self) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", self.table);
        let count = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.map(|count| count as u64).map_err(sqlite_error::of("write", &self.path))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.execute("COMMIT")?;
        let SqliteWriter { path, connection, aside, .. } = *self;
        let Some(aside) = aside else {
            Self::end_log(&connection);
            return Ok(());
        };
        connection.close().map_err(|(_, error)| sqlite_error::of("write", &path)(error))?;
        Ok(aside.put()?)
    }

    fn abandon(self: Box<Self>) {
        // A file aside is removed when it is dropped.
        if self.aside.is_none() && self.execute("ROLLBACK").is_ok() {
            Self::end_log(&self.connection);
        }
    }
}
