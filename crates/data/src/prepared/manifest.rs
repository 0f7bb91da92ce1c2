//! What a prepared data set is made of, written last: without it there is none.
use super::shard::FileSum;
use crate::dataset::{PartStats, StoredRows};
use crate::durable::{sync_directory, write_atomically};
use crate::error::{BadRow, Error, Result};
use crate::readers::Input;
use crate::split::{Part, Parts, Split};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the file.
pub(super) const MANIFEST: &str = "manifest.json";
/// What `format` says.
const FORMAT: &str = "dlrm prepared rows";
/// Version of the layout; a program refuses newer ones.
const FORMAT_VERSION: u32 = 1;

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
    /// The file of the encoder.
    pub encoder: FileSum,
    /// The files of rows, in order within each part.
    pub files: Vec<ShardFile>,
}

/// A file of encoded rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardFile {
    /// Name in the directory.
    pub name: String,
    /// Which rows it holds.
    pub part: Part,
    /// Number of rows.
    pub rows: usize,
    /// Length and checksum.
    pub sum: FileSum,
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
            encoder,
            files: Vec::new(),
        }
    }

    /// Reads the manifest of `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let what = || path.display().to_string();
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| {
            Error::input(what(), "a manifest", e.to_string())
                .with_hint("it was changed: prepare the data set anew")
        })?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        if let Some(newer) = version.filter(|&version| version > u64::from(FORMAT_VERSION)) {
            let error =
                Error::input(what(), format!("format version {FORMAT_VERSION} or older"), newer.to_string());
            return Err(error.with_hint("it was written by a newer dlrm: update this one"));
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(|e| {
            Error::input(what(), "a manifest", e.to_string())
                .with_hint("it was changed: prepare the data set anew")
        })?;
        match manifest.files.iter().find(|file| file.name.contains(['/', '\\'])) {
            Some(file) => Err(Error::input(what(), "plain file names", crate::error::quoted(&file.name))),
            None => Ok(manifest),
        }
    }

    /// Writes the manifest of `dir`, whose files all lie safe on disk by then.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("a manifest is plain data");
        write_atomically(&dir.join(MANIFEST), &text)?;
        sync_directory(dir)
    }
}

/// Whether `dir` holds a prepared data set.
pub(super) fn is_in(dir: &Path) -> bool {
    // Other directories have manifests too.
    fs::read_to_string(dir.join(MANIFEST)).is_ok_and(|text| text.contains(FORMAT))
}
