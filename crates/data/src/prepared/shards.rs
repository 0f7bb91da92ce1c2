//! The files of rows of a round, filled as the rows come by.
use super::journal::{Done, Journal, Line};
use super::limits::Limits;
use super::manifest::{Sample, ShardFile};
use super::shard::Form;
use crate::batch::{Arity, Batch};
use crate::dataset::PartStats;
use crate::encoder::{Encoder, ValueCounts};
use crate::error::{Error, Result};
use crate::pass::Block;
use crate::split::Part;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// First rows of each part that are kept as text.
const SAMPLE_ROWS: usize = 8;
/// Rows of a file are counted in steps of so many; it ends behind a step.
const STEP: usize = 256;

/// A finished file and the counts of its values.
pub(super) type Counted = (ShardFile, Vec<ValueCounts>);

/// The files of a round being written.
pub(super) struct Shards<'a> {
    encoder: &'a Encoder,
    limits: Limits,
    form: Form,
    into: &'a Path,
    journal: &'a mut Journal,
    /// What an earlier attempt has finished.
    finished: HashMap<String, Counted>,
    /// The same rows after the round before.
    earlier: Option<(PathBuf, HashMap<String, ShardFile>)>,
    parts: [PartShards; 3],
    files: Vec<ShardFile>,
    picks: Vec<u32>,
    arities: Vec<Arity>,
    /// The file that a thread of its own writes meanwhile.
    writing: Option<JoinHandle<Result<Counted>>>,
}

/// The file of a part being filled.
#[derive(Default)]
pub(super) struct PartShards {
    number: usize,
    rows: Rows,
    stats: PartStats,
    sample: Sample,
}

/// The rows of a file.
#[derive(Default)]
pub(super) enum Rows {
    /// None yet.
    #[default]
    None,
    /// Those encoded so far.
    Some(Batch),
    /// All are on disk; so many are still to come by.
    Finished(usize),
}

impl<'a> Shards<'a> {
    pub fn new(
        encoder: &'a Encoder,
        limits: Limits,
        into: &'a Path,
        journal: &'a mut Journal,
        finished: HashMap<String, Counted>,
        earlier: Option<(PathBuf, HashMap<String, ShardFile>)>,
    ) -> Self {
        let parts = Part::ALL.map(|_| PartShards {
            number: 0,
            rows: Rows::None,
            stats: PartStats { counts: encoder.counts(), ..PartStats::default() },
            sample: Sample::default(),
        });
        let form = Form::new(encoder);
        Shards {
            encoder,
            limits,
            form,
            into,
            journal,
            finished,
            earlier,
            parts,
            files: Vec::new(),
            picks: Vec::new(),
            arities: encoder.arities(),
            writing: None,
        }
    }

    /// Goes on behind so many files of `part`.
    pub fn behind(mut self, part: Part, files: usize) -> Self {
        self.parts[part as usize].number = files;
        self
    }

    /// Takes in the rows of a block, which are encoded.
    pub fn push(&mut self, block: &Block, encoded: &Batch) -> Result<()> {
        let mut picks = std::mem::take(&mut self.picks);
        for part in Part::ALL {
            block.pick(part, &mut picks);
            let own = &mut self.parts[part as usize];
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

    /// Takes in some of the picked rows, which are of `part`: as many as the step or the file that is begun has room for. How many.
    fn take(&mut self, part: Part, encoded: &Batch, picks: &[u32]) -> Result<usize> {
        let own = &mut self.parts[part as usize];
        if let Rows::None = own.rows {
            let name = name(part, own.number);
            own.rows = match self.finished.get(&name) {
                Some((file, _)) if self.form.open(&self.into.join(&name), &file.sum).is_ok() => Rows::Finished(file.rows),
                _ => Rows::Some(self.form.batch()),
            };
        }
        match &mut own.rows {
            Rows::None => unreachable!("a file was begun"),
            Rows::Finished(left) => {
                let count = picks.len().min(*left);
                *left -= count;
                if *left == 0 {
                    let (file, counts) = self.finished.remove(&name(part, own.number)).expect("a finished file");
                    own.number += 1;
                    own.rows = Rows::None;
                    self.note(file, &counts);
                }
                Ok(count)
            }
            Rows::Some(batch) => {
                let count = picks.len().min(STEP - batch.len() % STEP);
                batch.push_rows_of(encoded, &picks[..count], &self.arities);
                let full = batch.len() >= self.limits.shard_rows || self.form.bytes(batch) >= self.limits.shard_bytes;
                if batch.len().is_multiple_of(STEP) && full {
                    self.close(part)?;
                }
                Ok(count)
            }
        }
    }

    /// Writes the file of `part` that is begun.
    fn close(&mut self, part: Part) -> Result<()> {
        let own = &mut self.parts[part as usize];
        let Rows::Some(mut batch) = std::mem::replace(&mut own.rows, Rows::None) else { return Ok(()) };
        if batch.is_empty() {
            return Ok(());
        }
        let name = name(part, own.number);
        if let Some((dir, files)) = &self.earlier {
            let file = files.get(&name).ok_or_else(|| Error::input(dir.display().to_string(), format!("the file {name}"), "none"))?;
            let (shard, mut before) = (self.form.open(&dir.join(&name), &file.sum)?, self.form.batch());
            shard.append(&mut before, 0..shard.rows());
            self.encoder.join_rounds(&mut batch, &before);
        }
        self.parts[part as usize].number += 1;
        let (rows, counts, path, form) = (batch.len(), self.encoder.counts_of(&batch), self.into.join(&name), self.form.clone());
        self.written()?;
        let write = move || Ok((ShardFile { name, part, rows, sum: form.write(&path, batch)? }, counts));
        self.writing = Some(std::thread::spawn(write));
        Ok(())
    }

    /// Waits for the file that is being written.
    fn written(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let (file, counts) = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.journal.push(&Line::Shard(file.clone(), counts.clone()))?;
        self.note(file, &counts);
        Ok(())
    }

    /// A file is on disk.
    fn note(&mut self, file: ShardFile, counts: &[ValueCounts]) {
        let stats = &mut self.parts[file.part as usize].stats;
        stats.counts.iter_mut().zip(counts).for_each(|(all, new)| *all = all.plus(*new));
        self.files.push(file);
    }

    /// Closes what is open.
    pub fn finish(mut self) -> Result<Done> {
        Part::ALL.into_iter().try_for_each(|part| self.close(part))?;
        self.written()?;
        let mut files = std::mem::take(&mut self.files);
        // Numbers may outgrow their five digits.
        files.sort_by(|a, b| (a.part as usize, a.name.len(), &a.name).cmp(&(b.part as usize, b.name.len(), &b.name)));
        let [train, validation, test] = std::mem::take(&mut self.parts);
        let parts = [train.stats, validation.stats, test.stats];
        Ok(Done { parts, samples: [train.sample, validation.sample, test.sample], files })
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

fn name(part: Part, number: usize) -> String {
    format!("{}-{number:05}.arrow", part.name())
}
