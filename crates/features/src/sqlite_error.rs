//! What SQLite refuses, in our words.
use crate::error::Error;
use rusqlite::ErrorCode;
use std::path::Path;

/// An error of SQLite for use in `map_err`.
pub(crate) fn of(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> Error + use<> {
    let store = path.display().to_string();
    move |error| {
        let reason = error.to_string();
        let unavailable = |reason: String| Error::unavailable(action, &store, reason);
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => no_database(&store),
            Some(ErrorCode::DatabaseCorrupt) => Error::content(&store, "a whole database", reason),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                unavailable("another process is writing to it".into()).with_hint("wait for it")
            }
            Some(ErrorCode::DiskFull) => {
                unavailable("its disk is full".into()).with_hint("free some space, or choose another place")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => unavailable(reason)
                .with_hint("see who may write with `ls -ld`: to the file and its directory"),
            Some(ErrorCode::SystemIoFailure) => {
                unavailable(reason).with_hint("see whether its disk is full or damaged")
            }
            // An error in a statement: a table or a column is not there.
            Some(ErrorCode::Unknown) => Error::content(&store, "the tables of features", reason),
            _ => unavailable(reason),
        }
    }
}

/// The error of a file that is no database.
pub(crate) fn no_database(store: &str) -> Error {
    let hint = "name another file: what is not there is made";
    Error::refused(store, "an SQLite database or no file", "a file of another kind", hint)
}
