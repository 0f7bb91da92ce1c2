//! Prepared data sets: encoded rows in Arrow files, with the encoder that made them.
//!
//! ```text
//! prepared/  manifest.json   settings, rows, checksums; written last
//!            encoder-SUM.json    the fitted encoder with its schema
//!            train-00000-SUM.arrow …  validation-00000-SUM.arrow …  test-00000-SUM.arrow …
//!            .work/          what a later attempt resumes an interrupted preparation from
//!            .lock           held, and filled with a name, by the process that writes here
//! ```
//! SUM is the beginning of the file's checksum. The files of a data set and of the one that is to replace it
//! lie side by side until the new manifest takes the place of the older one.
//!
//! Arrow and not Parquet, because its columns lie in the file as they are computed with: opening one maps it,
//! nothing is decoded, several processes share the pages, and a set larger than memory is read as fast as the
//! disk gives it. It takes more space than Parquet, though less than the text that it was made of.
//!
//! * `build`: from raw rows, in bounded memory, in passes that can be interrupted: `fitting` with counts on
//!   disk, then `encoding` in `round`s, each with as many vocabularies as memory has room for. `work` is
//!   where they leave what is done.
//! * `extend`: further rows of a data set, encoded as its other rows are; `taken`: the raw files that are in
//!   it.
//! * `held`: its directory while one process writes there.
//! * `cache`: the rows of a stream, kept in such files for the epochs after the first.
//! * `mapped`: encoded rows in files without names, for as long as a program runs.
//! * `shards`: the files of a round, filled as the rows come by; `shard`: one of them, as Arrow.
mod build;
mod cache;
mod encoding;
mod extend;
mod fitting;
mod held;
mod limits;
mod manifest;
mod mapped;
mod preparation;
mod round;
mod shard;
mod shards;
mod taken;
mod work;

use crate::batch::Batch;
use crate::batches::RowStream;
use crate::dataset::{Dataset, Fitted, Seen, StoredRows};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::split::{Assigner, Part, Parts};
pub use crate::sum::FileSum;
pub use cache::Cache;
pub use extend::{Extended, Extension};
pub use limits::{LEAST_MEMORY, Limits};
pub use manifest::{Manifest, Settings};
pub use mapped::MappedRows;
pub use preparation::{PassOf, Preparation, PrepareObserver};
pub use shard::ShardFile;
pub(crate) use shard::into_io;
use shard::{Form, Shard};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use taken::TakenFile;
pub use work::Start;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Name of the encoder's file while the data set is made.
const ENCODER: &str = "encoder.json";

/// A prepared data set.
#[derive(Debug, Clone)]
pub struct Prepared {
    dir: PathBuf,
    manifest: Manifest,
    encoder: Arc<Encoder>,
    form: Form,
}

impl Prepared {
    /// Whether `dir` is one.
    pub fn is_in(dir: &Path) -> bool {
        manifest::is_in(dir)
    }

    /// Whether `dir` holds a preparation that was interrupted, and no data set yet.
    pub fn is_unfinished_in(dir: &Path) -> bool {
        held::is_unfinished(dir)
    }

    /// Opens the one in `dir`. Files of rows are checked when they are read.
    ///
    /// # Errors
    /// A manifest or an encoder that is missing, torn or newer.
    pub fn open(dir: &Path) -> Result<Self> {
        match Self::open_once(dir) {
            // A replacement that is finished meanwhile removes the encoder of the manifest that was read.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Self::open_once(dir),
            other => other,
        }
    }

