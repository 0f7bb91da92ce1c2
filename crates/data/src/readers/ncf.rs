//! Interactions and candidates in the form of He et al. 2017 (neural collaborative filtering): lines of
//! `user item rating [time]`, and lines of `(user,item) other other …`, an item that a user took before
//! others to be ranked below it.
//!
//! Columns: user_id, item_id, rating. A line of candidates gives one row for each of them, in its order:
//! rating 1 for the item taken, 0 for the others.
use super::lines::{Lines, as_text};
use super::stream::Place;
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};
use std::path::Path;

/// Reader of one file.
pub(super) struct Ncf {
    lines: Lines,
    columns: Vec<String>,
    /// The candidates of the last line that are still to come, last first, and their user.
    rest: Vec<String>,
    user: String,
}

impl Ncf {
    /// Opens `place`.
    pub(super) fn open(place: Place<'_>) -> Result<Self> {
        let columns = ["user_id", "item_id", "rating"].map(str::to_owned).to_vec();
        Ok(Ncf { lines: place.lines()?, columns, rest: Vec::new(), user: String::new() })
    }

    /// Reads `line` into `row`, and what more rows it holds into `user` and `rest`.
    fn line(line: &str, lines: &Lines, row: &mut RawRow) -> Result<(String, Vec<String>)> {
        let tokens: Vec<&str> = line.split_ascii_whitespace().collect();
        let bad = |place: usize, expected: &str| {
            let mut position = lines.position();
            position.column = Some((place + 1, String::new()));
            Error::row(position, expected, quoted(tokens.get(place).unwrap_or(&"")))
        };
        let is_id = |text: &str| text.parse::<u64>().is_ok();
        let mut push = |fields: [&str; 3]| fields.into_iter().for_each(|field| row.push(field));
        if let Some(pair) = tokens[0].strip_prefix('(') {
            let pair = pair
                .strip_suffix(')')
                .and_then(|pair| pair.split_once(','))
                .filter(|(user, item)| is_id(user) && is_id(item));
            let (user, item) = pair.ok_or_else(|| bad(0, "(user,item), two integers"))?;
            if let Some(wrong) = (1..tokens.len()).find(|&i| !is_id(tokens[i])) {
                return Err(bad(wrong, "an integer item"));
            }
            push([user, item, "1"]);
            return Ok((user.to_owned(), tokens[1..].iter().rev().map(|&item| item.to_owned()).collect()));
        }
        if !(3..=4).contains(&tokens.len()) {
            return Err(Error::row(
                lines.position(),
                "user, item, rating and perhaps a time",
                format!("{} fields", tokens.len()),
            ));
        }
        if let Some(wrong) = (0..2).find(|&i| !is_id(tokens[i])) {
            return Err(bad(wrong, "an integer id"));
        }
        if !tokens[2].parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(bad(2, "a number"));
        }
        push([tokens[0], tokens[1], tokens[2]]);
        Ok((String::new(), Vec::new()))
    }
}

impl RowSource for Ncf {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        if let Some(item) = self.rest.pop() {
            // The position stays that of the line.
            row.clear();
            [&self.user, &item, "0"].into_iter().for_each(|field| row.push(field));
            return Ok(true);
        }
        loop {
            let Some((used, length)) = self.lines.peek_line()? else { return Ok(false) };
            let bytes = self.lines.bytes(used);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                self.lines.consume(length, 1);
                continue;
            }
            self.lines.begin(row);
            let place = |_| (1, String::new());
            let read = as_text(bytes, || self.lines.position(), place)
                .and_then(|line| Self::line(line, &self.lines, row));
            self.lines.consume(length, 1);
            (self.user, self.rest) = read?;
            return Ok(true);
        }
    }
}

/// For detection: whether `path` is by its name a file of this form.
pub(super) fn is_named_so(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    name.ends_with(".train.rating") || name.ends_with(".test.rating") || name.ends_with(".test.negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<std::result::Result<String, String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.test.negative");
        std::fs::write(&path, text).unwrap();
        let mut reader = Ncf::open(Place::File(&path)).unwrap();
        let (mut row, mut all) = (RawRow::default(), Vec::new());
        loop {
            match reader.next_row(&mut row) {
                Ok(true) => all.push(Ok(format!("{}@{}", row.to_line(), row.line))),
                Ok(false) => return all,
                Err(error) => {
                    all.push(Err(error.to_string().split_once("x.test.negative").unwrap().1.to_owned()))
                }
            }
        }
    }

    #[test]
    fn interactions_and_candidates() {
        let found = rows("0\t5\t3\t978\n\n(7,9)\t4\t2\n1 2 5\n");
        let expected = ["0,5,3@1", "7,9,1@3", "7,4,0@3", "7,2,0@3", "1,2,5@4"];
        assert_eq!(found, expected.map(|row| Ok(row.to_owned())));
    }

    #[test]
    fn malformed_lines_are_skipped_with_their_place() {
        let found = rows("(7,x)\t4\n(7,9)\t4\tb\n1\t2\n1\t2\tfive\n3\t4\t1\n");
        let errors: Vec<&str> =
            found.iter().filter_map(|row| row.as_ref().err().map(String::as_str)).collect();
        assert_eq!(errors.len(), 4, "{errors:?}");
        for (error, part) in errors.iter().zip([":1:1", ":2:3", ":3: expected user, item", ":4:3"]) {
            assert!(error.starts_with(part), "{error}");
        }
        assert_eq!(found[4], Ok("3,4,1@5".to_owned()));
    }
}
