//! The model that all serve, and the requests that all get.
use super::options::Options;
use crate::environment::Environment;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// DLRM of the paper, for the shape of Criteo Kaggle.
const RECIPE: &str = "recipes/section-5.1/dlrm-adagrad.toml";
/// Clicks that it is trained on.
const ROWS: &str = "300000";
const QUICK_ROWS: &str = "20000";
/// Candidates of a ranking, and rows of a large request.
pub(super) const CANDIDATES: usize = 270;

/// A directory with two trained models, an ONNX file of the first, and requests.
pub(super) struct Made {
    dir: PathBuf,
    is_temporary: bool,
    pub(super) dlrm: PathBuf,
}

impl Made {
    /// Trains and writes what is not there yet.
    pub(super) fn make(options: &Options, dlrm: &Path, tools: &Environment) -> Result<Made, String> {
        let temporary = std::env::temp_dir().join(format!("dlrm-serving-peers-{}", std::process::id()));
        let dir = options.work.clone().unwrap_or(temporary);
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let made = Made { dir, is_temporary: options.work.is_none(), dlrm: dlrm.to_owned() };
        if !made.path("requests").exists() {
            made.train(if options.quick { QUICK_ROWS } else { ROWS })?;
            let requests = made.path("requests.partial");
            let script = [
                "make".into(),
                made.text("a/model/encoder.json"),
                made.text("clicks/clicks.tsv"),
                requests.display().to_string(),
                "--rows".into(),
                CANDIDATES.to_string(),
            ];
            tools.run("requests.py", &script, false)?;
            fs::rename(&requests, made.path("requests")).map_err(|e| format!("requests: {e}"))?;
        }
        Ok(made)
    }

    fn train(&self, rows: &str) -> Result<(), String> {
        let (clicks, rows_of) = (self.text("clicks"), self.text("clicks/clicks.tsv"));
        if !self.path("clicks/manifest.json").exists() {
            self.dlrm(&["generate", "clicks", "--rows", rows, "-o", &clicks])?;
        }
        for (name, seed) in [("a", "train.seed=0"), ("b", "train.seed=1")] {
            let out = self.text(name);
            self.dlrm(&["train", &rows_of, "--config", RECIPE, "--set", seed, "--overwrite", "-o", &out])?;
        }
        let onnx = self.text("k.onnx");
        self.dlrm(&["export", &self.text("a"), "--onnx", &onnx, "--overwrite"])
    }

    fn dlrm(&self, args: &[&str]) -> Result<(), String> {
        let done = Command::new(&self.dlrm).args(args).arg("--quiet").stdout(Stdio::null()).status();
        match done {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("dlrm {}: {other:?}", args.join(" "))),
        }
    }

    /// A file or directory of it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A file of requests: `one`, `many` or `rank`, in the words of a side.
    pub(super) fn requests(&self, kind: &str, side: &str, ending: &str) -> PathBuf {
        self.path("requests").join(format!("{kind}-{side}.{ending}"))
    }

    /// What there is to say of the model: bytes of its file and rows that it was trained on.
    pub(super) fn describe(&self) -> String {
        let bytes = fs::metadata(self.path("k.onnx")).map_or(0, |file| file.len());
        let clicks = fs::read(self.path("clicks/clicks.tsv")).unwrap_or_default();
        let rows = clicks.iter().filter(|&&byte| byte == b'\n').count();
        format!("{rows} generated clicks, {:.0} MB as an ONNX file", bytes as f64 / 1e6)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.is_temporary {
            // Left-overs in the temporary directory are the system's to clear.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
