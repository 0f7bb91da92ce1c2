//! Streaming readers: files of every supported format as [`RawRow`](crate::RawRow)s, in constant memory.
//!
//! [`Input`] says what to read and how; [`Input::open`] gives a [`RowSource`](crate::RowSource). Below it:
//!
//! * `lines`: bytes of a file, seen through gzip and zstd, as lines with their numbers; `unpacking`: ahead of
//!   whoever reads them, of several files at once
//! * `record`: one record of delimited text
//! * `detect`: format, delimiter, quotes and header from the beginning of a file
//! * `delimited`, `criteo`, `jsonl`, `sparse` (libsvm, libffm), `movielens` with its `side_tables`, `ncf`,
//!   `parquet`
//! * `chain`: several files as one stream
//! * `value_text`: values of Parquet files and of Arrow arrays as text; `arrow_rows`: rows of arrays in
//!   memory, `arrow_cells`: their values
//! * `stream`: bytes that can be read only once, such as standard input
//! * `files`: what a directory or a pattern stands for; `partitions`: columns in the names of directories
//! * `defaults`: the schema of formats whose meaning is known
//!
//! A malformed row is an [`Error::Row`](crate::Error::Row) with its position, and the reader stands at the
//! next row. Every pass over an input yields the same rows and the same errors.
mod arrow_cells;
mod arrow_rows;
mod chain;
mod criteo;
mod defaults;
mod delimited;
mod detect;
mod files;
mod format;
mod input;
mod jsonl;
mod lines;
mod movielens;
mod names;
mod ncf;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_chunks;
#[cfg(feature = "parquet")]
mod parquet_pages;
#[cfg(feature = "parquet")]
mod parquet_text;
mod partitions;
mod record;
mod side_tables;
mod sparse;
mod stream;
mod unpacking;
mod value_text;

pub use arrow_rows::{ArrowColumn, ArrowRows};
pub use chain::Compared;
pub use defaults::default_schema;
pub use detect::are_numbers_of_columns;
pub use format::{Format, Header, Quote, Trim};
pub use input::Input;
pub use jsonl::{BadValue, append_json};
pub use stream::Stream;
