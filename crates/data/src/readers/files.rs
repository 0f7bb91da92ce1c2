//! The files that a directory or a pattern stands for.
use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

/// Extensions of the files that a directory stands for.
const EXTENSIONS: [&str; 17] = [
    "csv", "tsv", "tab", "psv", "txt", "data", "libsvm", "svm", "libffm", "ffm", "parquet", "pq", "jsonl",
    "ndjson", "gz", "zst", "zstd",
];

/// Beginnings of the names of files that come with a data set and are none of it.
const ABOUT: [&str; 5] = ["README", "SOURCE", "LICENSE", "LICENCE", "TERMS"];

/// The files of a directory that rows can be read from, numbers in their names by value.
pub(super) fn in_directory(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let path = entry.map_err(Error::io("list", directory))?.path();
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_uppercase());
        let is_hidden = name.starts_with(['.', '_']) || ABOUT.iter().any(|about| name.starts_with(about));
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        if !is_hidden && extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str())) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let expected = format!("a file ending in one of .{}", EXTENSIONS.join(" ."));
        let error = Error::input(directory.display().to_string(), expected, "none in this directory");
        return Err(error.with_hint("name the files themselves"));
    }
    files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(files)
}

/// What matches a path with `*`, `?` or `[…]`, numbers in the names by value; `None` for a path that is none
/// or that is there.
pub(super) fn matching(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(pattern) = path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists()) else {
        return Ok(None);
    };
    let found =
        glob::glob(pattern).map_err(|e| Error::input(pattern, "a pattern of file names", e.to_string()))?;
    let mut paths = found
        .map(|path| {
            path.map_err(|e| {
                let path = e.path().to_owned();
                Error::io("list", &path)(e.into())
            })
        })
        .collect::<Result<Vec<PathBuf>>>()?;
    if paths.is_empty() {
        let error = Error::input(pattern, "a file that matches this pattern", "none");
        return Err(error.with_hint(
            "check the directory, and the pattern: * stands for any text, ? for one \
            character, [ab] for a or b",
        ));
    }
    paths.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(Some(paths))
}

/// As text, but numbers by value: day_2 comes before day_10.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        let (order, cut) = if x.is_ascii_digit() && y.is_ascii_digit() {
            let [m, n] =
                [left, right].map(|text| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
            let [p, q] = [&left[..m], &right[..n]].map(|digits| digits.trim_start_matches('0'));
            (p.len().cmp(&q.len()).then(p.cmp(q)), [m, n])
        } else {
            (x.cmp(&y), [x.len_utf8(), y.len_utf8()])
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (&left[cut[0]..], &right[cut[1]..]);
    }
    left.len().cmp(&right.len()).then(a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_value_and_text_as_text() {
        let ordered = [
            "", "02", "2", "2a", "10", "a", "day", "day_0", "day_2.gz", "day_9", "day_10", "day_10b",
            "day_010c", "é1", "é11",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(natural(a, b), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn patterns_stand_for_what_matches_them() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["day_10.csv", "day_9.csv", "day_1.csv", "other.csv", "[x].csv"] {
            fs::write(dir.path().join(name), "a\n").unwrap();
        }
        let names = |pattern: &str| {
            let found = matching(&dir.path().join(pattern)).unwrap();
            found.map(|paths| {
                paths
                    .iter()
                    .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(names("day_*.csv").unwrap(), ["day_1.csv", "day_9.csv", "day_10.csv"]);
        assert_eq!(names("day_?.csv").unwrap(), ["day_1.csv", "day_9.csv"]);
        assert_eq!(names("day_[19]*.csv").unwrap(), ["day_1.csv", "day_9.csv", "day_10.csv"]);
        assert_eq!((names("[x].csv"), names("other.csv")), (None, None), "a file of that name");
        let error = matching(&dir.path().join("week_*.csv")).unwrap_err().to_string();
        assert!(
            error.contains("week_*.csv: expected a file that matches this pattern, found none"),
            "{error}"
        );
        assert!(
            matching(&dir.path().join("day_[.csv"))
                .unwrap_err()
                .to_string()
                .contains("a pattern of file names")
        );
    }
}
