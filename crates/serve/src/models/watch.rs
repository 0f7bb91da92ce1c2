//! Whether the directory of a model holds another one than it did.
use dlrm_engine::model_dir::locate;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that is looked at now and then.
#[derive(Debug)]
pub(crate) struct Watch {
    manifest: PathBuf,
    seen: Option<Vec<u8>>,
    /// Looks until one that failed is loaded once more, and how many it will be after that.
    again: Option<(u32, u32)>,
}

/// Looks between two attempts at a directory that cannot be loaded, at most.
const MOST_LOOKS: u32 = 64;

impl Watch {
    /// Of a run or model directory as it is now.
    pub(crate) fn new(dir: &Path) -> Self {
        let manifest = locate(dir).join("manifest.json");
        let seen = fs::read(&manifest).ok();
        Watch { manifest, seen, again: None }
    }

    /// Whether it holds something else than when it was last asked. A directory that is gone holds nothing
    /// new: it may be in the middle of being replaced.
    pub(crate) fn has_changed(&mut self) -> bool {
        let Ok(now) = fs::read(&self.manifest) else { return false };
        if self.seen.as_ref() == Some(&now) {
            let Some((left, _)) = &mut self.again else { return false };
            *left -= 1;
            return *left == 0;
        }
        (self.seen, self.again) = (Some(now), None);
        true
    }

    /// Whether it could be loaded. A directory may be in the middle of being copied, so one that could not
    /// is tried again, after twice as many looks each time.
    pub(crate) fn note(&mut self, loaded: bool) {
        let looks = self.again.map_or(1, |(_, looks)| looks);
        self.again = (!loaded).then_some((looks, (2 * looks).min(MOST_LOOKS)));
    }
}
