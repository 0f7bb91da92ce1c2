//! Several files as one stream of rows.
use super::criteo::Criteo;
use super::delimited::Delimited;
use super::files::is_packed;
use super::format::Header;
use super::jsonl::JsonLines;
use super::lines::into_final;
use super::movielens::Movielens;
use super::ncf::Ncf;
use super::partitions::Partitioned;
use super::record::Dialect;
use super::sparse::{Libffm, Libsvm};
use super::stream::{Place, SmallFile};
use crate::error::{Error, Result};
use crate::row::{RawRow, RowSource};
use crate::schema::MultiValued;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How to open each file of an input; nothing is left to detect.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    Delimited { dialect: Dialect, header: Header, columns: Option<Vec<String>> },
    Criteo,
    Movielens,
    Ncf,
    Libsvm,
    Libffm { columns: Vec<String> },
    Jsonl { columns: Vec<String> },
    Parquet { columns: Option<Vec<String>> },
}

impl Plan {
    /// Opens `place`, which has the format of this plan.
    pub(super) fn open(&self, place: Place<'_>) -> Result<Box<dyn RowSource>> {
        Ok(match self {
            Plan::Delimited { dialect, header, columns } => {
                Box::new(Delimited::open(place, *dialect, *header, columns.as_deref())?)
            }
            Plan::Criteo => Box::new(Criteo::open(place)?),
            Plan::Movielens => Box::new(Movielens::open(place.file("ratings of MovieLens")?)?),
            Plan::Ncf => Box::new(Ncf::open(place)?),
            Plan::Libsvm => Box::new(Libsvm::open(place)?),
            Plan::Libffm { columns } => Box::new(Libffm::open(place, columns)?),
            Plan::Jsonl { columns } => Box::new(JsonLines::open(place, columns)?),
            Plan::Parquet { columns } => open_parquet(place, columns.as_deref())?,
        })
    }
}

#[cfg(feature = "parquet")]
fn open_parquet(place: Place<'_>, columns: Option<&[String]>) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(super::parquet::Parquet::open(place, columns)?))
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(place: Place<'_>, _columns: Option<&[String]>) -> Result<Box<dyn RowSource>> {
    let path = place.file("Parquet")?;
    let error =
        Error::input(path.display().to_string(), "a file other than Parquet in this build", "Parquet");
    Err(error.with_hint("build dlrm with its default features, of which `parquet` was left out"))
}

/// Opens one file of a chain.
type Opener = Box<dyn Fn(Place<'_>) -> Result<Box<dyn RowSource>> + Send>;

/// Packed files that are opened, and unpacked as far as memory is given to them, before their turn.
const AHEAD: usize = 3;

/// Bytes of a small file: it is read whole where the columns of all files are compared, and not opened again
/// for its rows.
const SMALL: u64 = 64 << 10;
/// Bytes of all small files that are kept so; those behind them are opened twice by the first pass.
const ALL_SMALL: u64 = 64 << 20;

/// Files with the same columns, one after another.
pub(super) struct Chain {
    open: Opener,
    first: PathBuf,
    columns: Vec<String>,
    rest: std::vec::IntoIter<PathBuf>,
    /// Of `rest`, those that have been read already, in the same order.
    small: VecDeque<SmallFile>,
    ahead: VecDeque<(PathBuf, Result<Box<dyn RowSource>>)>,
    /// Whether a row was asked for.
    is_begun: bool,
    current: Box<dyn RowSource>,
}

/// Files whose columns are known to be the same, so that later passes open each of them once. Copies of an
/// input share them.
#[derive(Debug, Clone, Default)]
pub struct Compared(Arc<Mutex<VecDeque<ComparedFiles>>>);

/// How they were read, and which they are.
type ComparedFiles = (String, Vec<PathBuf>);

/// Lists of files that are remembered: those of training, validation and test rows, and a few more.
const REMEMBERED: usize = 8;

impl PartialEq for Compared {
    /// What is known of files is no difference between inputs.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Compared {
    /// Whether `files`, read so, are among those that are known.
    fn holds(&self, how: &str, files: &[PathBuf]) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|(other, known)| other == how && known.ends_with(files))
    }

    fn note(&self, how: String, files: Vec<PathBuf>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        known.push_back((how, files));
    }
}

