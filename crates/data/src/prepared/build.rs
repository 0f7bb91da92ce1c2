//! Making a prepared data set, in passes that can be interrupted at any moment.
//!
//! What is done is on disk in `.work`: where a pass stands and what it has made so far, the fitted encoder,
//! the files of finished rounds. A later attempt resumes with the next row; of rows before it, only those of
//! the same file are read again.
use super::encoding::Encoding;
use super::fitting::Fit;
use super::manifest::{Manifest, Settings};
use super::preparation::{Preparation, PrepareObserver};
use super::round;
use super::shards::Done;
use super::taken::{TakenFile, taken};
use super::work::WorkDir;
use super::{ENCODER, Prepared};
use crate::dataset::Sources;
use crate::durable::{sync, write_atomically};
use crate::error::{Error, Hint, Result};
use crate::readers::Input;
use crate::row::RawRow;
use crate::rows::OpenRows;
use crate::split::{Part, Parts};
use crate::threads::spawn_scoped;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

const ROUNDS: &str = "rounds.json";
const TAKEN: &str = "taken.json";

/// What the passes over the rows have made.
struct Made {
    fit: Fit,
    done: Done,
    taken: Vec<TakenFile>,
}

impl Preparation<'_> {
    /// Makes the data set in `dir`, or resumes an interrupted preparation of the same rows there. A data set
    /// that is replaced stays until the new one is whole.
    ///
    /// # Errors
    /// A file that cannot be read or written, too many malformed rows, a directory that holds something else,
    /// too little memory;
    /// [`Error::Interrupted`] where the observer wishes to stop. Running it again resumes it.
    pub fn run(&self, dir: &Path, observer: &mut dyn PrepareObserver) -> Result<Prepared> {
        let Some(work) = WorkDir::begin(dir, &self.key()?, self.start)? else { return Prepared::open(dir) };
        match self.make(dir, &work, observer) {
            Ok(made) => {
                observer.stage("saving");
                self.save(dir, &work, made)?;
                work.finish()?;
                Prepared::open(dir)
            }
            Err(error) => {
                if !matches!(error, Error::Interrupted | Error::Io { .. }) {
                    // The same rows would end in the same error: there is nothing to resume.
                    work.finish()?;
                }
                Err(error)
            }
        }
    }

    /// Makes all files but the manifest. What the raw ones hold is summed up on a thread beside, which reads
    /// what the passes read too.
    fn make(&self, dir: &Path, work: &WorkDir, observer: &mut dyn PrepareObserver) -> Result<Made> {
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let taking = spawn_scoped(scope, || self.taken(work, &stopped))?;
            let passes = self.passes(dir, work, observer);
            stopped.store(passes.is_err(), Ordering::Relaxed);
            let taken = taking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let (fit, done) = passes?;
            Ok(Made { fit, done, taken: taken? })
        })
    }

    /// Fits the encoder and encodes all rows.
    fn passes(&self, dir: &Path, work: &WorkDir, observer: &mut dyn PrepareObserver) -> Result<(Fit, Done)> {
        let mut fit = self.fit(work, observer)?;
        let rounds = work.stored_or(ROUNDS, || round::plan(&fit.sizes, self.limits.vocabularies))?;
        let encoding = Encoding { preparation: self, dir, work, rounds: &rounds };
        let mut done = None;
        for number in 0..rounds.len() {
            done = Some(encoding.round(number, &mut fit, observer)?);
        }
        let done = done.expect("at least one round");
        self.check_unchanged(&fit, &done)?;
        Ok((fit, done))
    }

    /// The files of raw rows, known by their contents.
    fn taken(&self, work: &WorkDir, stopped: &AtomicBool) -> Result<Vec<TakenFile>> {
        if let Some(taken) = work.stored(TAKEN) {
            return Ok(taken);
        }
        let mut all = Vec::new();
        for (input, part) in self.files() {
            all.extend(taken(input?, part, &mut || !stopped.load(Ordering::Relaxed))?);
        }
        work.store(TAKEN, &all)?;
        Ok(all)
    }

    /// The files of each input with the part of their rows, where all have the same.
    fn files(&self) -> impl Iterator<Item = (Result<Vec<PathBuf>>, Option<Part>)> {
        let Settings { input, validation, test, .. } = &self.settings;
        let inputs = [(&input.paths, None), (validation, Some(Part::Validation)), (test, Some(Part::Test))];
        let given = inputs.into_iter().filter(|(paths, _)| !paths.is_empty());
        given.map(|(paths, part)| (Input { paths: paths.clone(), ..input.clone() }.files(), part))
    }

    /// Every pass must have seen the same number of rows.
    fn check_unchanged(&self, fit: &Fit, done: &Done) -> Result<()> {
        let found = done.parts.each_ref().map(|stats| stats.rows);
        if found == fit.seen.rows {
            return Ok(());
        }
        let all = |rows: Parts<u64>| format!("{} rows", rows.values().sum::<u64>());
        let expected = format!("{} in every pass", all(fit.seen.rows));
        let error = Error::input(self.sources.main.name(), expected, all(found));
        let hint =
            Hint::from("the files were changed meanwhile: prepare them again with ").name("run.overwrite");
        Err(error.with_hint(hint))
    }

    /// Puts the encoder and, when all else lies safe on disk, the manifest into `dir`.
    fn save(&self, dir: &Path, work: &WorkDir, made: Made) -> Result<()> {
        let Made { fit, done, taken } = made;
        done.files.iter().try_for_each(|file| sync(&dir.join(&file.name)))?;
        let mut manifest = Manifest::new(self.settings.clone(), fit.encoder);
        let fitted = work.join(ENCODER);
        let encoder = fs::read(&fitted).map_err(Error::io("read", &fitted))?;
        write_atomically(&dir.join(&manifest.encoder_file), &encoder)?;
        (manifest.parts, manifest.samples, manifest.files) = (done.parts, done.samples, done.files);
        (manifest.values, manifest.taken) = (fit.seen.values, taken);
        (manifest.skipped, manifest.bad_rows) = (fit.seen.skipped, fit.seen.bad_rows);
        manifest.write(dir)
    }

    /// Stands for everything that decides the data set: settings, schema, and name, length and time of each
    /// file.
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
        if self.settings.input.paths.is_empty() {
            let Sources { main, validation, test, .. } = *self.sources;
            for rows in [Some(main), validation, test].into_iter().flatten() {
                text.push_str(&format!("\n{:016x}", self.contents(rows)?));
            }
        }
        for (files, _) in self.files() {
            for path in files? {
                let facts = fs::metadata(&path).map_err(Error::io("open", &path))?;
                text.push_str(&format!("\n{} {} {:?}", path.display(), facts.len(), facts.modified().ok()));
            }
        }
        Ok(format!("{:032x}", xxh3_128(text.as_bytes())))
    }

    /// What tells rows apart that come from no file.
    fn contents(&self, rows: &dyn OpenRows) -> Result<u64> {
        let (mut source, mut row) = (self.sources.stop.over(rows.open_rows()?), RawRow::default());
        let mut hash = xxh3_64(source.columns().join("\n").as_bytes());
        loop {
            match source.next_row(&mut row) {
                Ok(true) => hash = row.hash(hash),
                Ok(false) => return Ok(hash),
                // The passes will tell of it.
                Err(Error::Row(_)) => {}
                Err(other) => return Err(other),
            }
        }
    }
}
