//! Errors of building a model: they name the parameter, what it should be and what it is.

/// Result of the nn floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A model that cannot be built or filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct Error {
    /// Parameter or option.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl Error {
    /// An error about `what`.
    pub fn new(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error { what: what.into(), expected: expected.into(), found: found.into() }
    }
}
