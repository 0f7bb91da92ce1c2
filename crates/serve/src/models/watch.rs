//! Whether the directory of a model holds another one than it did.
use dlrm_engine::model_dir::locate;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that is looked at now and then.
#[derive(Debug)]
pub(crate) struct Watch {
    manifest: PathBuf,
    seen: Option<Vec<u8>>,
}

impl Watch {
    /// Of a run or model directory as it is now.
    pub(crate) fn new(dir: &Path) -> Self {
        let manifest = locate(dir).join("manifest.json");
        let seen = fs::read(&manifest).ok();
        Watch { manifest, seen }
    }

    /// Whether it holds something else than when it was last asked. A directory that is gone holds nothing
    /// new: it may be in the middle of being replaced.
    pub(crate) fn has_changed(&mut self) -> bool {
        let Ok(now) = fs::read(&self.manifest) else { return false };
        if self.seen.as_ref() == Some(&now) {
            return false;
        }
        self.seen = Some(now);
        true
    }
}
