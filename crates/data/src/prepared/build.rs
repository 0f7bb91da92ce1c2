//! Making a prepared data set, in passes that can be interrupted at any moment.
//!
//! What is done is on disk in `.work`: where a pass stands and what it has made so far, the fitted encoder,
//! the files of finished rounds. A later attempt resumes with the next row; of rows before it, only those of
//! the same file are read again.
use super::encoding::Encoding;
use super::fitting::Fit;
use super::manifest::Manifest;
use super::preparation::{Preparation, PrepareObserver};
use super::round;
use super::shards::Done;
use super::work::WorkDir;
use super::{ENCODER, Prepared};
use crate::durable::{sync, write_atomically};
use crate::error::{Error, Hint, Result};
use crate::readers::Input;
use crate::split::Parts;
use std::fs;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

const ROUNDS: &str = "rounds.json";

impl Preparation<'_> {
    /// Makes the data set in `dir`, or resumes an interrupted preparation of the same rows there.
    ///
    /// # Errors
    /// A file that cannot be read or written, too many malformed rows, a directory that holds something else,
    /// too little memory;
    /// [`Error::Interrupted`] where the observer wishes to stop. Running it again resumes it.
    pub fn run(&self, dir: &Path, observer: &mut dyn PrepareObserver) -> Result<Prepared> {
        let work = WorkDir::begin(dir, &self.key()?, self.start)?;
        let mut fit = self.fit(&work, observer)?;
        let rounds = work.stored_or(ROUNDS, || round::plan(&fit.sizes, self.limits.vocabularies))?;
        let encoding = Encoding { preparation: self, dir, work: &work, rounds: &rounds };
        let mut done = None;
        for number in 0..rounds.len() {
            done = Some(encoding.round(number, &mut fit, observer)?);
        }
        let done = done.expect("at least one round");
        self.check_unchanged(&fit, &done)?;
        observer.stage("saving");
        self.save(dir, &work, fit, done)?;
        work.remove()?;
        Prepared::open(dir)
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
    fn save(&self, dir: &Path, work: &WorkDir, fit: Fit, done: Done) -> Result<()> {
        done.files.iter().try_for_each(|file| sync(&dir.join(&file.name)))?;
        let fitted = work.join(ENCODER);
        let encoder = fs::read(&fitted).map_err(Error::io("read", &fitted))?;
        write_atomically(&dir.join(ENCODER), &encoder)?;
        let mut manifest = Manifest::new(self.settings.clone(), fit.encoder);
        (manifest.parts, manifest.samples, manifest.files) = (done.parts, done.samples, done.files);
        manifest.values = fit.seen.values;
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
}