impl Chain {
    /// Opens the first of `files`, whose directories give the columns `partitions`, and makes sure of the
    /// others, unless they are known.
    pub(super) fn open(
        files: Vec<PathBuf>,
        plan: Plan,
        partitions: &[String],
        known: &Compared,
    ) -> Result<Self> {
        let (how, partitions) = (format!("{plan:?} {partitions:?}"), partitions.to_vec());
        let open = move |place: Place<'_>| {
            let rows = plan.open(place)?;
            if partitions.is_empty() {
                return Ok(rows);
            }
            Ok(Box::new(Partitioned::new(rows, place.path(), &partitions)?) as Box<dyn RowSource>)
        };
        Chain::opened_by(files, Box::new(open), how, known)
    }

    fn opened_by(files: Vec<PathBuf>, open: Opener, how: String, known: &Compared) -> Result<Self> {
        let is_known = known.holds(&how, &files);
        let mut rest = files.clone().into_iter();
        let first = rest.next().ok_or_else(|| Error::input("paths", "at least one file", "none"))?;
        let current = open(Place::File(&first))?;
        let columns = current.columns().to_vec();
        let (mut small, mut left) = (VecDeque::new(), ALL_SMALL);
        if !is_known {
            for other in rest.as_slice() {
                let read = SmallFile::read(other, SMALL.min(left))?;
                let place = read.as_ref().map_or(Place::File(other), Place::Small);
                check_same(&columns, &first, open(place)?.columns(), other)?;
                left -= read.as_ref().map_or(0, SmallFile::len);
                small.extend(read);
            }
            known.note(how, files);
        }
        Ok(Chain { open, first, columns, rest, small, ahead: VecDeque::new(), is_begun: false, current })
    }

    /// Opens the next file.
    fn next_file(&mut self) -> Option<(PathBuf, Result<Box<dyn RowSource>>)> {
        let path = self.rest.next()?;
        let small = self.small.pop_front_if(|small| small.path() == path);
        let opened = (self.open)(small.as_ref().map_or(Place::File(&path), Place::Small));
        Some((path, opened))
    }

    /// Opens packed files that come soon.
    fn look_ahead(&mut self) {
        while self.ahead.len() < AHEAD && self.rest.as_slice().first().is_some_and(|path| is_packed(path)) {
            let next = self.next_file();
            self.ahead.extend(next);
        }
    }
}

impl RowSource for Chain {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn lists(&self) -> Vec<(usize, MultiValued)> {
        self.current.lists()
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        if !self.is_begun {
            self.is_begun = true;
            self.look_ahead();
        }
        while !self.current.next_row(row)? {
            let next = self.ahead.pop_front().or_else(|| self.next_file());
            let Some((path, opened)) = next else { return Ok(false) };
            self.current = opened.map_err(into_final)?;
            self.look_ahead();
            // Compared already, unless it was changed meanwhile.
            check_same(&self.columns, &self.first, self.current.columns(), &path)?;
        }
        Ok(true)
    }
}

