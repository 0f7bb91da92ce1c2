//! Ranked texts on disk, for tallies that outgrow the memory they may take: sorted runs, merged when all is
//! seen (external sorting, Knuth, TAOCP volume 3, section 5.4).
use crate::durable::sync;
use crate::error::{Error, Result};
use crate::sum::{FileSum, Summed, sum_of};
use crate::vocabulary::{Rank, Tally};
use serde::{Deserialize, Serialize};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Runs merged at once: each is an open file.
const FAN_IN: usize = 128;
const BUFFER: usize = 1 << 16;

/// How a run is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By text.
    Text,
    /// By falling rank, ties by text.
    Rank,
}

/// The spilled values of one table.
pub(crate) struct Runs {
    dir: PathBuf,
    name: String,
    rank: Rank,
    made: usize,
    runs: Vec<Finished>,
}

/// A run on disk.
struct Finished {
    path: PathBuf,
    sum: FileSum,
}

/// Runs that a later attempt resumes with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SavedRuns {
    rank: Rank,
    made: usize,
    /// Names, each with its length and checksum.
    files: Vec<(String, FileSum)>,
}

impl Runs {
    /// None yet; files will lie in `dir` under names that begin with `name`.
    pub(crate) fn new(dir: &Path, name: String) -> Self {
        Runs { dir: dir.to_owned(), name, rank: Rank::default(), made: 0, runs: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Writes what `tally` holds and empties it.
    pub(crate) fn spill(&mut self, tally: &mut Tally) -> Result<()> {
        if tally.len() == 0 {
            return Ok(());
        }
        let mut run = self.run()?;
        for (text, rank) in tally.by_text() {
            run.push(text, rank)?;
        }
        self.runs.push(run.finish()?);
        self.rank = tally.rank();
        tally.clear();
        Ok(())
    }

    /// What is needed to find the runs again. They lie safe on disk by then.
    pub(crate) fn saved(&self) -> Result<SavedRuns> {
        let mut files = Vec::new();
        for Finished { path, sum } in &self.runs {
            sync(path)?;
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            files.push((name, sum.clone()));
        }
        Ok(SavedRuns { rank: self.rank, made: self.made, files })
    }

    /// Takes over saved runs; `false` if one of them is not what it was.
    pub(crate) fn restore(&mut self, saved: &SavedRuns) -> bool {
        (self.rank, self.made) = (saved.rank, saved.made);
        let run = |(name, sum): &(String, FileSum)| Finished { path: self.dir.join(name), sum: sum.clone() };
        self.runs = saved.files.iter().map(run).collect();
        let is_whole = |run: &Finished| sum_of(&run.path).is_ok_and(|sum| sum == run.sum);
        self.runs.iter().all(is_whole)
    }

    fn run(&mut self) -> Result<Run> {
        let path = self.dir.join(format!("{}-{}.counts", self.name, self.made));
        self.made += 1;
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        Ok(Run { file: Summed::new(BufWriter::with_capacity(BUFFER, file)), path })
    }

    /// Calls `each` with the texts whose rank is `least` at least, by falling rank, ties by text. Sorts
    /// pieces of at most `limit` bytes in memory.
    pub(crate) fn by_rank(
        mut self,
        least: u64,
        limit: usize,
        each: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        while self.runs.len() > FAN_IN {
            let some: Vec<Finished> = self.runs.drain(..FAN_IN).collect();
            let mut run = self.run()?;
            merge(&some, Order::Text, self.rank, &mut |text, count| run.push(text, count))?;
            self.runs.push(run.finish()?);
        }
        let runs = std::mem::take(&mut self.runs);
        let (mut piece, mut sorted) = (Piece::default(), Vec::new());
        merge(&runs, Order::Text, self.rank, &mut |text, count| {
            if count >= least {
                piece.push(text, count);
                if piece.heap_bytes() > limit {
                    let mut run = self.run()?;
                    piece.sorted(&mut |text, count| run.push(text, count))?;
                    sorted.push(run.finish()?);
                    piece = Piece::default();
                }
            }
            Ok(())
        })?;
        if sorted.is_empty() {
            return piece.sorted(&mut |text, _| each(text));
        }
        let mut run = self.run()?;
        piece.sorted(&mut |text, count| run.push(text, count))?;
        sorted.push(run.finish()?);
        while sorted.len() > FAN_IN {
            let some: Vec<Finished> = sorted.drain(..FAN_IN).collect();
            let mut run = self.run()?;
            merge(&some, Order::Rank, self.rank, &mut |text, count| run.push(text, count))?;
            sorted.push(run.finish()?);
        }
        merge(&sorted, Order::Rank, self.rank, &mut |text, _| each(text))
    }
}

/// A run being written: length, text and rank of every entry.
struct Run {
    file: Summed<BufWriter<File>>,
    path: PathBuf,
}

impl Run {
    fn push(&mut self, text: &str, count: u64) -> Result<()> {
        let parts: [&[u8]; 3] = [&(text.len() as u32).to_le_bytes(), text.as_bytes(), &count.to_le_bytes()];
        parts
            .into_iter()
            .try_for_each(|part| self.file.write_all(part))
            .map_err(Error::io("write", &self.path))
    }

    fn finish(mut self) -> Result<Finished> {
        self.file.flush().map_err(Error::io("write", &self.path))?;
        Ok(Finished { sum: self.file.sum(), path: self.path })
    }
}

/// Ranked texts to be sorted in memory.
#[derive(Default)]
struct Piece {
    texts: crate::string_arena::StringArena,
    counts: Vec<u64>,
}

impl Piece {
    fn push(&mut self, text: &str, count: u64) {
        self.texts.push(text);
        self.counts.push(count);
    }

    /// Bytes taken, with those of sorting.
    fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.counts.capacity() * (size_of::<u64>() + size_of::<u32>())
    }

    fn sorted(&self, each: &mut dyn FnMut(&str, u64) -> Result<()>) -> Result<()> {
        let mut order: Vec<u32> = (0..self.counts.len() as u32).collect();
        // Texts come in order, so places order ties.
        order.sort_unstable_by_key(|&place| (Reverse(self.counts[place as usize]), place));
        order
            .into_iter()
            .try_for_each(|place| each(self.texts.text(place as usize), self.counts[place as usize]))
    }
}

/// The next entry of a run.
struct Head {
    order: Order,
    text: String,
    count: u64,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let counts = if self.order == Order::Rank { other.count.cmp(&self.count) } else { Ordering::Equal };
        counts.then_with(|| self.text.cmp(&other.text)).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

/// Merges sorted runs and removes them; by text, ranks of the same one are joined.
fn merge(
    runs: &[Finished],
    order: Order,
    rank: Rank,
    each: &mut dyn FnMut(&str, u64) -> Result<()>,
) -> Result<()> {
    let paths: Vec<&Path> = runs.iter().map(|run| run.path.as_path()).collect();
    let open = |path: &&Path| {
        Ok(BufReader::with_capacity(BUFFER, File::open(path).map_err(Error::io("open", path))?))
    };
    let mut files = paths.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut heads = BinaryHeap::new();
    for (run, (file, path)) in files.iter_mut().zip(&paths).enumerate() {
        let mut head = Head { order, text: String::new(), count: 0, run };
        if read(file, path, &mut head)? {
            heads.push(Reverse(head));
        }
    }
    let (mut text, mut count) = (String::new(), 0);
    while let Some(Reverse(mut head)) = heads.pop() {
        if order == Order::Text && count > 0 && head.text == text {
            count = rank.join(count, head.count);
        } else {
            if count > 0 {
                each(&text, count)?;
            }
            std::mem::swap(&mut text, &mut head.text);
            count = head.count;
        }
        let run = head.run;
        if read(&mut files[run], paths[run], &mut head)? {
            heads.push(Reverse(head));
        }
    }
    if count > 0 {
        each(&text, count)?;
    }
    drop(files);
    paths.iter().try_for_each(|path| fs::remove_file(path).map_err(Error::io("remove", path)))
}

/// Refills `head` with the next entry; `false` at the end.
fn read(file: &mut BufReader<File>, path: &Path, head: &mut Head) -> Result<bool> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        other => other.map_err(Error::io("read", path))?,
    }
    let (mut bytes, mut count) = (std::mem::take(&mut head.text).into_bytes(), [0; 8]);
    bytes.resize(u32::from_le_bytes(length) as usize, 0);
    file.read_exact(&mut bytes)
        .and_then(|()| file.read_exact(&mut count))
        .map_err(Error::io("read", path))?;
    head.text = String::from_utf8(bytes).map_err(|e| Error::io("read", path)(std::io::Error::other(e)))?;
    head.count = u64::from_le_bytes(count);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn spilling_changes_nothing(
            texts in prop::collection::vec("[abc]{0,3}", 1..600),
            (every, limit, least) in (1usize..40, 0usize..4000, 1u64..4),
            first_seen in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let rank = if first_seen { Rank::FirstSeen } else { Rank::Count };
            let (mut whole, mut part) = (Tally::new(rank), Tally::new(rank));
            let mut runs = Runs::new(dir.path(), "t".into());
            for (i, text) in texts.iter().enumerate() {
                whole.add([text.as_str()].into_iter());
                part.add([text.as_str()].into_iter());
                if i % every == 0 {
                    runs.spill(&mut part).expect("spilled");
                }
            }
            runs.spill(&mut part).expect("spilled");
            let mut found = Vec::new();
            runs.by_rank(least, limit, &mut |text| { found.push(text.to_owned()); Ok(()) }).expect("merged");
            let ranked = whole.by_rank(least);
            let expected: Vec<String> = ranked.iter().map(|&(text, _)| text.to_owned()).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0, "runs are removed");
        }
    }
}
