//! The directory of a run while it is unfinished: whose it is, and what resuming must find again.
//!
//! ```text
//! .lock         held by the run that works here
//! checkpoints/  encoder.json config.toml rows.txt   of the run that was started
//!               rows/                               encoded rows of a stream
//! ```
use crate::checkpoint::Checkpoints;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::note::Note;
use crate::start::Start;
use dlrm_data::Hint;
use dlrm_data::durable::{DirLock, write_atomically};
use std::fs;
use std::path::{Path, PathBuf};

const CHECKPOINTS: &str = "checkpoints";
const CONFIG: &str = "config.toml";
const ENCODER: &str = "encoder.json";
const ROWS: &str = "rows.txt";
const KEPT: &str = "rows";
const LOCK: &str = ".lock";
const OTHERS: &str = "give the same files and settings, or start again with run.overwrite";

/// A run directory that no other run works in as long as this lives.
pub(crate) struct RunDir {
    checkpoints: PathBuf,
    start: Start,
    _lock: DirLock,
}

impl RunDir {
    /// Takes `out` for a run.
    ///
    /// # Errors
    /// If it holds another run, or nothing to resume.
    pub(crate) fn open(out: &Path, start: Start) -> Result<Self> {
        check(out, start)?;
        fs::create_dir_all(out).map_err(|error| not_made(out, error))?;
        Ok(RunDir { checkpoints: out.join(CHECKPOINTS), start, _lock: lock(out)? })
    }

    /// Readies the checkpoints: what resuming must find again is written first.
    ///
    /// # Errors
    /// If the run that is resumed was started with another encoder.
    pub(crate) fn prepare(&self, encoder: &[u8], config: &RunConfig) -> Result<Checkpoints> {
        let dir = &self.checkpoints;
        if self.start == Start::Resume {
            let path = dir.join(ENCODER);
            if fs::read(&path).map_err(Error::io("read", &path))? != encoder {
                return Err(Error::saved(
                    path,
                    "expected the data that the run started with, found other values",
                )
                .with_hint(OTHERS));
            }
            return Ok(Checkpoints::new(dir.clone())?.with_best_optimizer(config.train.keep_optimizer));
        }
        if dir.exists() {
            fs::remove_dir_all(dir).map_err(Error::io("remove", dir))?;
        }
        let checkpoints = Checkpoints::new(dir)?;
        write_atomically(&dir.join(ENCODER), encoder)?;
        write_atomically(&dir.join(CONFIG), config.to_toml().as_bytes())?;
        Ok(checkpoints.with_best_optimizer(config.train.keep_optimizer))
    }

    /// Notes the encoded rows of a new run.
    ///
    /// # Errors
    /// If the run that is resumed was started with other rows.
    pub(crate) fn check_rows(&self, found: &str) -> Result<()> {
        let path = self.checkpoints.join(ROWS);
        if self.start != Start::Resume {
            return Ok(write_atomically(&path, found.as_bytes())?);
        }
        if fs::read_to_string(&path).map_err(Error::io("read", &path))? == found {
            return Ok(());
        }
        Err(Error::saved(path, "expected the rows that the run started with, found others").with_hint(OTHERS))
    }

    /// Where streamed rows are kept encoded.
    pub(crate) fn kept_rows(&self) -> PathBuf {
        self.checkpoints.join(KEPT)
    }
}

/// Whether `out` holds a run that was interrupted.
pub(crate) fn is_unfinished(out: &Path) -> bool {
    Checkpoints::any_in(&out.join(CHECKPOINTS))
}

/// Refuses to write over another run.
fn check(out: &Path, start: Start) -> Result<()> {
    let unfinished = is_unfinished(out);
    let held = [
        ("model", "a finished model", out.join("model").exists()),
        (CHECKPOINTS, "an unfinished run", unfinished),
    ];
    let held = held.into_iter().find(|(.., exists)| *exists).map(|(name, what, _)| (name, what));
    match (start, held) {
        (Start::Fresh, Some((name, what))) => {
            let go_on = if name == CHECKPOINTS { "run.resume to go on with it, " } else { "" };
            Err(Error::config(
                "output directory",
                "a new or empty directory",
                format!("{what} in {}", out.display()),
            )
            .with_hint(format!("{go_on}run.overwrite to replace it, or another run.out")))
        }
        (Start::Resume, None | Some(("model", _))) if !unfinished => Err(nothing_to_resume(out)),
        _ => Ok(()),
    }
}

/// The error of a directory that cannot be made.
fn not_made(out: &Path, error: std::io::Error) -> Error {
    match Error::io("create", out)(error) {
        Error::Io { action, path, source, hint: Some(hint) } => {
            let hint = Some(hint.say(" with ").name("run.out"));
            Error::Io { action, path, source, hint }
        }
        other => other,
    }
}

/// The error of a directory without an unfinished run.
fn nothing_to_resume(out: &Path) -> Error {
    let expected = "expected an unfinished run to resume, found";
    if out.join("model").exists() {
        let hint =
            Hint::from(format!("nothing is left to do: look at it with `dlrm show {}`; ", out.display()));
        return Error::saved(out, format!("{expected} a finished one")).with_hint(
            hint.say("to train for longer, start again without ")
                .name("run.resume")
                .say(", with more epochs and ")
                .name("run.overwrite"),
        );
    }
    let hint =
        Hint::from("train from the files without ").name("run.resume").say(", or name the directory of");
    let error = Error::saved(out, format!("{expected} none"));
    error.with_hint(hint.say(" an interrupted run with ").name("run.out"))
}

fn lock(out: &Path) -> Result<DirLock> {
    DirLock::take(&out.join(LOCK))?.ok_or_else(|| {
        let error = Error::saved(out, "expected no other run in this directory, found one that is going on");
        error.with_hint("wait for its end, or give another run.out")
    })
}

/// The configuration that an unfinished run in `out` was started with.
///
/// # Errors
/// If there is none.
pub fn stored_config(out: &Path, notes: &mut Vec<Note>) -> Result<RunConfig> {
    let path = out.join(CHECKPOINTS).join(CONFIG);
    if !path.exists() {
        return Err(nothing_to_resume(out));
    }
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    RunConfig::load_stored(&text, &path.display().to_string(), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunDir::open(dir.path(), Start::Fresh).unwrap();
        let error = RunDir::open(dir.path(), Start::Overwrite).map(drop).unwrap_err();
        assert!(error.to_string().contains("one that is going on") && error.hint().is_some(), "{error}");
        drop(first);
        RunDir::open(dir.path(), Start::Fresh).unwrap();
    }
}
