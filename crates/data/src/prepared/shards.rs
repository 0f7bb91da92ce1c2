//! The files of rows of a round, filled as the rows come by.
use super::limits::Limits;
use super::shard::{Form, ShardFile};
use crate::batch::Batch;
use crate::counts::EncodedCounts;
use crate::dataset::{PartStats, StoredRows};
use crate::durable::sync;
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::pass::Block;
use crate::split::{Part, Parts};
use crate::threads;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// First rows of each part that are kept as text.
const SAMPLE_ROWS: usize = 8;
/// Rows of a file are counted in steps of so many; it ends behind a step.
const STEP: usize = 256;

/// A finished file and the counts of its values.
pub(super) type Counted = (ShardFile, Vec<EncodedCounts>);

/// The files of a round being written.
pub(super) struct Shards<'a> {
    encoder: &'a Encoder,
    limits: Limits,
    form: Form,
    into: &'a Path,
    /// These rows after the round before.
    earlier: Option<&'a (PathBuf, Done)>,
    parts: Parts<PartShards>,
    files: Vec<ShardFile>,
    picks: Vec<u32>,
    /// The file that a thread of its own writes meanwhile.
    writing: Option<JoinHandle<Result<Counted>>>,
}

/// The file of a part being filled.
pub(super) struct PartShards {
    number: usize,
    rows: Batch,
    stats: PartStats,
    sample: StoredRows,
}

/// What a whole round has seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub parts: Parts<PartStats>,
    pub samples: Parts<StoredRows>,
    pub files: Vec<ShardFile>,
}

/// What a later attempt resumes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedShards {
    done: Done,
    numbers: Parts<usize>,
    /// The rows of files that are not full, in files of `.work`.
    begun: Vec<ShardFile>,
}

impl Done {
    /// Whether its files lie in `dir`, as far as their lengths tell.
    pub(super) fn is_in(&self, dir: &Path) -> bool {
        let is_there = |file: &ShardFile| {
            std::fs::metadata(dir.join(&file.name)).is_ok_and(|facts| facts.len() == file.sum.bytes)
        };
        self.files.iter().all(is_there)
    }
}

impl SavedShards {
    /// Names of the files of `.work`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.begun.iter().map(|file| file.name.as_str())
    }
}

impl<'a> Shards<'a> {
    pub(super) fn new(
        encoder: &'a Encoder,
        limits: Limits,
        into: &'a Path,
        earlier: Option<&'a (PathBuf, Done)>,
    ) -> Self {
        let form = Form::new(encoder);
        let parts = Parts::from_fn(|_| PartShards {
            number: 0,
            rows: form.batch(),
            stats: PartStats { counts: encoder.counts(), ..PartStats::default() },
            sample: StoredRows::default(),
        });
        Shards {
            encoder,
            limits,
            form,
            into,
            earlier,
            parts,
            files: Vec::new(),
            picks: Vec::new(),
            writing: None,
        }
    }

    /// Resumes what was saved in `work`; `false` if a part of it is not what it was.
    pub(super) fn restore(&mut self, work: &Path, saved: SavedShards) -> bool {
        let SavedShards { done, numbers, begun } = saved;
        if !done.files.iter().all(|file| self.form.open(&self.into.join(&file.name), &file.sum).is_ok()) {
            return false;
        }
        for file in &begun {
            let Ok(shard) = self.form.open(&work.join(&file.name), &file.sum) else { return false };
            if shard.append(&mut self.parts[file.part].rows, 0..shard.rows()).is_err() {
                return false;
            }
        }
        self.files = done.files;
        for (part, own) in self.parts.iter_mut() {
            own.number = numbers[part];
            own.stats.clone_from(&done.parts[part]);
            own.sample.clone_from(&done.samples[part]);
        }
        true
    }

    /// Puts the rows of files that are not full into files of `work` whose names end with `number`, and says
    /// where all is.
    pub(super) fn save(&mut self, work: &Path, number: u64) -> Result<SavedShards> {
        self.written()?;
        let mut begun = Vec::new();
        for (part, own) in self.parts.iter().filter(|(_, own)| !own.rows.is_empty()) {
            let stem = format!("begun-{}-{number}", part.name());
            let (name, sum) = self.form.write(work, &stem, own.rows.clone(), |_| format!("{stem}.arrow"))?;
            sync(&work.join(&name))?;
            begun.push(ShardFile { name, part, rows: own.rows.len(), sum });
        }
        let done = Done {
            parts: self.parts.each_ref().map(|own| own.stats.clone()),
            samples: self.parts.each_ref().map(|own| own.sample.clone()),
            files: self.files.clone(),
        };
        Ok(SavedShards { done, numbers: self.parts.each_ref().map(|own| own.number), begun })
    }

