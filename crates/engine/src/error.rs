//! Errors of the engine.
use dlrm_data::Hint;
use std::path::PathBuf;

/// Result of the engine floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a run. The command line maps each kind to an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or encoding data.
    #[error(transparent)]
    Data(#[from] dlrm_data::Error),
    /// The model does not fit the data or the configuration.
    #[error(transparent)]
    Model(#[from] dlrm_nn::Error),
    /// Scores that cannot be measured.
    #[error(transparent)]
    Metrics(#[from] dlrm_metrics::Error),
    /// A configuration that cannot be used.
    #[error("{what}: expected {expected}, found {found}")]
    Config {
        /// Key or flag.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: Option<Hint>,
    },
    /// The run is the first rank's, which has left: nothing is left to do for this one.
    #[error("the first rank of the run has done with training")]
    Assisted,
    /// Another rank of the run cannot go on, and has said why.
    #[error("rank {rank} cannot go on")]
    Rank {
        /// Which.
        rank: usize,
    },
    /// The loss became infinite or NaN.
    #[error("training diverged: expected a finite loss, found {loss} at step {step}")]
    Diverged {
        /// Step, the first is 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// A saved model or checkpoint that cannot be trusted.
    #[error("{}: {problem}", path.display())]
    Saved {
        /// File or directory.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
        /// What to do.
        hint: Option<Hint>,
    },
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
        /// What to do.
        hint: Option<Hint>,
    },
    /// The plan needs more memory than there is.
    #[error("{what}: needs {needed}, available {available}")]
    Memory {
        /// What does not fit.
        what: String,
        /// Bytes needed, for people.
        needed: String,
        /// Bytes available, for people.
        available: String,
        /// Cheaper options.
        hint: Hint,
    },
    /// Worker threads could not be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// The system's reason.
        reason: String,
    },
    /// The user asked to stop; what was done so far is saved.
    #[error("interrupted at step {step}")]
    Interrupted {
        /// Steps done.
        step: u64,
        /// Checkpoint to resume from, if one was written.
        checkpoint: Option<PathBuf>,
    },
}

impl Error {
    /// A configuration error.
    pub fn config(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error::Config { what: what.into(), expected: expected.into(), found: found.into(), hint: None }
    }

    /// A configuration error found by the floor below.
    pub fn of_config(error: dlrm_data::Error) -> Self {
        match error {
            dlrm_data::Error::Input { input, expected, found, hint } => {
                Error::Config { what: input, expected, found, hint }
            }
            other => Error::Data(other),
        }
    }

    /// An error about saved files.
    pub fn saved(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Error::Saved { path: path.into(), problem: problem.into(), hint: None }
    }

    /// An [`Error::Io`] for use in `map_err`.
    pub fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| {
            let hint = dlrm_data::error::io_hint(action, &path, &source);
            Error::Io { action, path, source, hint }
        }
    }

    /// This error with a hint, where its kind has room for one.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<Hint>) -> Self {
        if let Error::Config { hint, .. } | Error::Saved { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What the user can do, where something can be said.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Data(e) => e.hint().cloned(),
            // The one interaction that a single vector can have.
            Error::Model(e) if e.what == "model.interaction" => {
                Some(Hint::from("for one vector take ").set("model.interaction", "cat"))
            }
            Error::Model(_) => None,
            Error::Metrics(e) => e.hint().map(Hint::from),
            Error::Config { hint, .. } | Error::Saved { hint, .. } | Error::Io { hint, .. } => hint.clone(),
            Error::Memory { hint, .. } => Some(hint.clone()),
            Error::Diverged { .. } => Some(
                "lower the learning rate, say to a tenth, with train.optimizer.lr and \
                 train.table_optimizer.lr, or set train.clip_norm"
                    .into(),
            ),
            Error::Threads { .. } => Some(Hint::from("give fewer with ").name("run.threads")),
            Error::Interrupted { checkpoint: Some(_), .. } => {
                Some(Hint::from("go on with ").name("run.resume"))
            }
            Error::Rank { .. } => Some("look at its own message".into()),
            Error::Interrupted { checkpoint: None, .. } | Error::Assisted => None,
        }
    }
}
