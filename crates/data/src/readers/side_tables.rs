//! Tables of MovieLens beside the ratings (users and movies), held in memory: they are small.
use super::delimited::Delimited;
use super::format::Header;
use super::lines::Lines;
use super::record::Dialect;
use super::stream::Place;
use crate::error::{Error, Position, Result, quoted};
use crate::row::{RawRow, RowSource};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Columns of a side file by the id in its first field.
pub(super) struct SideTable {
    /// Names of the columns.
    pub columns: &'static [&'static str],
    rows: HashMap<u64, Vec<String>>,
}

const USER_COLUMNS: &[&str] = &["age", "gender", "occupation", "zip_code"];
const ITEM_COLUMNS: &[&str] = &["release_year", "genres"];
/// Fields of u.item before its genre flags: id, title, release date, video release date, URL.
const ITEM_FIELDS: usize = 5;

impl SideTable {
    /// A table without columns, for data sets without the file.
    fn none() -> Self {
        SideTable { columns: &[], rows: HashMap::new() }
    }

    /// The users of the data set in `directory`: u.user (100K), users.dat (1M), or none.
    pub(super) fn users(directory: &Path) -> Result<Self> {
        // users.dat has gender before age.
        let (path, separator, order) = match beside(directory, &["u.user", "users.dat"]) {
            Some((path, 0)) => (path, "|", [1, 2, 3, 4]),
            Some((path, _)) => (path, "::", [2, 1, 3, 4]),
            None => return Ok(Self::none()),
        };
        let mut rows = HashMap::new();
        each_line(&path, |position, line| {
            let fields = split(line, separator, 5, &position)?;
            insert(&mut rows, position, fields[0], order.map(|i| fields[i].to_owned()).to_vec())
        })?;
        Ok(SideTable { columns: USER_COLUMNS, rows })
    }

    /// The movies of the data set in `directory`: u.item (100K), movies.dat (1M, 10M), movies.csv, or none.
    pub(super) fn items(directory: &Path) -> Result<Self> {
        let rows = match beside(directory, &["u.item", "movies.dat", "movies.csv"]) {
            Some((path, 0)) => items_100k(&path, directory)?,
            Some((path, 1)) => {
                let mut rows = HashMap::new();
                each_line(&path, |position, line| {
                    let fields = split(line, "::", 3, &position)?;
                    insert(&mut rows, position, fields[0], item(fields[1], fields[2]))
                })?;
                rows
            }
            Some((path, _)) => items_csv(&path)?,
            None => return Ok(Self::none()),
        };
        Ok(SideTable { columns: ITEM_COLUMNS, rows })
    }

    /// Appends the columns of `id` to `row`; all missing if the file does not have it.
    pub(super) fn push(&self, id: u64, row: &mut RawRow) {
        match self.rows.get(&id) {
            Some(fields) => fields.iter().for_each(|field| row.push(field)),
            None => self.columns.iter().for_each(|_| row.push("")),
        }
    }
}

/// The first of `names` in `directory`, plain or packed, and its place among them.
pub(super) fn beside(directory: &Path, names: &[&str]) -> Option<(PathBuf, usize)> {
    let candidates = names.iter().enumerate();
    candidates
        .flat_map(|(i, name)| {
            ["", ".gz", ".zst"].map(|packing| (directory.join(format!("{name}{packing}")), i))
        })
        .find(|(path, _)| path.is_file())
}

