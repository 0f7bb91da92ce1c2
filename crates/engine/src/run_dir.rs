//! The directory of a run: whose it is, which of its files are ours, and what resuming must find again.
//!
//! ```text
//! .lock         held by the run that works here
//! .dlrm-files   which files were written here
//! checkpoints/  encoder.json config.toml rows.txt isa.txt manifest.json   of the run that was started
//!               rows/                                                     encoded rows of a stream
//! ```
use crate::checkpoint::{self, Checkpoints};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::note::Note;
use crate::own_files::OwnFiles;
use crate::saved::{self, Kind, Saved, Writer, not_ours};
use crate::start::Start;
use dlrm_data::Hint;
use dlrm_data::durable::{DirLock, remove_directory, sync_directory};
use dlrm_nn::{Isa, Precision};
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
const CONFIG: &str = "config.toml";
const ENCODER: &str = "encoder.json";
const ROWS: &str = "rows.txt";
/// Not there in runs that earlier versions have started.
const ISA: &str = "isa.txt";
const MANIFEST: &str = "manifest.json";
const KEPT: &str = "rows";
const LOCK: &str = ".lock";
const OTHERS: &str = "give the same files and settings, or start again with run.overwrite";

/// What a run writes beside its model.
const FILES: [&str; 6] =
    ["schema.toml", "bad_rows.txt", "report.html", "report.json", "candidates.json", "folds.json"];

/// A run directory that no other run works in as long as this lives.
pub(crate) struct RunDir {
    out: PathBuf,
    checkpoints: PathBuf,
    start: Start,
    files: OwnFiles,
    _lock: DirLock,
}

/// What a run is started with, and must be resumed with.
pub(crate) struct StartedWith<'a> {
    /// The fitted encoder as JSON.
    pub(crate) encoder: &'a [u8],
    /// The configuration.
    pub(crate) config: &'a RunConfig,
    /// What tells the encoded rows from others.
    pub(crate) rows: &'a str,
    /// The instruction set.
    pub(crate) isa: Isa,
}

impl RunDir {
    /// Takes `out` for a run; what an interruption has left half done is put right.
    ///
    /// # Errors
    /// If it holds another run, something that dlrm did not write and would replace, or nothing to resume.
    pub(crate) fn open(out: &Path, start: Start) -> Result<Self> {
        // Until it is put back, an older model that was set aside says nothing.
        if !saved::set_aside(&out.join(MODEL)).exists() {
            check(out, start)?;
        }
        fs::create_dir_all(out).map_err(|error| not_made(out, error))?;
        let lock = lock(out)?;
        saved::recover(&out.join(MODEL), Kind::Model)?;
        let checkpoints = out.join(CHECKPOINTS);
        let left = saved::set_aside(&checkpoints);
        if checkpoint::stranger(&left, &OWN)?.is_none() {
            remove_directory(&left)?;
        }
        // Now nobody else changes it.
        check(out, start)?;
        // Whoever started the run that is resumed has been asked.
        let replaces = start == Start::Overwrite || start.goes_on();
        let mut files = OwnFiles::open(out, replaces)?;
        let earlier = !OwnFiles::has_list(out) && (out.join(MODEL).exists() || checkpoints.exists());
        if earlier && replaces {
            files.adopt(&FILES)?;
        }
        files.check(&FILES)?;
        files.begin()?;
        Ok(RunDir { out: out.to_owned(), checkpoints, start, files, _lock: lock })
    }

    /// The place of the model.
    pub(crate) fn model(&self) -> PathBuf {
        self.out.join(MODEL)
    }

    /// From now on it is that of a run that is resumed.
    pub(crate) fn resume(self) -> Self {
        RunDir { start: Start::Resume, ..self }
    }

    /// Writes a file beside the model.
    ///
    /// # Errors
    /// As [`OwnFiles::write`].
    pub(crate) fn write(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.files.write(name, contents)
    }

    /// Removes a file of ours beside the model.
    ///
    /// # Errors
    /// As [`OwnFiles::remove`].
    pub(crate) fn remove(&mut self, name: &str) -> Result<()> {
        self.files.remove(name)
    }

    /// Refuses another encoder than that of the run that is resumed.
    ///
    /// # Errors
    /// If it was started with another one.
    pub(crate) fn check_encoder(&self, encoder: &[u8]) -> Result<()> {
        if !self.start.goes_on() || stored(&self.checkpoints, ENCODER)? == encoder {
            return Ok(());
        }
        let problem = "expected the data that the run started with, found other values";
        Err(Error::saved(self.checkpoints.join(ENCODER), problem).with_hint(OTHERS))
    }

