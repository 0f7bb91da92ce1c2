//! Ratings of MovieLens, joined with users and movies: 100K (u.data and its folds), 1M and 10M
//! (ratings.dat), and the later ones (ratings.csv).
//!
//! Columns: user_id, item_id, age, gender, occupation, zip_code (data sets with users), release_year,
//! genres (names separated by `|`), hour (0 to 23) and weekday (0 = Monday) of the timestamp in UTC,
//! timestamp (seconds since 1970), rating. A data set without a file or field lacks its columns; a user
//! or movie without a line in the side file has missing values.
use super::lines::{Lines, as_text};
use super::side_tables::{SideTable, beside};
use crate::error::{Error, Result, nearest, quoted};
use crate::row::{RawRow, RowSource};
use std::path::{Path, PathBuf};

/// Files of ratings, by falling precedence.
const RATINGS: [&str; 3] = ["u.data", "ratings.dat", "ratings.csv"];
/// Side files, each the mark of a data set.
const SIDES: [&str; 3] = ["u.item", "movies.dat", "movies.csv"];

/// Reader of one file of ratings.
pub(super) struct Movielens {
    lines: Lines,
    separator: &'static str,
    /// Places of user, item, rating and timestamp in a line.
    user: usize,
    item: usize,
    rating: usize,
    time: Option<usize>,
    width: usize,
    users: SideTable,
    items: SideTable,
    columns: Vec<String>,
}

impl Movielens {
    /// Opens the ratings at `path` and reads the side files beside it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let (users, items) = (SideTable::users(directory)?, SideTable::items(directory)?);
        let mut lines = Lines::open(path)?;
        let Some((used, length)) = lines.peek_line()? else {
            return Err(Error::empty_file(lines.file(), "ratings"));
        };
        let first = String::from_utf8_lossy(lines.bytes(used)).into_owned();
        let separator =
            ["::", "\t", ","].into_iter().find(|separator| first.contains(separator)).unwrap_or("\t");
        let fields: Vec<&str> = first.split(separator).collect();
        let has_header = fields.first().is_some_and(|field| field.starts_with(|c: char| c.is_alphabetic()));
        let places = if has_header {
            places_by_name(&fields, &lines)?
        } else {
            [Some(0), Some(1), Some(2), (fields.len() > 3).then_some(3)]
        };
        if !(3..=4).contains(&fields.len()) && !has_header {
            let found = format!("{} field(s) in {}", fields.len(), quoted(&first));
            let error = Error::input(
                lines.file(),
                "lines of user, item, rating and timestamp separated by tab, `::` or comma",
                found,
            );
            return Err(error.with_hint("for other ratings set format to \"csv\""));
        }
        if has_header {
            lines.consume(length, 1);
        }
        let [user, item, rating, time] = places;
        let ratings = ["user_id", "item_id"].iter().chain(users.columns).chain(items.columns);
        let times: &[&str] =
            if time.is_some() { &["hour", "weekday", "timestamp", "rating"] } else { &["rating"] };
        let columns = ratings.chain(times).map(|&name| name.to_owned()).collect();
        let (user, item, rating) = (user.unwrap_or(0), item.unwrap_or(1), rating.unwrap_or(2));
        Ok(Movielens {
            lines,
            separator,
            user,
            item,
            rating,
            time,
            width: fields.len(),
            users,
            items,
            columns,
        })
    }

    /// Appends the joined row of `line` to `row`.
    fn join(&self, line: &str, row: &mut RawRow) -> Result<()> {
        let mut fields = [""; MOST_FIELDS];
        let mut width = 0;
        for field in line.split(self.separator) {
            if let Some(place) = fields.get_mut(width) {
                *place = field.trim();
            }
            width += 1;
        }
        if width != self.width {
            let expected =
                format!("{} fields separated by `{}`", self.width, self.separator.escape_default());
            return Err(Error::row(self.lines.position(), expected, width.to_string()));
        }
        let user = self.id(fields[self.user], self.user, "user_id")?;
        let item = self.id(fields[self.item], self.item, "item_id")?;
        let rating = fields[self.rating];
        if !rating.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(self.error(self.rating, "rating", "a number", rating));
        }
        row.push(fields[self.user]);
        row.push(fields[self.item]);
        self.users.push(user, row);
        self.items.push(item, row);
        if let Some(time) = self.time {
            self.push_time(fields[time], time, row)?;
        }
        row.push(rating);
        Ok(())
    }

    fn push_time(&self, text: &str, place: usize, row: &mut RawRow) -> Result<()> {
        if text.is_empty() {
            (0..3).for_each(|_| row.push(""));
            return Ok(());
        }
        let Ok(seconds) = text.parse::<i64>() else {
            return Err(self.error(place, "timestamp", "seconds since 1970 or nothing", text));
        };
        let (hour, weekday) = hour_and_weekday(seconds);
        row.push(HOURS[hour]);
        row.push(HOURS[weekday]);
        row.push(text);
        Ok(())
    }

    fn id(&self, text: &str, place: usize, name: &str) -> Result<u64> {
        text.parse().map_err(|_| self.error(place, name, "an integer", text))
    }

    fn error(&self, place: usize, name: &str, expected: &str, found: &str) -> Error {
        let mut position = self.lines.position();
        position.column = Some((place + 1, name.to_owned()));
        Error::row(position, expected, quoted(found))
    }
}

