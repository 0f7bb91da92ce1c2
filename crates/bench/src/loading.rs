//! How long a saved model takes to load.
use super::Rate;
use dlrm_engine::error::{Error, Result};
use dlrm_engine::{Predictor, model_dir};
use dlrm_nn::Isa;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// What came of loading a model again and again: its files are in the page cache as far as memory reaches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loading {
    /// The directory, as it was named.
    pub name: String,
    /// Bytes of all files.
    pub bytes: u64,
    /// Seconds from the name of the directory to a model that has scored its golden rows.
    pub seconds: Rate,
}

impl Loading {
    /// Loads the model of a run or model directory `count` times, and once before. It may take at most
    /// `limit` bytes of memory.
    ///
    /// # Errors
    /// What is wrong with the directory or its files, or if the model needs more memory.
    pub fn measure(path: &Path, isa: Isa, count: usize, limit: Option<u64>) -> Result<Self> {
        let dir = model_dir::locate(path);
        let mut seconds = Vec::with_capacity(count);
        for _ in 0..=count {
            let start = Instant::now();
            let model = Predictor::load_within(path, isa, limit)?;
            seconds.push(start.elapsed().as_secs_f64());
            drop(model);
        }
        let entries = std::fs::read_dir(&dir).map_err(Error::io("read", &dir))?;
        let bytes =
            entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum();
        let seconds = Rate::of(seconds.split_off(1));
        Ok(Loading { name: path.display().to_string(), bytes, seconds })
    }
}