    /// Readies the checkpoints. What resuming must find again is written first, or looked at; beside them
    /// what there is to say of it.
    ///
    /// # Errors
    /// If the run that is resumed was started with other rows, or on an instruction set that gives other bits
    /// and could be taken here.
    pub(crate) fn begin(&self, with: &StartedWith<'_>) -> Result<(Checkpoints, Option<String>)> {
        let optimizer = with.config.train.keep_optimizer;
        let ready = || Checkpoints::new(&self.checkpoints).map(|all| all.with_best_optimizer(optimizer));
        if self.start.goes_on() {
            if stored(&self.checkpoints, ROWS)? != with.rows.as_bytes() {
                let problem = "expected the rows that the run started with, found others";
                return Err(Error::saved(self.checkpoints.join(ROWS), problem).with_hint(OTHERS));
            }
            let warning = self.check_isa(with)?;
            return Ok((ready()?, warning));
        }
        self.remove_checkpoints()?;
        let mut writer = Writer::new(&self.checkpoints, Kind::Run)?;
        writer.file(ENCODER, with.encoder)?;
        writer.file(CONFIG, with.config.to_toml().as_bytes())?;
        writer.file(ROWS, with.rows.as_bytes())?;
        writer.file(ISA, bits_of(with.isa, with.config).as_bytes())?;
        writer.finish()?;
        Ok((ready()?, None))
    }

    /// Looks at the instruction set that the run was started on. What gives other bits is refused where the
    /// same could be had, else told.
    fn check_isa(&self, with: &StartedWith<'_>) -> Result<Option<String>> {
        let path = self.checkpoints.join(ISA);
        if !path.exists() {
            return Ok(None);
        }
        let started = String::from_utf8_lossy(&stored(&self.checkpoints, ISA)?).into_owned();
        let now = bits_of(with.isa, with.config);
        if now == started {
            return Ok(None);
        }
        let other = Isa::available().find(|isa| bits_of(*isa, with.config) == started);
        match other.map(|isa| isa.level().name()) {
            Some(name) => {
                let problem = format!(
                    "expected the {started} instructions that the run started with, found {now}: the weights \
                     would not be those of a run in one go"
                );
                Err(Error::saved(path, problem).with_hint(Hint::from("give ").set("run.isa", name)))
            }
            None => Ok(Some(format!(
                "the run was started with {started} instructions, which this processor does not have: its \
                 weights will differ in their last bits from those of a run in one go"
            ))),
        }
    }

    /// Where streamed rows are kept encoded.
    pub(crate) fn kept_rows(&self) -> PathBuf {
        self.checkpoints.join(KEPT)
    }

    /// Removes the checkpoints, at once for whoever looks from outside; what is not ours of them stays.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn remove_checkpoints(&self) -> Result<()> {
        if !self.checkpoints.exists() {
            return Ok(());
        }
        let aside = saved::set_aside(&self.checkpoints);
        fs::rename(&self.checkpoints, &aside).map_err(Error::io("remove", &self.checkpoints))?;
        let synced = sync_directory(&self.out);
        if let Some(foreign) = checkpoint::foreign(&aside, &OWN)? {
            // Found out before, so somebody has put it there since.
            fs::rename(&aside, &self.checkpoints).map_err(Error::io("rename", &aside))?;
            return Err(not_ours(&foreign));
        }
        // Where the disk is full, they leave room at least.
        remove_directory(&aside)?;
        Ok(synced?)
    }
}

/// What stands in the directory of checkpoints besides them.
const OWN: [&str; 6] = [ENCODER, CONFIG, ROWS, ISA, MANIFEST, KEPT];

/// What decides the last bits of weights, by name.
pub(crate) fn bits_of(isa: Isa, config: &RunConfig) -> String {
    // AVX2 and AVX-512 multiply and add in the same order.
    let vectors = if isa.level().name() == "scalar" { "scalar" } else { "vector" };
    let bf16 = config.train.precision == Precision::Bf16 && isa.has_bf16();
    format!("{vectors}{}", if bf16 { " bf16" } else { "" })
}

