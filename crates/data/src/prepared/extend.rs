//! Further rows of a prepared data set.
use super::Prepared;
use super::held::{Found, Held};
use super::limits::Limits;
use super::preparation::{PrepareObserver, going_on};
use super::shards::{Done, Shards};
use super::taken::{TakenFile, taken};
use crate::dataset::Sources;
use crate::durable::sync;
use crate::error::{BadRow, Result};
use crate::pass::Block;
use crate::readers::Input;
use crate::split::{Assigner, Part, Split};
use crate::stop::Stop;
use std::path::Path;

/// What can be extended.
const EXPECTED: &str = "a finished data set";

/// Rows that are to be added to a data set.
#[derive(Debug, Clone, Copy)]
pub struct Extension<'a> {
    /// Where they are.
    pub input: &'a Input,
    /// The part that all of them go to.
    pub part: Part,
    /// Malformed rows that may be skipped.
    pub max_bad_rows: u64,
    /// Threads that read; no result depends on it.
    pub threads: usize,
}

/// A data set after an extension.
#[derive(Debug)]
pub struct Extended {
    /// It.
    pub prepared: Prepared,
    /// The files that were added.
    pub added: Vec<TakenFile>,
    /// Those that were not, as their contents are in the data set already: as they are called now, and as
    /// they were taken.
    pub known: Vec<(TakenFile, TakenFile)>,
}

impl Extension<'_> {
    /// Adds the rows to the data set in `dir`, encoded as its other rows are. A file that it was made of, or
    /// extended by before, adds none.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows; if a file
    /// cannot be written; if another process is at work in `dir`. The data set is then as it was.
    pub fn run(&self, dir: &Path, observer: &mut dyn PrepareObserver) -> Result<Extended> {
        // What is none is left alone.
        Prepared::open(dir)?;
        let before = Found::in_dir(dir)?;
        if matches!(before, Found::Others(_)) {
            return Err(before.refusal(dir, EXPECTED));
        }
        let held = Held::take(dir, "an extension")?;
        match Found::in_dir(dir)? {
            found @ (Found::Unfinished { .. } | Found::Others(_)) => return Err(found.refusal(dir, EXPECTED)),
            // Left by an attempt that came to its end, or to none.
            _ => held.clear_up()?,
        }
        let prepared = Prepared::open(dir)?;
        observer.stage("looking for files that were taken before");
        let files = taken(self.input.files()?, Some(self.part), &mut || observer.rows(0))?;
        let (mut added, mut known): (Vec<TakenFile>, Vec<_>) = (Vec::new(), Vec::new());
        for file in files {
            match prepared.manifest.taken.iter().chain(&added).find(|other| other.sum == file.sum) {
                Some(other) => known.push((file, other.clone())),
                None => added.push(file),
            }
        }
        if added.is_empty() {
            return Ok(Extended { prepared, added, known });
        }
        self.add(&prepared, &added, observer)?;
        Ok(Extended { prepared: Prepared::open(dir)?, added, known })
    }

    /// Adds the rows of these files.
    fn add(
        &self,
        prepared: &Prepared,
        added: &[TakenFile],
        observer: &mut dyn PrepareObserver,
    ) -> Result<()> {
        observer.stage("encoding");
        let Extension { part, max_bad_rows, threads, .. } = *self;
        let paths = added.iter().map(|file| file.file.clone()).collect();
        let (input, split) = (Input { paths, ..self.input.clone() }, Split::default());
        let (validation, test, stop) = (None, None, Stop::never());
        let sources = Sources { main: &input, validation, test, split: &split, max_bad_rows, threads, stop };
        let mut shards = Shards::new(&prepared.encoder, Limits::default(), &prepared.dir, None)
            .behind(part, prepared.files(part).count());
        let mut rows = 0;
        let encode = |block: &Block| prepared.encoder.encode_block(block);
        let (schema, assigner) = (prepared.encoder.schema(), Assigner::All(part));
        let skipped = sources.pass(schema, &assigner, None, &encode, &mut |block, encoded, _| {
            shards.push(block, &encoded)?;
            rows += block.rows().len() as u64;
            going_on(observer.rows(rows))
        })?;
        let done = shards.finish()?;
        observer.stage("saving");
        self.save(prepared, added, done, skipped)
    }

    /// Puts the manifest in place that knows the new files too.
    fn save(
        &self,
        prepared: &Prepared,
        added: &[TakenFile],
        done: Done,
        (skipped, bad_rows): (u64, Vec<BadRow>),
    ) -> Result<()> {
        let (dir, part, mut manifest) = (&prepared.dir, self.part, prepared.manifest.clone());
        done.files.iter().try_for_each(|file| sync(&dir.join(&file.name)))?;
        let (old, new) = (&mut manifest.parts[part], &done.parts[part]);
        old.rows += new.rows;
        old.label_sum += new.label_sum;
        old.weight_sum += new.weight_sum;
        old.counts.iter_mut().zip(&new.counts).for_each(|(old, new)| *old = old.plus(*new));
        let values = new.counts.iter().map(|counts| counts.values).sum();
        manifest.values = manifest.values.saturating_add(values);
        manifest.skipped = manifest.skipped.saturating_add(skipped);
        manifest.bad_rows.extend(bad_rows);
        if manifest.samples[part].rows.is_empty() {
            manifest.samples[part] = done.samples[part].clone();
        }
        manifest.files.extend(done.files);
        // The manifest is of this version now, and says so.
        manifest.renew();
        manifest.taken.extend(added.iter().cloned());
        manifest.settings.input.paths.extend(added.iter().map(|file| file.file.clone()));
        manifest.write(dir)
    }
}
