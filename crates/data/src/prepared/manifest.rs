//! What a prepared data set is made of, written last: without it there is none.
use super::shard::ShardFile;
use super::taken::TakenFile;
use crate::dataset::{PartStats, StoredRows};
use crate::durable::{sync_directory, write_atomically};
use crate::encoder::Encoder;
use crate::error::{BadRow, Error, Result, quoted};
use crate::readers::Input;
use crate::sealed::{CHECKSUM, Seal, check, seal};
use crate::split::{Parts, Split};
use crate::sum::FileSum;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the file.
pub(super) const MANIFEST: &str = "manifest.json";
/// What `format` says.
const FORMAT: &str = "dlrm prepared rows";
/// Version of the layout; a program refuses newer ones. Since 2 the manifest has a checksum of its own, and
/// names of files tell their contents, so that those of an older and a newer data set can lie side by side.
const FORMAT_VERSION: u32 = 2;
/// Where an encoder lay before its name told its contents.
const FIRST_ENCODER: &str = "encoder.json";
const CHANGED: &str = "the file is torn or was changed: prepare the data set anew";

/// Where the rows came from and how they were read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Files and their format.
    pub input: Input,
    /// Files of validation rows.
    pub validation: Vec<PathBuf>,
    /// Files of test rows.
    pub test: Vec<PathBuf>,
    /// How the input was split.
    pub split: Split,
    /// Malformed rows that might be skipped.
    pub max_bad_rows: u64,
}

/// Contents of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: String,
    pub(super) format_version: u32,
    /// Version of dlrm that wrote it.
    pub dlrm_version: String,
    /// Where the rows came from.
    pub settings: Settings,
    /// The rows of each part.
    pub parts: Parts<PartStats>,
    /// Ids of all rows.
    pub values: u64,
    /// Number of malformed rows that were skipped.
    pub skipped: u64,
    /// The first of them.
    pub bad_rows: Vec<BadRow>,
    /// The first rows of each part as text.
    pub samples: Parts<StoredRows>,
    /// Name of the encoder's file.
    #[serde(default = "first_encoder")]
    pub encoder_file: String,
    /// Its length and checksum.
    pub encoder: FileSum,
    /// The files of raw rows that it was made of; those of earlier versions are not known.
    #[serde(default)]
    pub taken: Vec<TakenFile>,
    /// The files of rows, in order within each part.
    pub files: Vec<ShardFile>,
}

fn first_encoder() -> String {
    FIRST_ENCODER.into()
}

impl Manifest {
    pub(super) fn new(settings: Settings, encoder: FileSum) -> Self {
        Manifest {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION,
            dlrm_version: env!("CARGO_PKG_VERSION").into(),
            settings,
            parts: Parts::default(),
            values: 0,
            skipped: 0,
            bad_rows: Vec::new(),
            samples: Parts::default(),
            encoder_file: format!("encoder-{}.json", encoder.short()),
            encoder,
            taken: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Lets it be one of this program and its format.
    pub(super) fn renew(&mut self) {
        (self.format_version, self.dlrm_version) = (FORMAT_VERSION, env!("CARGO_PKG_VERSION").into());
    }

    /// Reads the manifest of `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let what = || path.display().to_string();
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let changed = |found: String| Error::input(what(), "a manifest", found).with_hint(CHANGED);
        let mut value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| changed(e.to_string()))?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        if let Some(newer) = version.filter(|&version| version > u64::from(FORMAT_VERSION)) {
            let error =
                Error::input(what(), format!("format version {FORMAT_VERSION} or older"), newer.to_string());
            return Err(error.with_hint("it was written by a newer dlrm: update this one"));
        }
        let is_sealed = value.as_object_mut().is_some_and(|fields| fields.remove(CHECKSUM).is_some());
        match check(&text) {
            Seal::Whole => {}
            Seal::Absent if version == Some(1) && !is_sealed => {}
            Seal::Absent | Seal::Broken => return Err(changed("other bytes than its checksum says".into())),
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(|e| changed(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(changed(quoted(&manifest.format)));
        }
        let is_path = |name: &&String| name.contains(['/', '\\']);
        let mut names = manifest.files.iter().map(|file| &file.name).chain([&manifest.encoder_file]);
        let wrong = names.find(is_path).map(|name| quoted(name));
        drop(names);
        match wrong {
            Some(name) => Err(Error::input(what(), "plain file names", name)),
            None => Ok(manifest),
        }
    }

    /// Makes sure that what the manifest of `dir` says of rows that `encoder` encodes agrees with itself.
    pub(super) fn check(&self, dir: &Path, encoder: &Encoder) -> Result<()> {
        let wrong = |expected: String, found: String| {
            let what = dir.join(MANIFEST).display().to_string();
            Err(Error::input(what, expected, found).with_hint(CHANGED))
        };
        let columns = encoder.counts().len();
        for (part, stats) in self.parts.iter() {
            if stats.counts.len() != columns {
                let expected = format!("counts of {columns} columns of the {} rows", part.name());
                return wrong(expected, stats.counts.len().to_string());
            }
            let of_part = self.files.iter().filter(|file| file.part == part);
            let rows = of_part.fold(0u64, |rows, file| rows.saturating_add(file.rows as u64));
            if rows != stats.rows {
                return wrong(format!("files of {} {} rows", stats.rows, part.name()), rows.to_string());
            }
            // A label takes four bytes, whatever else a row holds.
            if rows > self.files.iter().map(|file| file.sum.bytes / 4).fold(0, u64::saturating_add) {
                return wrong(format!("files long enough for {rows} rows"), "shorter ones".into());
            }
            if !(stats.label_sum.is_finite() && stats.weight_sum.is_finite()) {
                return wrong("sums that are numbers".into(), "others".into());
            }
            let StoredRows { columns, rows } = &self.samples[part];
            if let Some(row) = rows.iter().find(|row| row.len() != columns.len()) {
                let expected = format!("samples of {} fields", columns.len());
                return wrong(expected, format!("one of {}", row.len()));
            }
        }
        Ok(())
    }

    /// Writes the manifest of `dir`, whose files all lie safe on disk by then.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        sync_directory(dir)?;
        let text = seal(&serde_json::to_string_pretty(self).expect("a manifest is plain data"));
        write_atomically(&dir.join(MANIFEST), text.as_bytes())?;
        sync_directory(dir)
    }
}

/// Whether `dir` holds a prepared data set.
pub(super) fn is_in(dir: &Path) -> bool {
    // Other directories have manifests too.
    fs::read(dir.join(MANIFEST)).is_ok_and(|text| memchr::memmem::find(&text, FORMAT.as_bytes()).is_some())
}
