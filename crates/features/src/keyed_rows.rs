//! Rows of an input by their keys, malformed ones skipped within a limit.
use dlrm_data::error::{BadRow, nearest};
use dlrm_data::rows::{OpenRows, Skipped};
use dlrm_data::{Error, Hint, RawRow, Result, RowSource};

/// Some columns of the rows of an input, the keys first.
pub(crate) struct KeyedRows {
    /// How messages call the input.
    input: String,
    source: Box<dyn RowSource>,
    row: RawRow,
    /// Names of the columns that are taken.
    names: Vec<String>,
    /// Their places among the fields of a row.
    places: Vec<usize>,
    /// How many of them are keys, which no row may lack.
    keys: usize,
    skipped: Skipped,
}

impl KeyedRows {
    /// Starts a pass: the columns `keys`, then those named in `take`, or all others where it is empty.
    ///
    /// # Errors
    /// If the input cannot be read or lacks a column.
    pub(crate) fn open(rows: &dyn OpenRows, keys: &[&str], take: Take<'_>, most_bad: u64) -> Result<Self> {
        let source = rows.open_rows()?;
        let columns = source.columns();
        let place = |name: &str| {
            let found = columns.iter().position(|column| column == name);
            found.ok_or_else(|| missing(&rows.name(), name, columns))
        };
        let mut places = keys.iter().map(|key| place(key)).collect::<Result<Vec<_>>>()?;
        match take {
            Take::Nothing => {}
            Take::Others => {
                let others: Vec<usize> = (0..columns.len()).filter(|own| !places.contains(own)).collect();
                places.extend(others);
            }
            Take::Named(names) => {
                for name in names {
                    places.push(place(name)?);
                }
            }
        }
        let names: Vec<String> = places.iter().map(|&place| columns[place].clone()).collect();
        if let Some((name, _)) = names.iter().enumerate().find_map(|(i, name)| {
            Some((name, names[..i].iter().find(|before| before.eq_ignore_ascii_case(name))?))
        }) {
            let error =
                Error::input(rows.name(), "each column once, also without regard to case", quoted(name));
            return Err(error.with_hint("name each column once, or give one of them another name"));
        }
        let (row, skipped) = (RawRow::default(), Skipped::new(most_bad));
        Ok(KeyedRows { input: rows.name(), source, row, names, places, keys: keys.len(), skipped })
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The error of an input without a row.
    pub(crate) fn none(&self) -> Error {
        Error::no_rows(&self.input, self.source.columns())
    }

    /// Moves to the next row that has its keys; `false` at the end.
    ///
    /// # Errors
    /// A malformed row beyond the limit, or a failing input.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        loop {
            let read = match self.source.next_row(&mut self.row) {
                Ok(false) => return Ok(false),
                Ok(true) => self.check(),
                Err(error) => Err(error),
            };
            match read {
                Ok(()) => return Ok(true),
                Err(Error::Row(mut bad)) => {
                    bad.keep(&self.row.to_line());
                    self.skipped.skip(*bad)?;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Whether the row has all fields, and texts for keys.
    fn check(&self) -> Result<()> {
        let (row, columns) = (&self.row, self.source.columns().len());
        if row.len() != columns {
            return Err(Error::row(row.position(None), format!("{columns} fields"), row.len().to_string()));
        }
        for (&place, name) in self.places[..self.keys].iter().zip(&self.names) {
            if row.field(place).is_empty() {
                return Err(Error::row(row.position(Some((place, name))), "a key", "an empty field"));
            }
        }
        Ok(())
    }

    /// The row's fields, in the order of the columns.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.places.iter().map(|&place| self.row.field(place)).collect()
    }

    /// What was skipped so far (the first ten thousand), and how many rows.
    pub(crate) fn skipped(&mut self) -> (Vec<BadRow>, u64) {
        self.skipped.next_input()
    }
}

/// Which columns beside the keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Take<'a> {
    /// None.
    Nothing,
    /// All others.
    Others,
    /// These.
    Named(&'a [String]),
}

fn quoted(name: &str) -> String {
    format!("{} twice", dlrm_data::error::quoted(name))
}

fn missing(input: &str, name: &str, columns: &[String]) -> Error {
    let error =
        Error::input(input, format!("a column \"{name}\""), format!("columns {}", columns.join(", ")));
    error.with_hint(match nearest(name, columns.iter().map(String::as_str)) {
        Some(near) => Hint::from(format!("did you mean \"{near}\"?")),
        None => Hint::from("name one of these; if they are no names, say what they are with ")
            .set("input.columns", "A,B,…"),
    })
}