fn items_100k(path: &Path, directory: &Path) -> Result<HashMap<u64, Vec<String>>> {
    let Some((genre_path, _)) = beside(directory, &["u.genre"]) else {
        let error = Error::input(
            directory.display().to_string(),
            "u.genre, the names of the genres, beside u.item",
            "no such file",
        );
        return Err(error.with_hint("copy u.genre from the MovieLens 100K archive"));
    };
    let mut genres: Vec<String> = Vec::new();
    each_line(&genre_path, |position, line| {
        let fields = split(line, "|", 2, &position)?;
        if fields[1] != genres.len().to_string() {
            return Err(Error::row(
                at(&position, 2, "number"),
                format!("genre number {}", genres.len()),
                quoted(fields[1]),
            ));
        }
        genres.push(fields[0].to_owned());
        Ok(())
    })?;
    let mut rows = HashMap::new();
    each_line(path, |position, line| {
        let fields = split(line, "|", ITEM_FIELDS + genres.len(), &position)?;
        let mut names = Vec::new();
        for (i, (flag, name)) in fields[ITEM_FIELDS..].iter().zip(&genres).enumerate() {
            match *flag {
                "0" => {}
                "1" => names.push(name.as_str()),
                other => {
                    return Err(Error::row(
                        at(&position, ITEM_FIELDS + i + 1, name),
                        "0 or 1",
                        quoted(other),
                    ));
                }
            }
        }
        // 01-Jan-1995; absent for very few.
        let year = fields[2].rsplit('-').next().filter(|year| is_year(year)).or_else(|| year_of(fields[1]));
        insert(&mut rows, position, fields[0], vec![year.unwrap_or("").to_owned(), names.join("|")])
    })?;
    Ok(rows)
}

fn items_csv(path: &Path) -> Result<HashMap<u64, Vec<String>>> {
    let columns = ["movieId", "title", "genres"].map(str::to_owned);
    let mut reader = Delimited::open(Place::File(path), Dialect::CSV, Header::Present, Some(&columns))?;
    let (mut rows, mut row) = (HashMap::new(), RawRow::default());
    while reader.next_row(&mut row)? {
        insert(&mut rows, row.position(None), row.field(0), item(row.field(1), row.field(2)))?;
    }
    Ok(rows)
}

/// Release year and genres out of title and genres as movies.dat and movies.csv have them.
fn item(title: &str, genres: &str) -> Vec<String> {
    let genres = if genres == "(no genres listed)" { "" } else { genres };
    vec![year_of(title).unwrap_or("").to_owned(), genres.to_owned()]
}

/// The year at the end of `Toy Story (1995)`.
fn year_of(title: &str) -> Option<&str> {
    let year = title.trim_end().strip_suffix(')')?.rsplit('(').next()?;
    is_year(year).then_some(year)
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn insert(
    rows: &mut HashMap<u64, Vec<String>>,
    position: Position,
    id: &str,
    fields: Vec<String>,
) -> Result<()> {
    let Ok(number) = id.parse() else {
        return Err(Error::row(at(&position, 1, "id"), "an integer id", quoted(id)));
    };
    match rows.insert(number, fields) {
        None => Ok(()),
        Some(_) => Err(Error::row(at(&position, 1, "id"), "each id once", format!("{number} again"))),
    }
}

fn split<'a>(line: &'a str, separator: &str, expected: usize, position: &Position) -> Result<Vec<&'a str>> {
    let fields: Vec<&str> = line.split(separator).collect();
    if fields.len() == expected {
        return Ok(fields);
    }
    let expected = format!("{expected} fields separated by `{separator}`");
    Err(Error::row(position.clone(), expected, fields.len().to_string())
        .with_hint("is the file whole? Compare it with the original archive"))
}

fn at(position: &Position, number: usize, name: &str) -> Position {
    Position { column: Some((number, name.to_owned())), ..position.clone() }
}

/// Calls `read` with every line that is not empty.
fn each_line(path: &Path, mut read: impl FnMut(Position, &str) -> Result<()>) -> Result<()> {
    let mut lines = Lines::open(path)?;
    while let Some((used, length)) = lines.peek_line()? {
        if used > 0 {
            read(lines.position(), &decoded(lines.bytes(used)))?;
        }
        lines.consume(length, 1);
    }
    Ok(())
}

/// The older data sets are ISO-8859-1, copies of them often UTF-8.
fn decoded(line: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => text.into(),
        Err(_) => line.iter().map(|&byte| char::from(byte)).collect::<String>().into(),
    }
}
