//! Streaming readers: files of every supported format as [`RawRow`](crate::RawRow)s, in constant memory.
//!
//! [`Input`] says what to read and how; [`Input::open`] gives a [`RowSource`](crate::RowSource). Below it:
//!
//! * `lines`: bytes of a file, seen through gzip and zstd, as lines with their numbers
//! * `record`: one record of delimited text
//! * `detect`: format, delimiter, quotes and header from the beginning of a file
//! * `delimited`, `criteo`, `sparse` (libsvm, libffm), `movielens` with its `side_tables`, `ncf`, `parquet`
//! * `chain`: several files as one stream
//! * `stream`: bytes that can be read only once, such as standard input
//! * `files`: what a directory or a pattern stands for
//! * `defaults`: the schema of formats whose meaning is known
//!
//! A malformed row is an [`Error::Row`](crate::Error::Row) with its position, and the reader stands at the
//! next row. Every pass over an input yields the same rows and the same errors.
mod chain;
mod criteo;
mod defaults;
mod delimited;
mod detect;
mod files;
mod format;
mod input;
mod lines;
mod movielens;
mod names;
mod ncf;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_text;
mod record;
mod side_tables;
mod sparse;
mod stream;

pub use defaults::default_schema;
pub use format::{Format, Header, Quote, Trim};
pub use input::Input;
pub use stream::Stream;
