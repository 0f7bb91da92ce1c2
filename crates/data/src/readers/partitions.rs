//! Columns whose values stand in the names of directories: `dt=4/part-0.csv`, as Hive and Spark write tables.
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};
use crate::schema::MultiValued;
use std::path::{Component, Path};

/// What Hive writes for a missing value.
const MISSING: &str = "__HIVE_DEFAULT_PARTITION__";

/// The column and the value that the name of a directory gives.
pub(super) fn named(directory: &str) -> Option<(&str, &str)> {
    directory.split_once('=').filter(|(column, _)| !column.is_empty())
}

/// The rows of one file with the values of its directories behind their fields.
pub(super) struct Partitioned {
    rows: Box<dyn RowSource>,
    columns: Vec<String>,
    values: Vec<String>,
}

impl Partitioned {
    /// The rows of the file `path`, whose directories name these columns.
    ///
    /// # Errors
    /// If they do not, or if the file has such a column itself.
    pub(super) fn new(rows: Box<dyn RowSource>, path: &Path, columns: &[String]) -> Result<Self> {
        let what = || path.display().to_string();
        let mut values = Vec::new();
        for column in columns {
            if rows.columns().contains(column) {
                let expected = format!("column {} in the file or in the name of a directory", quoted(column));
                return Err(Error::input(what(), expected, "it in both")
                    .with_hint("name the files themselves to leave the directories out"));
            }
            let value = value(path, column).ok_or_else(|| {
                let expected = format!("a directory {column}=…, as the other files have it");
                Error::input(what(), expected, "none in its path")
            })?;
            values.push(value);
        }
        let columns = rows.columns().iter().chain(columns).cloned().collect();
        Ok(Partitioned { rows, columns, values })
    }
}

impl RowSource for Partitioned {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn lists(&self) -> Vec<(usize, MultiValued)> {
        self.rows.lists()
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        let more = self.rows.next_row(row)?;
        if more {
            self.values.iter().for_each(|value| row.extend(value));
        }
        Ok(more)
    }
}

/// The value of `column` in the names of the directories of `path`, of several the innermost.
fn value(path: &Path, column: &str) -> Option<String> {
    let names = path.parent()?.components().rev().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let of_column = |name| named(name).filter(|(own, _)| *own == column).map(|(_, value)| value);
    let value = names.filter_map(of_column).next()?;
    Some(if value == MISSING { String::new() } else { unescaped(value) })
}

/// `%3A` stands for a character that names of files cannot hold.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, others @ ..] = rest {
        let code = others.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_path() {
        let path =
            Path::new("/logs/dt=2024-01-01 10%3A00/country=__HIVE_DEFAULT_PARTITION__/a=b=c/part-0.csv");
        assert_eq!(value(path, "dt").as_deref(), Some("2024-01-01 10:00"));
        assert_eq!(value(path, "country").as_deref(), Some(""));
        assert_eq!(value(path, "a").as_deref(), Some("b=c"));
        assert_eq!(value(path, "part-0.csv"), None);
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%25"), "%zz%");
    }
}
