//! Floor 2 of dlrm: public data sets, from their publishers to a directory that the readers of `dlrm-data`
//! read.
//!
//! `catalogue → transfer (resumed, repeated) → checksum → unpack → rows counted → directory renamed into
//! place`
//!
//! * [`catalogue`]: what is known of each data set: publisher, terms, archive, checksum, rows.
//! * [`fetch()`]: the whole way, as a straight line. [`Observer`]: who is told how it goes and may stop it.
//! * [`transfer`]: one file by HTTP. What has arrived stays, and the transfer resumes there.
//! * [`digest`]: checksums. [`unpack`]: archives, of which no entry leaves the directory. [`check`]: rows,
//!   counted by the reader that will train on them.
//! * [`place`]: a directory is whole or absent; [`place::Record`] says what it holds and where it came from.
//! * [`error`]: every error names the input, what was expected, what was found and what to do.
//!
//! The only crate with an HTTP client. It takes a proxy from the environment, as HTTP clients do, and waits
//! between attempts; it prints nothing.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod check;
pub mod digest;
pub mod error;
mod fetch;
mod observer;
pub mod place;
pub mod transfer;
pub mod unpack;

pub use catalogue::{CATALOGUE, DataSet};
pub use error::{Error, Result};
pub use fetch::{Request, fetch};
pub use observer::Observer;