    /// Begins behind so many files of `part`.
    pub(super) fn behind(mut self, part: Part, files: usize) -> Self {
        self.parts[part].number = files;
        self
    }

    /// Takes in the rows of a block, which are encoded.
    pub(super) fn push(&mut self, block: &Block, encoded: &Batch) -> Result<()> {
        let mut picks = std::mem::take(&mut self.picks);
        for part in Part::ALL {
            block.pick(part, &mut picks);
            let own = &mut self.parts[part];
            for row in block.picked(&picks).iter() {
                own.stats.add(row);
                if own.sample.rows.len() < SAMPLE_ROWS {
                    own.sample.columns = block.columns().to_vec();
                    own.sample.rows.push(row.raw.fields().map(str::to_owned).collect());
                }
            }
            let mut rest = &picks[..];
            while !rest.is_empty() {
                rest = &rest[self.take(part, encoded, rest)?..];
            }
        }
        self.picks = picks;
        Ok(())
    }

    /// Takes in some of the picked rows, which are of `part`: as many as the step that is begun has room for.
    /// How many.
    fn take(&mut self, part: Part, encoded: &Batch, picks: &[u32]) -> Result<usize> {
        let batch = &mut self.parts[part].rows;
        let count = picks.len().min(STEP - batch.len() % STEP);
        self.form.extend(batch, encoded, &picks[..count]);
        let full = batch.len() >= self.limits.shard_rows || self.form.bytes(batch) >= self.limits.shard_bytes;
        if batch.len().is_multiple_of(STEP) && full {
            self.close(part)?;
        }
        Ok(count)
    }

    /// Writes the file of `part` that is begun.
    fn close(&mut self, part: Part) -> Result<()> {
        let own = &mut self.parts[part];
        if own.rows.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::replace(&mut own.rows, self.form.batch());
        let stem = stem(part, own.number);
        if let Some((dir, done)) = self.earlier {
            let file = done.files.iter().find(|file| file.name.starts_with(&format!("{stem}-")));
            let file = file
                .ok_or_else(|| Error::input(dir.display().to_string(), format!("the file {stem}"), "none"))?;
            let (shard, mut before) = (self.form.open(&dir.join(&file.name), &file.sum)?, self.form.batch());
            shard.append(&mut before, 0..shard.rows())?;
            self.encoder.join_rounds(&mut batch, &before);
        }
        self.parts[part].number += 1;
        let (rows, counts) = (batch.len(), self.encoder.counts_of(&batch));
        let (into, form) = (self.into.to_owned(), self.form.clone());
        self.written()?;
        let write = move || {
            let (name, sum) =
                form.write(&into, &stem, batch, |sum| format!("{stem}-{}.arrow", sum.short()))?;
            Ok((ShardFile { name, part, rows, sum }, counts))
        };
        self.writing = Some(threads::spawn(write)?);
        Ok(())
    }

    /// Waits for the file that is being written.
    fn written(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let (file, counts) = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.note(file, &counts);
        Ok(())
    }

    /// A file is on disk.
    fn note(&mut self, file: ShardFile, counts: &[EncodedCounts]) {
        let stats = &mut self.parts[file.part].stats;
        stats.counts.iter_mut().zip(counts).for_each(|(all, new)| *all = all.plus(*new));
        self.files.push(file);
    }

    /// Closes what is open.
    pub(super) fn finish(mut self) -> Result<Done> {
        Part::ALL.into_iter().try_for_each(|part| self.close(part))?;
        self.written()?;
        let mut files = std::mem::take(&mut self.files);
        // Numbers may outgrow their five digits.
        files.sort_by(|a, b| {
            (a.part as usize, a.name.len(), &a.name).cmp(&(b.part as usize, b.name.len(), &b.name))
        });
        Ok(Done {
            parts: Parts::from_fn(|part| std::mem::take(&mut self.parts[part].stats)),
            samples: Parts::from_fn(|part| std::mem::take(&mut self.parts[part].sample)),
            files,
        })
    }
}

impl Drop for Shards<'_> {
    /// After a failure: nothing is being written any more when the directory is looked at again.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            // The failure that led here is the one to report.
            let _ = writing.join();
        }
    }
}

/// What the name of a file begins with.
fn stem(part: Part, number: usize) -> String {
    format!("{}-{number:05}", part.name())
}