fn check_same(columns: &[String], first: &Path, others: &[String], other: &Path) -> Result<()> {
    if columns == others {
        return Ok(());
    }
    let what = other.display().to_string();
    let (expected, found) = match columns.iter().zip(others).position(|(a, b)| a != b) {
        Some(i) => (
            format!("column {} to be \"{}\" as in {}", i + 1, columns[i], first.display()),
            format!("\"{}\"", others[i]),
        ),
        None => (format!("{} columns as in {}", columns.len(), first.display()), format!("{}", others.len())),
    };
    Err(Error::input(what, expected, found)
        .with_hint("files that are read as one stream need the same columns in the same order"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A file of two rows.
    struct Two(Vec<String>, usize);

    impl RowSource for Two {
        fn columns(&self) -> &[String] {
            &self.0
        }

        fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
            row.clear();
            row.push("x");
            self.1 += 1;
            Ok(self.1 <= 2)
        }
    }

    /// Counts what is opened by its path, which small files that were read already are not.
    fn counting(opens: &Arc<AtomicUsize>) -> Opener {
        let opens = opens.clone();
        Box::new(move |place| {
            opens.fetch_add(usize::from(matches!(place, Place::File(_))), Ordering::Relaxed);
            Ok(Box::new(Two(vec!["a".into()], 0)) as Box<dyn RowSource>)
        })
    }

    #[test]
    fn a_pass_opens_each_small_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: String, length: u64| {
            let path = dir.path().join(name);
            std::fs::write(&path, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
            path
        };
        let files: Vec<PathBuf> = (0..40).map(|n| write(format!("{n}.csv"), 20)).collect();
        let (opens, known) = (Arc::new(AtomicUsize::new(0)), Compared::default());
        let pass = |files: &[PathBuf], how: &str| {
            let before = opens.load(Ordering::Relaxed);
            let mut chain = Chain::opened_by(files.to_vec(), counting(&opens), how.into(), &known).unwrap();
            let (mut row, mut rows) = (RawRow::default(), 0);
            while chain.next_row(&mut row).unwrap() {
                rows += 1;
            }
            assert_eq!(rows, 2 * files.len());
            opens.load(Ordering::Relaxed) - before
        };
        assert_eq!(pass(&files, "csv"), 1, "all but the first were read where they were compared");
        assert_eq!(pass(&files, "csv"), 40);
        assert_eq!(pass(&files[10..], "csv"), 30, "from a file on");
        assert_eq!(pass(&files, "tsv"), 1, "read otherwise, they have other columns");
        let others: Vec<PathBuf> = (0..9).map(|n| write(format!("test_{n}.csv"), SMALL + n % 2)).collect();
        assert_eq!(pass(&others, "csv"), 5 + 4, "four are too long to be kept");
        assert_eq!(pass(&others, "csv"), 9);
        assert_eq!(pass(&files, "csv"), 40, "other files of the same input take nobody's place");
    }

    #[test]
    fn rows_of_small_files_are_those_that_were_compared() {
        let dir = tempfile::tempdir().unwrap();
        let text = |n: usize| format!("a,b\n{n},x\n{n},y\n");
        let gzip = |text: String| {
            let mut packed = flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast());
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut packed, &mut bytes).unwrap();
            bytes
        };
        for n in 0..6 {
            let (name, bytes) = if n % 2 == 0 {
                (format!("{n}.csv"), text(n).into_bytes())
            } else {
                (format!("{n}.csv.gz"), gzip(text(n)))
            };
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let input = crate::readers::Input::new([dir.path()]);
        let mut rows = input.open().unwrap();
        for n in 1..6 {
            let name = if n % 2 == 0 { format!("{n}.csv") } else { format!("{n}.csv.gz") };
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        let (mut row, mut all) = (RawRow::default(), String::new());
        while rows.next_row(&mut row).unwrap() {
            all += &format!("{}\n", row.to_line());
        }
        let expected: String = (0..6).map(|n| text(n).replace("a,b\n", "")).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn packed_files_are_opened_before_their_turn() {
        let opens = Arc::new(AtomicUsize::new(0));
        let files: Vec<PathBuf> = (0..9).map(|day| PathBuf::from(format!("day_{day}.gz"))).collect();
        let known = Compared::default();
        known.note("csv".into(), files.clone());
        let counted = opens.clone();
        let open = move |place: Place<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            if place.path().ends_with("day_5.gz") {
                return Err(Error::input("day_5.gz", "a whole gzip file", "half of it"));
            }
            Ok(Box::new(Two(vec!["a".into()], 0)) as Box<dyn RowSource>)
        };
        let mut chain = Chain::opened_by(files, Box::new(open), "csv".into(), &known).unwrap();
        assert_eq!(opens.load(Ordering::Relaxed), 1, "nobody has asked for a row yet");
        let mut row = RawRow::default();
        for asked in 0..10 {
            assert!(chain.next_row(&mut row).unwrap(), "an error waits for its turn");
            assert_eq!(opens.load(Ordering::Relaxed), (asked / 2 + 1 + AHEAD).min(9));
        }
        assert!(chain.next_row(&mut row).unwrap_err().to_string().contains("day_5.gz"));
    }
}
