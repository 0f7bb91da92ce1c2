//! Making a prepared data set, in passes that can be interrupted at any moment.
//!
//! What is done is on disk in `.work`: where a pass stands and what it has made so far, the fitted encoder, the files of finished
//! rounds. A later attempt goes on with the row behind; rows before it are read no more than their file demands.
use super::limits::Limits;
use super::manifest::{MANIFEST, Manifest, Settings, put};
use super::round::{self, Round};
use super::shard::FileSum;
use super::shards::{Done, SavedShards, Shards};
use super::{ENCODER, Prepared};
use crate::dataset::{FitWatch, Fitting, Seen, Sources};
use crate::error::{Error, Hint, Result};
use crate::fit::{EncoderFit, SavedFit, VocabularySize};
use crate::pass::{Block, Place};
use crate::readers::Input;
use crate::schema::Schema;
use crate::split::{Assigner, Part, Split};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

const WORK: &str = ".work";
const KEY: &str = "key.txt";
const SEEN: &str = "seen.json";
const FITTING: &str = "fitting.json";
const ROUNDS: &str = "rounds.json";
/// Where a preparation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a directory that holds nothing, or an unfinished preparation of the same rows, which is gone on with.
    Fresh,
    /// Replacing what the directory holds.
    Overwrite,
}

/// What a preparation tells while it goes.
pub trait PrepareObserver: Send {
    /// A new part of the work begins.
    fn stage(&mut self, name: &str);
    /// So many rows of this part have gone by. `false` if the user wants to stop.
    fn rows(&mut self, rows: u64) -> bool;
}

/// A preparation to be done.
pub struct Preparation<'a> {
    /// The rows.
    pub sources: &'a Sources<'a>,
    /// Meaning of their columns.
    pub schema: &'a Schema,
    /// Where they come from, to be noted down.
    pub settings: Settings,
    /// What may be in memory at once.
    pub limits: Limits,
    /// What may be in the directory.
    pub start: Start,
}

/// What fitting has left in `.work`.
#[derive(Serialize, Deserialize)]
struct Fit {
    seen: Seen,
    sizes: Vec<VocabularySize>,
    encoder: FileSum,
    /// Whether all rows have been seen; else they are while they are encoded, as nothing in their codes depends on others.
    is_whole: bool,
}

/// Where fitting stands.
#[derive(Serialize, Deserialize)]
struct FitPoint {
    fitting: Fitting,
    place: Place,
    fit: SavedFit,
}

/// Where a round stands.
#[derive(Serialize, Deserialize)]
enum RoundPoint {
    /// So many rows are encoded, and seen where no pass before has done that.
    Going { rows: u64, place: Place, shards: SavedShards, seen: Option<Box<(Fitting, SavedFit)>> },
    /// All.
    Done(Done),
}

/// Tells of fitting, and saves it from time to time.
struct Saver<'a> {
    observer: &'a mut dyn PrepareObserver,
    path: &'a Path,
    every: u64,
    /// Rows read when it was saved last.
    saved: Option<u64>,
}

impl FitWatch for Saver<'_> {
    fn rows(&mut self, rows: u64) -> Result<()> {
        going_on(self.observer.rows(rows))
    }

    fn place(&mut self, fit: &mut EncoderFit, fitting: &Fitting, place: &Place, ends: bool) -> Result<()> {
        if !ends && self.saved.is_some_and(|saved| fitting.read < saved + self.every) {
            return Ok(());
        }
        self.saved = Some(fitting.read);
        let Some(fit) = fit.save()? else { return Ok(()) };
        let point = FitPoint { fitting: fitting.clone(), place: place.clone(), fit };
        put(self.path, &serde_json::to_vec(&point).expect("plain data"))
    }
}