/// A header may name more columns than are of use.
const MOST_FIELDS: usize = 16;

const HOURS: [&str; 24] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19", "20", "21", "22", "23",
];

/// Hour of the day and day of the week (0 = Monday) in UTC of seconds since 1970-01-01, a Thursday.
fn hour_and_weekday(seconds: i64) -> (usize, usize) {
    let hour = seconds.rem_euclid(86_400) / 3_600;
    let weekday = (seconds.div_euclid(86_400) + 3).rem_euclid(7);
    (hour as usize, weekday as usize)
}

fn places_by_name(header: &[&str], lines: &Lines) -> Result<[Option<usize>; 4]> {
    let place = |names: &[&str]| header.iter().position(|field| names.contains(&field.trim_matches('"')));
    let places = [
        place(&["userId", "user_id", "user"]),
        place(&["movieId", "movie_id", "itemId", "item_id", "movie", "item"]),
        place(&["rating"]),
        place(&["timestamp"]),
    ];
    let missing =
        ["user_id", "movie_id", "rating"].into_iter().zip(places).find(|(_, place)| place.is_none());
    if missing.is_none() && header.len() <= MOST_FIELDS {
        return Ok(places);
    }
    let error = Error::input(
        lines.position().to_string(),
        "a header of user_id, movie_id, rating and timestamp",
        header.join(", "),
    );
    Err(match missing.and_then(|(name, _)| nearest(name, header.iter().copied())) {
        Some(near) => error.with_hint(format!("rename \"{near}\", or set format to \"csv\"")),
        None => error.with_hint("for other ratings set format to \"csv\""),
    })
}

impl RowSource for Movielens {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        loop {
            let Some((used, length)) = self.lines.peek_line()? else { return Ok(false) };
            if used == 0 {
                self.lines.consume(length, 1);
                continue;
            }
            self.lines.begin(row);
            let line = self.lines.bytes(used);
            let separator = self.separator.as_bytes();
            let field = |at: usize| {
                (
                    line[..at].windows(separator.len()).filter(|bytes| *bytes == separator).count() + 1,
                    String::new(),
                )
            };
            let result = as_text(line, || self.lines.position(), field).and_then(|line| self.join(line, row));
            self.lines.consume(length, 1);
            return result.map(|()| true);
        }
    }
}

/// The ratings in `directory`.
pub(super) fn ratings_file(directory: &Path) -> Result<PathBuf> {
    if let Some((path, _)) = beside(directory, &RATINGS) {
        return Ok(path);
    }
    let expected = format!("one of {} in it", RATINGS.join(", "));
    let error = Error::input(directory.display().to_string(), expected, "none of them");
    Err(error.with_hint("give the directory of a MovieLens data set, or its file of ratings"))
}

/// The ratings in `directory`, if movies lie beside them: surely a data set of MovieLens.
pub(super) fn data_set(directory: &Path) -> Result<PathBuf> {
    let ratings = ratings_file(directory)?;
    match beside(directory, &SIDES) {
        Some(_) => Ok(ratings),
        None => Err(Error::input(directory.display().to_string(), "movies beside the ratings", "none")),
    }
}

/// For detection: whether `path` is by its name a file of ratings, with movies beside it.
pub(super) fn is_ratings(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    let is_fold = name.starts_with('u') && (name.ends_with(".base") || name.ends_with(".test"));
    let directory = path.parent().unwrap_or(Path::new(""));
    (is_fold || RATINGS.contains(&name)) && beside(directory, &SIDES).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_and_week() {
        assert_eq!(hour_and_weekday(0), (0, 3));
        assert_eq!(hour_and_weekday(-1), (23, 2));
        // 2001-09-09 01:46:40 UTC, a Sunday.
        assert_eq!(hour_and_weekday(1_000_000_000), (1, 6));
        // 1997-12-04 15:55:49 UTC, a Thursday.
        assert_eq!(hour_and_weekday(881_250_949), (15, 3));
    }
}
