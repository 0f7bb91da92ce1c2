//! What an unfinished round has done so far: lines that are added one by one.
use super::manifest::{Sample, ShardFile};
use crate::dataset::PartStats;
use crate::encoder::ValueCounts;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A line of a journal.
#[derive(Serialize, Deserialize)]
pub(super) enum Line {
    /// A finished file and the counts of its values.
    Shard(ShardFile, Vec<ValueCounts>),
    /// The end of the round.
    Done(Box<Done>),
}

/// What a whole round has seen.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub parts: [PartStats; 3],
    pub samples: [Sample; 3],
    pub files: Vec<ShardFile>,
}

/// Lines that are added one by one; the last may be torn.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens it and reads what it holds.
    pub fn open(path: &Path) -> Result<(Self, Vec<Line>)> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let (mut lines, mut whole) = (Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            match serde_json::from_str(line) {
                Ok(read) if line.ends_with('\n') => lines.push(read),
                _ => break,
            }
            whole += line.len();
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(Error::io("open", path))?;
        file.set_len(whole as u64).map_err(Error::io("write", path))?;
        Ok((Journal { file, path: path.to_owned() }, lines))
    }

    /// The finished files that the journal at `path` names.
    pub fn files(path: &Path) -> Result<HashMap<String, ShardFile>> {
        let (_, lines) = Journal::open(path)?;
        let files = lines.into_iter().filter_map(|line| match line {
            Line::Shard(file, _) => Some((file.name.clone(), file)),
            Line::Done(_) => None,
        });
        Ok(files.collect())
    }

    pub fn push(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("plain data");
        text.push(b'\n');
        self.file.write_all(&text).map_err(Error::io("write", &self.path))
    }
}
