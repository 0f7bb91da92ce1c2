//! The files that a directory or a pattern stands for.
use super::lines::unpacks_to_nothing;
use super::partitions;
use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Extensions of the files that a directory stands for.
const EXTENSIONS: [&str; 17] = [
    "csv", "tsv", "tab", "psv", "txt", "data", "libsvm", "svm", "libffm", "ffm", "parquet", "pq", "jsonl",
    "ndjson", "gz", "zst", "zstd",
];

/// Names, but for their endings, of files that come with a data set and are none of it.
const ABOUT: [&str; 5] = ["README", "SOURCE", "LICENSE", "LICENCE", "TERMS"];

/// Extensions of packed files.
const PACKED: [&str; 3] = ["gz", "zst", "zstd"];

/// Extensions of files that lie beside rows and are none, which is not worth a word.
const BESIDE: [&str; 8] = ["toml", "yaml", "yml", "md", "html", "py", "sh", "sql"];

/// Longest packed file that may hold nothing: beside its own few bytes there may be a name or a comment.
const LONGEST_EMPTY: u64 = 1024;

/// What a directory stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Listing {
    /// Files that rows can be read from, numbers in their names by value.
    pub files: Vec<PathBuf>,
    /// Columns that the names of directories between give (`dt=4`).
    pub partitions: Vec<String>,
    /// What is not read, and why; files that come with every data set are not worth a word.
    pub left_out: Vec<(PathBuf, String)>,
}

impl Listing {
    /// Of `directory`.
    ///
    /// # Errors
    /// If it cannot be listed, holds nothing that can be read, or says twice what is to be read once.
    pub(super) fn of(directory: &Path) -> Result<Self> {
        let mut listing = Listing::default();
        listing.add(directory, &mut Vec::new())?;
        if listing.files.is_empty() {
            let expected = format!("a file ending in one of .{}", EXTENSIONS.join(" ."));
            let found = match listing.left_out.first() {
                Some((path, why)) => format!("none in this directory, but {} ({why})", path.display()),
                None => "none in this directory".into(),
            };
            let error = Error::input(directory.display().to_string(), expected, found);
            return Err(error.with_hint("name the files themselves"));
        }
        listing.files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
        listing.left_out.sort();
        check_once(directory, &listing.files)?;
        Ok(listing)
    }

    /// Adds what `directory` holds, whose partition columns are `columns`.
    fn add(&mut self, directory: &Path, columns: &mut Vec<String>) -> Result<()> {
        for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
            let path = entry.map_err(Error::io("list", directory))?.path();
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            if name.starts_with(['.', '_'])
                || extension(&path).is_some_and(|e| e == "crc" || BESIDE.contains(&e.as_str()))
                || is_about(&path)
            {
                continue;
            }
            if !path.is_dir() {
                self.add_file(path, columns)?;
            } else if let Some((column, _)) = partitions::named(&name) {
                columns.push(column.to_owned());
                self.add(&path, columns)?;
                columns.pop();
            } else {
                self.left_out.push((path, "a directory".into()));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf, columns: &[String]) -> Result<()> {
        if let Some(why) = why_left_out(&path)? {
            self.left_out.push((path, why));
            return Ok(());
        }
        if self.files.is_empty() {
            self.partitions = columns.to_vec();
        } else if self.partitions != columns {
            let named = |columns: &[String]| match columns {
                [] => "no directory of the form name=value".to_owned(),
                _ => format!("{}=…", columns.join("=…/")),
            };
            let expected = format!("{} above every file", named(&self.partitions));
            let error = Error::input(path.display().to_string(), expected, named(columns));
            return Err(error.with_hint("name the files, or the directories, that belong together"));
        }
        self.files.push(path);
        Ok(())
    }

    /// What is read of `directory` and what is not, in a line; `None` where nothing worth a word is left out.
    pub(super) fn told(&self, directory: &Path) -> Option<String> {
        const SHOWN: usize = 5;
        let within = |path: &Path| path.strip_prefix(directory).unwrap_or(path).display().to_string();
        let (first, last) = (self.files.first()?, self.files.last()?);
        let read = match self.files.len() {
            1 => within(first),
            n => format!("{n} files, {} to {}", within(first), within(last)),
        };
        let shown = self.left_out.iter().take(SHOWN);
        let mut left_out: Vec<String> =
            shown.map(|(path, why)| format!("{} ({why})", within(path))).collect();
        if self.left_out.len() > SHOWN {
            left_out.push(format!("{} more", self.left_out.len() - SHOWN));
        }
        let what = directory.display();
        (!left_out.is_empty()).then(|| format!("{what}: read: {read}; not read: {}", left_out.join(", ")))
    }
}

/// Refuses a file beside its packed copy, of those that `what` stands for: its rows would be read twice.
pub(super) fn check_once(what: &Path, files: &[PathBuf]) -> Result<()> {
    let mut plain: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    for path in files.iter().filter(|path| path.is_file()) {
        if let Some(other) = plain.insert(unpacked_name(path), path) {
            let found = format!("both {} and {}", other.display(), path.display());
            let error = Error::input(what.display().to_string(), "each file once, packed or not", found);
            return Err(error.with_hint("remove one of them, or name the files that are to be read"));
        }
    }
    Ok(())
}

/// Whether a file is packed, by its name.
pub(super) fn is_packed(path: &Path) -> bool {
    extension(path).is_some_and(|extension| PACKED.contains(&extension.as_str()))
}

/// The name of a file before it was packed.
fn unpacked_name(path: &Path) -> PathBuf {
    if is_packed(path) { path.with_extension("") } else { path.to_owned() }
}

/// Whether a file tells of the data set, by its name.
fn is_about(path: &Path) -> bool {
    let stem = unpacked_name(path).file_stem().map(|stem| stem.to_string_lossy().to_uppercase());
    stem.is_some_and(|stem| ABOUT.contains(&stem.as_str()))
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase())
}