/// A file that a run was started with; in runs of earlier versions it has no checksum.
fn stored(checkpoints: &Path, name: &str) -> Result<Vec<u8>> {
    if checkpoints.join(MANIFEST).exists() {
        return Saved::open(checkpoints, Kind::Run)?.bytes(name);
    }
    let path = checkpoints.join(name);
    fs::read(&path).map_err(Error::io("read", &path))
}

/// Whether `out` holds a run that was interrupted.
pub(crate) fn is_unfinished(out: &Path) -> bool {
    Checkpoints::any_in(&out.join(CHECKPOINTS))
}

/// Whether `out` holds a model, or one that an interrupted replacement has set aside.
pub(crate) fn has_model(out: &Path) -> bool {
    out.join(MODEL).exists() || saved::set_aside(&out.join(MODEL)).exists()
}

/// Refuses to write over another run, and over what is none.
fn check(out: &Path, start: Start) -> Result<()> {
    let (model, checkpoints) = (out.join(MODEL), out.join(CHECKPOINTS));
    let unfinished = is_unfinished(out);
    if start == Start::Resume && !unfinished || start == Start::GoOn && !is_begun(out) {
        return Err(nothing_to_resume(out));
    }
    check_ours(&model, &checkpoints)?;
    let (what, go_on) = match (start, has_model(out), unfinished) {
        (Start::Fresh | Start::Once, true, _) => ("a finished model", ""),
        (Start::Fresh | Start::Once, false, true) => ("an unfinished run", "run.resume to go on with it, "),
        _ => return Ok(()),
    };
    let found = format!("{what} in {}", out.display());
    let error = Error::config("output directory", "a new or empty directory", found);
    Err(error.with_hint(format!("{go_on}run.overwrite to replace it, or another run.out")))
}

/// Refuses a model or checkpoints that are not ours.
fn check_ours(model: &Path, checkpoints: &Path) -> Result<()> {
    let foreign = match saved::foreign(model, Kind::Model)? {
        Some(found) => Some(found),
        None => checkpoint::foreign(checkpoints, &OWN)?,
    };
    foreign.map_or(Ok(()), |found| Err(not_ours(&found)))
}

/// What a directory holds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, or nothing of a run.
    Nothing,
    /// A run that was interrupted, whether it had saved a checkpoint or not.
    Unfinished,
    /// A model, and nothing that is left to do for it.
    Finished,
}

/// What the directory `out` holds of a run.
///
/// # Errors
/// If what stands in the place of a model or of checkpoints is not ours, or cannot be read.
pub fn standing(out: &Path) -> Result<Standing> {
    put_back(out)?;
    check_ours(&out.join(MODEL), &out.join(CHECKPOINTS))?;
    Ok(match (is_begun(out), has_model(out)) {
        (true, _) => Standing::Unfinished,
        (false, true) => Standing::Finished,
        (false, false) => Standing::Nothing,
    })
}

/// Whether `out` holds what a run was started with, which goes when the run is finished.
fn is_begun(out: &Path) -> bool {
    out.join(CHECKPOINTS).join(CONFIG).exists()
}

/// Puts a model back that an interrupted replacement has set aside.
fn put_back(out: &Path) -> Result<()> {
    if saved::set_aside(&out.join(MODEL)).exists() {
        let _lock = lock(out)?;
        saved::recover(&out.join(MODEL), Kind::Model)?;
    }
    Ok(())
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
    if has_model(out) {
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

/// Keeps other runs and searches out of the directory `out`.
///
/// # Errors
/// If one works there.
pub(crate) fn lock(out: &Path) -> Result<DirLock> {
    DirLock::take(&out.join(LOCK))?.ok_or_else(|| {
        let error = Error::saved(out, "expected no other run in this directory, found one that is going on");
        error.with_hint("wait for its end, or give another run.out")
    })
}

/// The configuration that an unfinished run in `out` was started with.
///
/// # Errors
/// If there is none, or it is damaged.
pub fn stored_config(out: &Path, notes: &mut Vec<Note>) -> Result<RunConfig> {
    put_back(out)?;
    let checkpoints = out.join(CHECKPOINTS);
    let path = checkpoints.join(CONFIG);
    if !path.exists() {
        return Err(nothing_to_resume(out));
    }
    let text = String::from_utf8(stored(&checkpoints, CONFIG)?)
        .map_err(|e| Error::saved(&path, format!("expected UTF-8, found {e}")))?;
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
