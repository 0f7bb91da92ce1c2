//! Further rows of a prepared data set.
use super::Prepared;
use super::limits::Limits;
use super::preparation::{PrepareObserver, going_on};
use super::shards::Shards;
use super::work::WORK;
use crate::dataset::Sources;
use crate::durable::{remove_directory, sync};
use crate::error::Result;
use crate::pass::Block;
use crate::readers::Input;
use crate::split::{Assigner, Part, Split};
use std::path::Path;

/// Adds rows to the data set in `dir`, encoded as its other rows are; all of them to `part`.
///
/// # Errors
/// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows; if a file
/// cannot be written. The data set is then as it was.
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
    // Left by an interrupted preparation.
    remove_directory(&dir.join(WORK))?;
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
    let (old, new) = (&mut manifest.parts[part], &done.parts[part]);
    old.rows += new.rows;
    old.label_sum += new.label_sum;
    old.weight_sum += new.weight_sum;
    old.counts.iter_mut().zip(&new.counts).for_each(|(old, new)| *old = old.plus(*new));
    manifest.values += new.counts.iter().map(|counts| counts.values).sum::<u64>();
    manifest.skipped += skipped;
    manifest.bad_rows.extend(bad_rows);
    if manifest.samples[part].rows.is_empty() {
        manifest.samples[part] = done.samples[part].clone();
    }
    manifest.files.extend(done.files);
    manifest.settings.input.paths.extend(input.paths.iter().cloned());
    manifest.write(dir)?;
    Prepared::open(dir)
}
