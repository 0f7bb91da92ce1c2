//! Features in a database file: nothing to run beside the server. Connections only read; each thread that
//! asks has one for itself, and one look-up sees one state of the file.
use crate::error::{Error, Result};
use crate::sqlite_error;
use crate::sqlite_tables::{exists, quoted, sides};
use crate::store::{Asked, Side, Sides, Store, TableName};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OpenFlags};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first bytes of every database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// How long opening and counting wait for a process that writes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest deadline.
const LONGEST: Duration = Duration::from_secs(3600);

/// A database file that is read.
pub(crate) struct SqliteStore {
    path: PathBuf,
    name: String,
    sides: Sides,
    /// How a row of each side is selected: the key, then the columns.
    users: Option<String>,
    items: Option<String>,
    idle: Mutex<Vec<Idle>>,
}

/// A connection that nobody uses at this moment, to the file that the path named when it was made.
struct Idle {
    connection: Connection,
    file: FileId,
}

const SEEN: &str = "SELECT item FROM seen WHERE user = ?1 ORDER BY item";

impl SqliteStore {
    /// Opens the file `path`, which is there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let (name, failed) = (path.display().to_string(), sqlite_error::of("open", path));
        check_kind(path)?;
        let connection = connect(path).map_err(&failed)?;
        connection.busy_timeout(PATIENCE).map_err(&failed)?;
        let sides = sides(&connection, path)?;
        let statement = |side: Side| {
            let table = sides.of(side)?;
            let columns: Vec<String> =
                std::iter::once(&table.key).chain(&table.columns).map(|column| quoted(column)).collect();
            let (columns, key) = (columns.join(", "), quoted(&table.key));
            Some(format!("SELECT {columns} FROM {} WHERE {key} = ?1", TableName::from(side).as_str()))
        };
        let (users, items) = (statement(Side::User), statement(Side::Item));
        // Columns that are not there come to light now and not with the first request.
        for sql in [users.as_deref(), items.as_deref(), sides.seen.then_some(SEEN)].into_iter().flatten() {
            drop(connection.prepare_cached(sql).map_err(&failed)?);
        }
        Ok(SqliteStore { path: path.to_owned(), name, sides, users, items, idle: Mutex::new(Vec::new()) })
    }

    /// Asks within `patience`. A connection that has failed is not used again.
    fn ask<T>(&self, patience: Duration, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let failed = sqlite_error::of("read", &self.path);
        let file = file_id(&self.path);
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // Another file may have taken the place of the one that they read.
            idle.retain(|idle| idle.file == file);
            idle.pop()
        };
        let connection = match idle {
            Some(idle) => idle.connection,
            None => connect(&self.path).map_err(&failed)?,
        };
        connection.busy_timeout(patience).map_err(&failed)?;
        let answer = {
            // What is not committed is rolled back, which for a reader is the same.
            let state = connection.unchecked_transaction().map_err(&failed)?;
            work(&state)?
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { connection, file });
        Ok(answer)
    }

    /// The rows of `asked`, in their order, until `end`.
    fn rows_of(
        &self,
        connection: &Connection,
        asked: &[Asked<'_>],
        end: (Instant, Duration),
    ) -> Result<Vec<Option<Vec<String>>>> {
        let failed = sqlite_error::of("read", &self.path);
        let prepared = |sql: &Option<String>| {
            sql.as_ref().map(|sql| connection.prepare_cached(sql).map_err(&failed)).transpose()
        };
        let (mut users, mut items) = (prepared(&self.users)?, prepared(&self.items)?);
        let mut found = Vec::with_capacity(asked.len());
        for asked in asked {
            self.in_time(end)?;
            let statement = match asked.side {
                Side::User => users.as_mut(),
                Side::Item => items.as_mut(),
            };
            found.push(statement.map(|statement| self.row(statement, *asked)).transpose()?.flatten());
        }
        Ok(found)
    }

    fn row(&self, statement: &mut CachedStatement<'_>, asked: Asked<'_>) -> Result<Option<Vec<String>>> {
        let failed = sqlite_error::of("read", &self.path);
        let columns = statement.column_count();
        let mut rows = statement.query([asked.key]).map_err(&failed)?;
        let Some(row) = rows.next().map_err(&failed)? else { return Ok(None) };
        let text = |column: usize| {
            text(row.get_ref(column).map_err(&failed)?).ok_or_else(|| {
                let table = TableName::from(asked.side).as_str();
                let what = format!("{}, table {table}, key \"{}\"", self.name, asked.key);
                Error::content(what, "text in UTF-8", "other bytes")
            })
        };
        // A number as key equals other texts too, such as one with a zero before it.
        if text(0)? != asked.key {
            return Ok(None);
        }
        (1..columns).map(text).collect::<Result<_>>().map(Some)
    }

    fn in_time(&self, (end, deadline): (Instant, Duration)) -> Result<()> {
        if Instant::now() < end {
            return Ok(());
        }
        let reason = format!("no answer within {} ms", deadline.as_millis());
        Err(Error::unavailable("read", &self.name, reason))
    }
}