impl Preparation<'_> {
    /// Makes the data set in `dir`.
    ///
    /// # Errors
    /// As reading and the file system; a directory that holds something else; too little memory; [`Error::Interrupted`].
    pub fn run(&self, dir: &Path, observer: &mut dyn PrepareObserver) -> Result<Prepared> {
        let work = self.begin(dir)?;
        let _lock = lock(&work)?;
        let mut fit = self.fit(&work, observer)?;
        let rounds = rounds(&work, &fit.sizes, self.limits.vocabularies)?;
        let mut done = None;
        for number in 0..rounds.len() {
            done = Some(self.round(dir, &work, &mut fit, &rounds, number, observer)?);
        }
        let done = done.expect("at least one round");
        if [0, 1, 2].map(|part| done.parts[part].rows) != fit.seen.rows {
            let rows = |rows: [u64; 3]| format!("{} rows", rows.iter().sum::<u64>());
            let found = rows([0, 1, 2].map(|part| done.parts[part].rows));
            let error = Error::input(
                self.sources.main.name(),
                format!("{} in every pass", rows(fit.seen.rows)),
                found,
            );
            return Err(error.with_hint(
                Hint::from("the files were changed meanwhile: prepare them again with ")
                    .name("run.overwrite"),
            ));
        }
        observer.stage("saving");
        for file in &done.files {
            sync(&dir.join(&file.name))?;
        }
        put(
            &dir.join(ENCODER),
            &fs::read(work.join(ENCODER)).map_err(Error::io("read", &work.join(ENCODER)))?,
        )?;
        let mut manifest = Manifest::new(self.settings.clone(), fit.encoder);
        manifest.parts = done.parts;
        manifest.samples = done.samples;
        manifest.files = done.files;
        (manifest.values, manifest.skipped, manifest.bad_rows) =
            (fit.seen.values, fit.seen.skipped, fit.seen.bad_rows);
        manifest.write(dir)?;
        remove(&work)?;
        Prepared::open(dir)
    }

    /// Readies the directory and `.work` in it.
    fn begin(&self, dir: &Path) -> Result<PathBuf> {
        let work = dir.join(WORK);
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let key = self.key()?;
        let stored = fs::read_to_string(work.join(KEY)).ok();
        let ours = Prepared::is_in(dir) || stored.is_some();
        if stored.is_some() {
            lock(&work)?;
        }
        if self.start == Start::Overwrite && ours {
            clear(dir)?;
        } else if !dir.join(MANIFEST).exists() && stored.as_ref() == Some(&key) {
            return Ok(work);
        }
        // A directory that was begun and has no key holds nothing yet.
        let others = fs::read_dir(dir)
            .map_err(Error::io("list", dir))?
            .flatten()
            .filter(|entry| entry.file_name() != WORK)
            .count();
        let found = match stored.filter(|_| self.start == Start::Fresh) {
            _ if Prepared::is_in(dir) => "a finished data set",
            Some(_) => "an unfinished preparation of other files or settings",
            None if others > 0 && !ours => "other files",
            None => "",
        };
        if !found.is_empty() {
            let error = Error::input(
                format!("output directory {}", dir.display()),
                "a new or empty directory",
                found,
            );
            let hint = if ours {
                Hint::default()
                    .name("run.overwrite")
                    .say(" to replace it, or ")
                    .name("run.out")
                    .say(" another directory")
            } else {
                Hint::from("give another directory with ").name("run.out")
            };
            return Err(error.with_hint(hint));
        }
        remove(&work)?;
        fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
        put(&work.join(KEY), key.as_bytes())?;
        Ok(work)
    }

    /// Stands for everything that decides the data set: settings, schema, and name, length and time of each file.
    fn key(&self) -> Result<String> {
        let shards = (self.limits.shard_rows, self.limits.shard_bytes);
        let mut text = serde_json::to_string(&(
            &self.settings,
            self.sources.main.name(),
            self.schema,
            shards,
            env!("CARGO_PKG_VERSION"),
        ))
        .expect("plain data");
        let (validation, test) = (&self.settings.validation, &self.settings.test);
        for paths in
            [&self.settings.input.paths, validation, test].into_iter().filter(|paths| !paths.is_empty())
        {
            let input = Input { paths: paths.clone(), ..self.settings.input.clone() };
            for path in input.files()? {
                let facts = fs::metadata(&path).map_err(Error::io("open", &path))?;
                text.push_str(&format!("\n{} {} {:?}", path.display(), facts.len(), facts.modified().ok()));
            }
        }
        Ok(format!("{:032x}\n", xxh3_128(text.as_bytes())))
    }

    /// Fits the encoder, or finds it fitted.
    fn fit(&self, work: &Path, observer: &mut dyn PrepareObserver) -> Result<Fit> {
        let path = work.join(SEEN);
        if let Some(fit) = stored(&path) {
            return Ok(fit);
        }
        let encoder = work.join(ENCODER);
        if let Some(assigner) = self.sources.known_before(self.schema)? {
            let sizes = EncoderFit::new(self.schema).finish_to(&encoder)?;
            return Ok(Fit {
                seen: Fitting::new(assigner).seen,
                sizes,
                encoder: sum_of(&encoder)?,
                is_whole: false,
            });
        }
        observer.stage("fitting the encoder");
        let (counts, point) = (work.join("counts"), work.join(FITTING));
        fs::create_dir_all(&counts).map_err(Error::io("create", &counts))?;
        let begin = || {
            EncoderFit::new(self.schema)
                .with_spill(&counts, self.limits.counts.map_or(usize::MAX, |limit| limit as usize))
        };
        let mut fit = begin();
        let mut from = None;
        if let Some(FitPoint { fitting, place, fit: saved }) = stored(&point)
            && fit.restore(saved)
        {
            from = Some((fitting, place));
        } else {
            remove(&counts)?;
            fs::create_dir_all(&counts).map_err(Error::io("create", &counts))?;
            fit = begin();
        }
        let saved = from.as_ref().map(|(fitting, _)| fitting.read);
        let mut saver = Saver { observer, path: &point, every: self.limits.save_rows, saved };
        let seen = self.sources.observe(self.schema, &mut fit, from, &mut saver)?;
        let sizes = fit.finish_to(&encoder)?;
        let fit = Fit { seen, sizes, encoder: sum_of(&encoder)?, is_whole: true };
        put(&path, &serde_json::to_vec(&fit).expect("plain data"))?;
        remove(&counts)?;
        Ok(fit)
    }

    /// Does round `number`, or finds it done.
    fn round(
        &self,
        dir: &Path,
        work: &Path,
        fit: &mut Fit,
        rounds: &[Round],
        number: usize,
        observer: &mut dyn PrepareObserver,
    ) -> Result<Done> {
        let dir_of = |number: usize| {
            if number + 1 == rounds.len() { dir.to_owned() } else { work.join(format!("round-{number}")) }
        };
        let point_of = |number: usize| work.join(format!("round-{number}.json"));
        let (into, point, before) = (dir_of(number), point_of(number), number.checked_sub(1).map(dir_of));
        fs::create_dir_all(&into).map_err(Error::io("create", &into))?;
        let saved = match stored(&point) {
            Some(RoundPoint::Done(done)) => return Ok(done),
            Some(RoundPoint::Going { rows, place, shards, seen }) => Some((rows, place, shards, seen)),
            None => None,
        };
        let which = if rounds.len() > 1 {
            format!(" (round {} of {})", number + 1, rounds.len())
        } else {
            String::new()
        };
        observer.stage(&format!("encoding{which}"));
        let encoder = round::encoder(&work.join(ENCODER), &rounds[number], &fit.sizes)?;
        let earlier = match &before {
            Some(before) => match stored(&point_of(number - 1)) {
                Some(RoundPoint::Done(done)) => Some((before.clone(), done)),
                _ => {
                    return Err(Error::input(
                        work.display().to_string(),
                        "the files of the round before",
                        "none",
                    ));
                }
            },
            None => None,
        };
        let begin = || Shards::new(&encoder, self.limits, &into, earlier.as_ref());
        let unseen = || {
            (
                Fitting::new(fit.seen.assigner.clone()),
                EncoderFit::new(self.schema).with_spill(work, usize::MAX),
            )
        };
        let mut seeing = (!fit.is_whole).then(unseen);
        let (mut shards, mut rows, mut from) = (begin(), 0, None);
        if let Some((at, place, saved, seen)) = saved {
            let seen_again = match (&mut seeing, seen) {
                (None, _) => true,
                (Some((fitting, fit)), Some(saved)) => {
                    *fitting = saved.0;
                    fit.restore(saved.1)
                }
                (Some(_), None) => false,
            };
            if seen_again && shards.restore(work, saved) {
                (rows, from) = (at, Some(place));
            } else {
                shards = begin();
                seeing = (!fit.is_whole).then(unseen);
            }
        }
        let mut saved = rows;
        let encode = |block: &Block| encoder.encode_block(block);
        let (skipped, bad_rows) = self.sources.pass(
            self.schema,
            &fit.seen.assigner,
            from,
            &encode,
            &mut |block, encoded, place| {
                shards.push(block, &encoded)?;
                if let Some((fitting, fit)) = &mut seeing {
                    fitting.observe(self.schema, block, fit)?;
                }
                rows += block.rows().len() as u64;
                let go_on = going_on(observer.rows(rows));
                if go_on.is_ok() && rows < saved + self.limits.save_rows {
                    return Ok(());
                }
                saved = rows;
                let shards = shards.save(work, rows)?;
                let names: Vec<String> = shards.names().map(str::to_owned).collect();
                let seen = match &mut seeing {
                    Some((fitting, fit)) => fit.save()?.map(|fit| Box::new((fitting.clone(), fit))),
                    None => None,
                };
                put(
                    &point,
                    &serde_json::to_vec(&RoundPoint::Going { rows, place: place.clone(), shards, seen })
                        .expect("plain data"),
                )?;
                forget_begun(work, &names)?;
                go_on
            },
        )?;
        if let Some((fitting, rows)) = seeing {
            let path = work.join(ENCODER);
            let sizes = rows.finish_to(&path)?;
            *fit = Fit {
                seen: self.sources.seen(fitting, skipped, bad_rows)?,
                sizes,
                encoder: sum_of(&path)?,
                is_whole: true,
            };
            put(&work.join(SEEN), &serde_json::to_vec(fit).expect("plain data"))?;
        }
        let done = shards.finish()?;
        put(&point, &serde_json::to_vec(&RoundPoint::Done(done.clone())).expect("plain data"))?;
        before.map_or(Ok(()), |before| remove(&before))?;
        Ok(done)
    }
}