    fn open_once(dir: &Path) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let path = dir.join(&manifest.encoder_file);
        let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
        if FileSum::of(&text) != manifest.encoder {
            let error =
                Error::input(path.display().to_string(), "the encoder of the manifest", "another file");
            return Err(error.with_hint("the file is torn or was changed: prepare the data set anew"));
        }
        let encoder: Encoder = serde_json::from_slice(&text)
            .map_err(|e| Error::input(path.display().to_string(), "an encoder", e.to_string()))?;
        manifest.check(dir, &encoder)?;
        Ok(Prepared { dir: dir.to_owned(), form: Form::new(&encoder), manifest, encoder: Arc::new(encoder) })
    }

    /// What it is made of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its encoder.
    pub fn encoder(&self) -> &Arc<Encoder> {
        &self.encoder
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Number of rows of a part.
    pub fn rows(&self, part: Part) -> u64 {
        self.manifest.parts[part].rows
    }

    /// The encoder and what fitting saw.
    pub fn fitted(&self) -> Fitted {
        let Manifest { parts, values, skipped, bad_rows, .. } = &self.manifest;
        let rows = parts.each_ref().map(|stats| stats.rows);
        let assigner = Assigner::All(Part::Train);
        Seen { rows, values: *values, assigner, skipped: *skipped, bad_rows: bad_rows.clone() }
            .fitted(self.encoder.clone())
    }

    /// Reads the parts that `wanted` says into memory.
    ///
    /// # Errors
    /// If a file is missing or torn.
    pub fn load(&self, wanted: impl Fn(Part) -> bool) -> Result<Dataset> {
        let dense = self.encoder.layout().dense.len();
        let mut data =
            Dataset { parts: Parts::from_fn(|_| self.form.batch()), stats: self.manifest.parts.clone() };
        for part in Part::ALL {
            let stats = &mut data.stats[part];
            if !wanted(part) {
                // What is known of rows that are not kept.
                stats.text_hash =
                    self.files(part).fold(1, |hash, file| xxh3_64_with_seed(file.sum.xxh3.as_bytes(), hash));
                continue;
            }
            // Memory is taken for rows that are there.
            self.files(part).try_for_each(|file| file.check_length(&self.dir))?;
            let batch = &mut data.parts[part];
            batch.reserve(stats.rows as usize, dense);
            for file in self.files(part) {
                let shard = self.form.open_rows(&self.dir, file)?;
                shard.append(batch, 0..shard.rows())?;
            }
        }
        Ok(data)
    }

    /// A pass over the rows of `part`.
    pub fn stream(&self, part: Part) -> PreparedRows {
        let files: Vec<ShardFile> = self.files(part).cloned().collect();
        PreparedRows::new(&self.dir, &self.form, files)
    }

    /// The first rows of `part` as text.
    pub fn sample(&self, part: Part) -> &StoredRows {
        &self.manifest.samples[part]
    }

    fn files(&self, part: Part) -> impl Iterator<Item = &ShardFile> {
        self.manifest.files.iter().filter(move |file| file.part == part)
    }
}

/// Rows of one part, file after file.
pub struct PreparedRows {
    dir: PathBuf,
    form: Form,
    files: std::vec::IntoIter<ShardFile>,
    shard: Option<Shard>,
    at: usize,
    without: Vec<usize>,
}

impl PreparedRows {
    fn new(dir: &Path, form: &Form, files: Vec<ShardFile>) -> Self {
        PreparedRows {
            dir: dir.to_owned(),
            form: form.clone(),
            files: files.into_iter(),
            shard: None,
            at: 0,
            without: Vec::new(),
        }
    }

    /// Leaves the ids of these features out: their bags are empty.
    #[must_use]
    pub fn without(self, features: Vec<usize>) -> Self {
        PreparedRows { without: features, ..self }
    }
}

impl RowStream for PreparedRows {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
        loop {
            if let Some(shard) = self.shard.as_ref().filter(|shard| self.at < shard.rows()) {
                let rows = most.min(shard.rows() - self.at);
                shard.append_without(batch, self.at..self.at + rows, &self.without)?;
                self.at += rows;
                return Ok(rows);
            }
            let Some(file) = self.files.next() else { return Ok(0) };
            self.shard = Some(self.form.open_rows(&self.dir, &file)?);
            self.at = 0;
        }
    }
}
