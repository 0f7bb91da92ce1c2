//! The files that a model was trained on, known again wherever they lie by their length and their ends.
use dlrm_data::readers::Input;
use dlrm_data::split::Split;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Bytes at either end of a file that it is known by: cheap however long it is.
const END: u64 = 64 << 10;

/// Files whose rows were trained on, or some of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrainedFiles {
    files: Vec<Mark>,
    /// Share of values that were unseen in rows that took no part in training, by column. Not there in
    /// models of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unseen: BTreeMap<String, f64>,
    /// Whether the validation rows were trained on too, after they had measured the model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    validation: bool,
}

/// What a file is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Length in bytes.
    bytes: u64,
    /// xxh3 (128 bits) of its first and its last 64 KiB, hexadecimal.
    ends: String,
}

impl Mark {
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let (mut hash, mut end) = (Xxh3::new(), Vec::new());
        for start in [0, bytes.saturating_sub(END)] {
            file.seek(SeekFrom::Start(start))?;
            end.clear();
            (&mut file).take(END).read_to_end(&mut end)?;
            hash.update(&end);
        }
        Ok(Mark { bytes, ends: format!("{:032x}", hash.digest128()) })
    }
}

impl TrainedFiles {
    /// The files of an input that is split so. Those that cannot be read are left out: what is told by this
    /// is no more than a warning.
    pub fn of(input: &Input, split: &Split) -> Self {
        let mut files = input.files().unwrap_or_default();
        if matches!(split, Split::LastDay { .. }) {
            // The last file validates and tests.
            files.pop();
        }
        let files = files.iter().filter_map(|path| Mark::of(path).ok()).collect();
        TrainedFiles { files, ..TrainedFiles::default() }
    }

    /// These and the others.
    pub fn add(&mut self, others: TrainedFiles) {
        let new = others.files.into_iter().filter(|mark| !self.files.contains(mark)).collect::<Vec<_>>();
        self.files.extend(new);
    }

    /// Notes what share of the values of each column was unseen.
    pub(crate) fn note_unseen(&mut self, columns: impl IntoIterator<Item = (String, f64)>) {
        self.unseen = columns.into_iter().collect();
    }

    /// Notes whether the validation rows were trained on too, after they had measured the model.
    pub(crate) fn note_validation(&mut self, trained_on: bool) {
        self.validation = trained_on;
    }

    /// Whether the validation rows were trained on too, after they had measured the model.
    pub fn validation(&self) -> bool {
        self.validation
    }

    /// The share of the values of `column` that was unseen, as far as it is known.
    pub fn unseen(&self, column: &str) -> Option<f64> {
        self.unseen.get(column).copied()
    }

    /// Those of the files of `input` that are among these, as they are called there.
    pub fn among(&self, input: &Input) -> Vec<String> {
        let files = input.files().unwrap_or_default();
        let is_known = |path: &&std::path::PathBuf| {
            Mark::of(path).is_ok_and(|mark| mark.bytes > 0 && self.files.contains(&mark))
        };
        files.iter().filter(is_known).map(|path| path.display().to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_contents() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let long = |middle: &str| format!("{}{middle}{}", "a,b\n".repeat(30_000), "c,d\n".repeat(30_000));
        let [day_1, day_2] = ["1,2\n", "3,4\n"].map(|text| file(&format!("{}.csv", &text[..1]), text));
        let trained = TrainedFiles::of(&Input::new([&day_1, &day_2]), &Split::default());
        let copy = file("copy.csv", "3,4\n");
        assert_eq!(trained.among(&Input::new([&copy])), [copy.display().to_string()]);
        assert!(trained.among(&Input::new([file("new.csv", "3,5\n")])).is_empty());
        assert!(trained.among(&Input::new([dir.path().join("none.csv")])).is_empty());
        let days = TrainedFiles::of(&Input::new([&day_1, &day_2]), &Split::LastDay { days: None });
        assert_eq!(
            (days.among(&Input::new([&day_1])).len(), days.among(&Input::new([&day_2])).len()),
            (1, 0)
        );
        let whole = TrainedFiles::of(&Input::new([file("long.csv", &long(""))]), &Split::default());
        assert_eq!(whole.among(&Input::new([file("same.csv", &long(""))])).len(), 1);
        assert!(whole.among(&Input::new([file("more.csv", &long("x,y\n"))])).is_empty());
    }
}
