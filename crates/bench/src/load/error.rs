//! Why a server could not be measured.
use std::io;

/// Why a server could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An address that is none of a server.
    #[error("{address}: expected {expected}, found {found}")]
    Address {
        /// What was given.
        address: String,
        /// What was expected.
        expected: &'static str,
        /// What stood there instead.
        found: String,
    },
    /// Nobody answers at the address.
    #[error("{address}: expected a server that listens, found: {source}")]
    Unreachable {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody answers otherwise than `dlrm serve`.
    #[error("{address}: expected a server of dlrm, found {found}")]
    Other {
        /// The address.
        address: String,
        /// What was answered.
        found: String,
    },
    /// The server wants another key, or one.
    #[error("{address}: expected a key that the server knows, found {found}")]
    Key {
        /// The address.
        address: String,
        /// Whether one was sent.
        found: &'static str,
    },
    /// The server has no such model, or the model no such column.
    #[error("{what}: expected {expected}, found {found}")]
    Unknown {
        /// What was asked for.
        what: String,
        /// What there is.
        expected: String,
        /// What was named.
        found: String,
    },
    /// The server refuses what is to be asked.
    #[error("{address}: expected an answer to the first request, found status {status}: {error}")]
    Refused {
        /// The address.
        address: String,
        /// The status of its answer.
        status: u16,
        /// Its own words.
        error: String,
    },
    /// Rows to ask about cannot be read.
    #[error(transparent)]
    Rows(#[from] dlrm_data::Error),
    /// The system has no threads for so many connections.
    #[error("expected {wanted} threads, one for each connection, found: {source}")]
    Threads {
        /// How many were asked for.
        wanted: usize,
        /// What the system says.
        source: io::Error,
    },
}
