//! Errors of feature stores. Each says which store, what was expected, what was found and what to do.
use dlrm_data::Hint;

/// Result of feature stores.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of a feature store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for does not go with what there is: an address that is none, a file of others.
    #[error("{what}: expected {expected}, found {found}")]
    Refused {
        /// Address, file or table at fault.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: Hint,
    },
    /// A store holds something else than what was written.
    #[error("{what}: expected {expected}, found {found}")]
    Content {
        /// Store, with the table, row or key at fault.
        what: String,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A store did not answer, or not in time, or could not do what it was asked to.
    #[error("cannot {action} {store}: {reason}")]
    Unavailable {
        /// What was attempted, e.g. "read".
        action: &'static str,
        /// The store.
        store: String,
        /// Its reason.
        reason: String,
        /// What to do, where something can be said.
        hint: Option<Hint>,
    },
    /// The rows to load, or a file.
    #[error(transparent)]
    Data(#[from] dlrm_data::Error),
}

impl Error {
    /// An [`Error::Refused`].
    pub(crate) fn refused(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        hint: impl Into<Hint>,
    ) -> Self {
        Error::Refused {
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
            hint: hint.into(),
        }
    }

    /// An [`Error::Content`].
    pub(crate) fn content(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Error::Content { what: what.into(), expected: expected.into(), found: found.into() }
    }

    /// An [`Error::Unavailable`].
    pub(crate) fn unavailable(
        action: &'static str,
        store: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Error::Unavailable { action, store: store.into(), reason: reason.into(), hint: None }
    }

    /// This error with a hint, where its kind has room for one.
    #[must_use]
    pub(crate) fn with_hint(mut self, text: impl Into<Hint>) -> Self {
        if let Error::Unavailable { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What the user can do, where something can be said.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Refused { hint, .. } => Some(hint.clone()),
            Error::Unavailable { hint, .. } => hint.clone(),
            Error::Content { .. } => {
                Some("load the table again with `dlrm features load`, or mend it by hand".into())
            }
            Error::Data(error) => error.hint().cloned(),
        }
    }
}
