//! Whether the directory of a model holds another one than it did.
use dlrm_engine::model_dir::locate;
use std::fs;
use std::path::{Path, PathBuf};

/// What a run or model directory says of its contents, by which they are told apart.
pub(crate) fn manifest(dir: &Path) -> Option<Vec<u8>> {
    fs::read(locate(dir).join("manifest.json")).ok()
}

/// A directory that is looked at now and then.
#[derive(Debug)]
pub(crate) struct Watch {
    dir: PathBuf,
    /// What it held at the last attempt to load it for that it had changed.
    tried: Option<Vec<u8>>,
    /// Looks until one that failed is loaded once more, and how many it will be after that.
    again: Option<(u32, u32)>,
}

/// Looks between two attempts at a directory that cannot be loaded, at most.
const MOST_LOOKS: u32 = 64;

impl Watch {
    /// Of a run or model directory.
    pub(crate) fn new(dir: &Path) -> Self {
        Watch { dir: dir.to_owned(), tried: None, again: None }
    }

    /// Whether it holds something else than when it was `loaded` last, by whomever. A directory that is gone
    /// holds nothing new: it may be in the middle of being replaced.
    pub(crate) fn has_changed(&mut self, loaded: Option<&[u8]>) -> bool {
        let Some(now) = manifest(&self.dir) else { return false };
        if loaded == Some(&now[..]) {
            self.again = None;
            return false;
        }
        match &mut self.again {
            Some((left, _)) if self.tried.as_ref() == Some(&now) => {
                *left -= 1;
                *left == 0
            }
            _ => {
                (self.tried, self.again) = (Some(now), None);
                true
            }
        }
    }

    /// Whether it could be loaded. A directory may be in the middle of being copied, so one that could not
    /// is tried again, after twice as many looks each time.
    pub(crate) fn note(&mut self, loaded: bool) {
        let looks = self.again.map_or(1, |(_, looks)| looks);
        self.again = (!loaded).then_some((looks, (2 * looks).min(MOST_LOOKS)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let hold = |text: &str| fs::write(dir.path().join("manifest.json"), text).unwrap();
        let mut watch = Watch::new(dir.path());
        assert!(!watch.has_changed(None), "nothing is there");
        hold("a");
        assert!(!watch.has_changed(Some(b"a")));
        hold("b");
        assert!(watch.has_changed(Some(b"a")));
        watch.note(true);
        assert!(!watch.has_changed(Some(b"b")));
        // Another was loaded between two looks, and the one before is back.
        assert!(watch.has_changed(Some(b"c")));
        watch.note(true);
        // One that cannot be loaded is tried again after one look, then two, four, …
        hold("broken");
        let tries: Vec<bool> = (0..9)
            .map(|_| {
                let tried = watch.has_changed(Some(b"b"));
                if tried {
                    watch.note(false);
                }
                tried
            })
            .collect();
        assert_eq!(tries, [true, true, false, true, false, false, false, true, false]);
        hold("d");
        assert!(watch.has_changed(Some(b"b")), "another one is tried at once");
    }
}