impl Store for SqliteStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn sides(&self) -> &Sides {
        &self.sides
    }

    fn look_up(&self, asked: &[Asked<'_>], deadline: Duration) -> Result<Vec<Option<Vec<String>>>> {
        let deadline = deadline.min(LONGEST);
        let end = (Instant::now() + deadline, deadline);
        self.ask(deadline, |connection| self.rows_of(connection, asked, end))
    }

    fn seen(&self, user: &str, deadline: Duration) -> Result<Vec<String>> {
        if !self.sides.seen {
            return Ok(Vec::new());
        }
        let failed = sqlite_error::of("read", &self.path);
        self.ask(deadline.min(LONGEST), |connection| {
            let mut statement = connection.prepare_cached(SEEN).map_err(&failed)?;
            let rows = statement.query_map([user], |row| Ok(text(row.get_ref(0)?)));
            let items: Vec<Option<String>> = rows.and_then(Iterator::collect).map_err(&failed)?;
            items.into_iter().collect::<Option<_>>().ok_or_else(|| {
                let what = format!("{}, table seen, user \"{user}\"", self.name);
                Error::content(what, "text in UTF-8", "other bytes")
            })
        })
    }

    fn rows(&self) -> Result<Vec<(TableName, u64)>> {
        let failed = sqlite_error::of("read", &self.path);
        self.ask(PATIENCE, |connection| {
            let mut counts = Vec::new();
            for name in TableName::ALL {
                if exists(connection, name.as_str()).map_err(&failed)? {
                    let sql = format!("SELECT count(*) FROM {}", name.as_str());
                    let count: i64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(&failed)?;
                    counts.push((name, count as u64));
                }
            }
            Ok(counts)
        })
    }
}

/// Refuses what is no database, and says of a file that is not there which one may have been meant.
pub(crate) fn check_kind(path: &Path) -> Result<()> {
    let file = fs::File::open(path).map_err(dlrm_data::Error::io("open", path))?;
    let mut begin = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut begin).map_err(dlrm_data::Error::io("read", path))?;
    // A file without a byte is a database without a table.
    if begin.is_empty() || begin == MAGIC {
        return Ok(());
    }
    Err(sqlite_error::no_database(&path.display().to_string()))
}

/// What tells a file from one that takes its name; `None` where there is none.
type FileId = Option<(u64, u64)>;

#[cfg(unix)]
fn file_id(path: &Path) -> FileId {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn file_id(_: &Path) -> FileId {
    Some((0, 0))
}

/// A connection that changes nothing. It may write where the system lets it, for a process that was killed
/// while it loaded has left a journal to roll back.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A value as text: integers plain, other numbers as short as they can be read back, nothing as an empty
/// text; `None` for bytes that are no text.
fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => Some(String::new()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(format!("{number:?}")),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8(bytes.to_vec()).ok(),
    }
}
