//! The tables of a database file. `dlrm_features` says what they are; those that people have made by hand
//! speak for themselves, where they have a primary key of one column.
use crate::error::{Error, Result};
use crate::sqlite_error;
use crate::store::{Sides, Table, TableName};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// The table that says what the others are.
pub(crate) const DESCRIPTIONS: &str = "dlrm_features";

/// `name` as SQL names it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether there is a table or a view of this name.
pub(crate) fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = ?1";
    Ok(connection.query_row(sql, [name], |_| Ok(())).optional()?.is_some())
}

/// Whether there is no table at all.
pub(crate) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// What `dlrm_features` says of a table; `None` where it says nothing.
pub(crate) fn described(connection: &Connection, name: TableName, path: &Path) -> Result<Option<Table>> {
    let failed = sqlite_error::of("read", path);
    if !exists(connection, DESCRIPTIONS).map_err(&failed)? {
        return Ok(None);
    }
    let sql = format!("SELECT key, columns FROM {DESCRIPTIONS} WHERE side = ?1");
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let found = connection.query_row(&sql, [name.as_str()], row).optional().map_err(&failed)?;
    let Some((key, columns)) = found else { return Ok(None) };
    let columns = serde_json::from_str(&columns).map_err(|error| {
        let what = format!("{}, table {DESCRIPTIONS}, side '{}'", path.display(), name.as_str());
        Error::content(what, "columns as a JSON list of names", error.to_string())
    })?;
    Ok(Some(Table { key, columns }))
}

/// All that the database says of itself.
pub(crate) fn sides(connection: &Connection, path: &Path) -> Result<Sides> {
    let of = |name: TableName| match described(connection, name, path)? {
        Some(table) => Ok(Some(table)),
        None => by_hand(connection, name, path),
    };
    let seen = exists(connection, TableName::Seen.as_str()).map_err(sqlite_error::of("read", path))?;
    let sides = Sides { user: of(TableName::Users)?, item: of(TableName::Items)?, seen };
    if sides == Sides::default() {
        let hint = "fill it with `dlrm features load`";
        return Err(Error::refused(
            path.display().to_string(),
            "a table users, items or seen",
            "none of them",
            hint,
        ));
    }
    Ok(sides)
}

/// A table that nobody describes.
fn by_hand(connection: &Connection, name: TableName, path: &Path) -> Result<Option<Table>> {
    let failed = sqlite_error::of("read", path);
    if !exists(connection, name.as_str()).map_err(&failed)? {
        return Ok(None);
    }
    let sql = "SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = connection.prepare(sql).map_err(&failed)?;
    let rows =
        statement.query_map([name.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)));
    let columns: Vec<(String, u32)> = rows.and_then(Iterator::collect).map_err(&failed)?;
    let (keys, others): (Vec<_>, Vec<_>) = columns.into_iter().partition(|(_, place)| *place > 0);
    let columns = others.into_iter().map(|(name, _)| name).collect();
    match keys.into_iter().map(|(name, _)| name).collect::<Vec<_>>() {
        keys if keys.len() == 1 => Ok(keys.into_iter().next().map(|key| Table { key, columns })),
        keys => {
            let found =
                if keys.is_empty() { "none".into() } else { format!("one of {}", keys.join(" and ")) };
            let what = format!("{}, table {}", path.display(), name.as_str());
            let hint = format!(
                "make it anew with its key as PRIMARY KEY, or say what it is: INSERT INTO {DESCRIPTIONS} \
                 VALUES ('{}', KEY, COLUMNS)",
                name.as_str()
            );
            Err(Error::refused(what, "a primary key of one column", found, hint))
        }
    }
}