/// Why a file of a directory is not read; `None` if it is.
fn why_left_out(path: &Path) -> Result<Option<String>> {
    let Ok(facts) = fs::metadata(path) else { return Ok(Some("a link that leads nowhere".into())) };
    if !facts.is_file() {
        return Ok(Some("no regular file".into()));
    }
    if !extension(path).is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
        return Ok(Some(match extension(path).as_deref() {
            Some("bz2" | "xz" | "lz4" | "7z" | "zip" | "rar" | "tar" | "tgz") => {
                "packed: unpack it first".into()
            }
            Some(other) => format!("no file of rows by its name, which ends in .{other}"),
            None => "no file of rows by its name, which has no ending".into(),
        }));
    }
    // Spark writes a file for each of its tasks, also where that has no row.
    let is_empty =
        facts.len() == 0 || is_packed(path) && facts.len() < LONGEST_EMPTY && unpacks_to_nothing(path)?;
    Ok(is_empty.then(|| "empty".into()))
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
    fn a_directory_says_what_is_not_read_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let empty = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
        for name in
            ["part-10.csv", "part-9.csv", "README.csv", "_SUCCESS", ".part-9.csv.crc", "part-9.csv.crc"]
        {
            write(name, b"a\n1\n");
        }
        for (name, bytes) in [
            ("part-11.csv", &b""[..]),
            ("part-12.csv.gz", &empty),
            ("old.csv.bz2", b"BZh"),
            ("notes.docx", b"x"),
            ("schema.toml", b"x"),
            ("sources.csv", b"a\n1\n"),
            ("sub/more.csv", b"a\n1\n"),
        ] {
            write(name, bytes);
        }
        let names = |listing: &Listing| {
            let own = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
            listing.files.iter().map(own).collect::<Vec<_>>()
        };
        let listing = Listing::of(dir.path()).unwrap();
        assert_eq!(names(&listing), ["part-9.csv", "part-10.csv", "sources.csv"]);
        let told = listing.told(dir.path()).unwrap();
        for part in [
            "read: 3 files, part-9.csv to sources.csv; not read: ",
            "part-11.csv (empty)",
            "part-12.csv.gz (empty)",
            "notes.docx (no file of rows by its name, which ends in .docx)",
            "old.csv.bz2 (packed: unpack it first)",
            "sub (a directory)",
        ] {
            assert!(told.contains(part), "{told}");
        }
        // What could be rows is named.
        ["rows.json", "run.log"].into_iter().for_each(|name| write(name, b"x"));
        let left_out = Listing::of(dir.path()).unwrap().left_out;
        for name in ["rows.json", "run.log"] {
            assert!(left_out.iter().any(|(path, _)| path.ends_with(name)), "{left_out:?}");
        }
        write("part-9.csv.gz", b"anything");
        let error = Listing::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("part-9.csv and ") && error.contains("part-9.csv.gz"), "{error}");
        #[cfg(unix)]
        {
            fs::remove_file(dir.path().join("part-9.csv.gz")).unwrap();
            std::os::unix::fs::symlink("nothing", dir.path().join("gone.csv")).unwrap();
            let listing = Listing::of(dir.path()).unwrap();
            assert!(
                listing.left_out.iter().any(|(path, why)| path.ends_with("gone.csv") && why.contains("link"))
            );
        }
    }

    #[test]
    fn directories_of_the_form_name_value_are_columns() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n1\n").unwrap();
        };
        ["dt=10/land=at/part-0.csv", "dt=9/land=de/part-0.csv"].into_iter().for_each(write);
        let listing = Listing::of(dir.path()).unwrap();
        assert_eq!(listing.partitions, ["dt", "land"]);
        assert!(listing.files[0].ends_with("dt=9/land=de/part-0.csv"));
        assert_eq!(listing.told(dir.path()), None);
        write("rest.csv");
        let error = Listing::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("dt=…/land=…") && error.contains("no directory of the form"), "{error}");
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