/// What an earlier attempt has left in the file `path`.
fn stored<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Removes the files of rows that were begun at an earlier place, all but those named.
fn forget_begun(work: &Path, names: &[String]) -> Result<()> {
    for entry in fs::read_dir(work).map_err(Error::io("list", work))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("begun-") && !names.contains(&name) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Makes sure that nobody else works here, as long as what is returned lives.
fn lock(work: &Path) -> Result<File> {
    let path = work.join(KEY);
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let error = Error::input(
                work.display().to_string(),
                "nobody at work in this directory",
                "another preparation",
            );
            Err(error
                .with_hint(Hint::from("wait for its end, or give another directory with ").name("run.out")))
        }
        // A file system without locks is none that two preparations share by chance.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// The rounds of encoding, or those that an earlier attempt has begun with.
fn rounds(work: &Path, sizes: &[VocabularySize], budget: Option<u64>) -> Result<Vec<Round>> {
    let path = work.join(ROUNDS);
    if let Some(rounds) = stored(&path) {
        return Ok(rounds);
    }
    let rounds = round::plan(sizes, budget);
    put(&path, &serde_json::to_vec(&rounds).expect("plain data"))?;
    Ok(rounds)
}

fn going_on(go_on: bool) -> Result<()> {
    if go_on { Ok(()) } else { Err(Error::Interrupted) }
}

/// Adds rows to the data set in `dir`, encoded as its other rows are; all of them to `part`.
///
/// # Errors
/// As reading and the file system; the data set is then as it was.
pub fn extend(
    dir: &Path,
    input: &Input,
    max_bad_rows: u64,
    threads: usize,
    part: Part,
    observer: &mut dyn PrepareObserver,
) -> Result<Prepared> {
    let split = Split::default();
    let sources = Sources { main: input, validation: None, test: None, split: &split, max_bad_rows, threads };
    let prepared = Prepared::open(dir)?;
    let mut manifest = prepared.manifest.clone();
    observer.stage("encoding");
    let work = dir.join(WORK);
    remove(&work)?;
    fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
    let mut shards = Shards::new(&prepared.encoder, Limits::default(), dir, None)
        .behind(part, prepared.files(part).count());
    let mut rows = 0;
    let encode = |block: &Block| prepared.encoder.encode_block(block);
    let (skipped, bad_rows) = sources.pass(
        prepared.encoder.schema(),
        &Assigner::All(part),
        None,
        &encode,
        &mut |block, encoded, _| {
            shards.push(block, &encoded)?;
            rows += block.rows().len() as u64;
            going_on(observer.rows(rows))
        },
    )?;
    let done = shards.finish()?;
    observer.stage("saving");
    done.files.iter().try_for_each(|file| sync(&dir.join(&file.name)))?;
    let (old, new) = (&mut manifest.parts[part as usize], &done.parts[part as usize]);
    old.rows += new.rows;
    old.label_sum += new.label_sum;
    old.weight_sum += new.weight_sum;
    old.counts.iter_mut().zip(&new.counts).for_each(|(old, new)| *old = old.plus(*new));
    manifest.values += new.counts.iter().map(|counts| counts.values).sum::<u64>();
    manifest.skipped += skipped;
    manifest.bad_rows.extend(bad_rows);
    if manifest.samples[part as usize].rows.is_empty() {
        manifest.samples[part as usize] = done.samples[part as usize].clone();
    }
    manifest.files.extend(done.files);
    manifest.settings.input.paths.extend(input.paths.iter().cloned());
    manifest.write(dir)?;
    remove(&work)?;
    Prepared::open(dir)
}

pub(super) fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
}

/// Length and checksum of a file, read piece by piece.
fn sum_of(path: &Path) -> Result<FileSum> {
    let mut sum = super::shard::Summed::new(std::io::sink());
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    std::io::copy(&mut file, &mut sum).map_err(Error::io("read", path))?;
    Ok(sum.sum())
}

/// Removes a directory, if it is there.
pub(super) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// Removes a data set, finished or not, and nothing else. The manifest goes first: without it the rest is none.
fn clear(dir: &Path) -> Result<()> {
    let rows = |name: &str| {
        Part::ALL.iter().any(|part| name.strip_prefix(part.name()).is_some_and(|rest| rest.starts_with('-')))
    };
    let ours = |name: &str| {
        rows(name) && (name.ends_with(".arrow") || name.ends_with(".partial")) || name.starts_with("encoder.")
    };
    if Prepared::is_in(dir) {
        let path = dir.join(MANIFEST);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.file_name().is_some_and(|name| ours(&name.to_string_lossy())) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    remove(&dir.join(WORK))
}
