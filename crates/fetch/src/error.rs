//! Errors of fetching. Each says which input, what was expected, what was found and what to do about it.
use dlrm_data::Hint;
use dlrm_data::format::bytes;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Result of fetching.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of fetching.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, e.g. "open".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A disk has no room for what is to come.
    #[error("{}: expected {} free on this disk, found {}", path.display(), bytes(*needed), bytes(*free))]
    Full {
        /// Where it was to go.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// A server could not be reached or broke off, again and again.
    #[error("cannot fetch {url}: {what}")]
    Network {
        /// What was asked for.
        url: String,
        /// What happened, with the host.
        what: String,
        /// What to do.
        hint: Hint,
    },
    /// Something is not what it should be: an archive, a checksum, a directory.
    #[error("{input}: expected {expected}, found {found}")]
    Input {
        /// File or address at fault.
        input: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: Option<Hint>,
    },
    /// The directory is taken by something else.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Taken {
        /// The directory.
        path: PathBuf,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: Hint,
    },
    /// An address that cannot be fetched from.
    #[error("expected an address that begins with http:// or https://, found \"{url}\"")]
    Address {
        /// The address.
        url: String,
    },
    /// The reader of a file complains.
    #[error(transparent)]
    Data(#[from] dlrm_data::Error),
    /// The observer wished to stop.
    #[error("{what}")]
    Interrupted {
        /// How far it came and what stays.
        what: String,
    },
}

impl Error {
    /// An [`Error::Io`] for use in `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::Input`].
    pub fn input(input: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error::Input { input: input.into(), expected: expected.into(), found: found.into(), hint: None }
    }

    /// This error with a hint, where its kind has room for one.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<Hint>) -> Self {
        if let Error::Input { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What the user can do, where something can be said.
    pub fn hint(&self) -> Option<Hint> {
        let again = || {
            let hint = Hint::from("free some space, or choose another disk with ").name("run.out");
            hint.say("; what has arrived stays, and the same command resumes there")
        };
        let of_io = |source: &std::io::Error| match source.kind() {
            ErrorKind::StorageFull => Some(again()),
            ErrorKind::PermissionDenied => {
                Some(Hint::from("choose a directory of your own with ").name("run.out"))
            }
            _ => None,
        };
        match self {
            Error::Io { source, .. } => of_io(source),
            // What is read is no place that can be chosen.
            Error::Data(dlrm_data::Error::Io { action, source, .. })
                if !matches!(*action, "open" | "read" | "list") =>
            {
                of_io(source)
            }
            Error::Full { .. } => Some(again()),
            Error::Interrupted { .. } | Error::Address { .. } => None,
            Error::Network { hint, .. } | Error::Taken { hint, .. } => Some(hint.clone()),
            Error::Input { hint, .. } => hint.clone(),
            Error::Data(error) => error.hint().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_that_the_rest_stays() {
        let full = Error::io("write", Path::new("x"))(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(full.hint().is_some_and(|hint| hint.to_string().contains("resumes")));
    }
}
