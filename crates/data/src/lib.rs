//! Floor 1 of dlrm: from raw rows to encoded batches.
//!
//! `file → bytes → fields (RawRow) → parsed values (ParsedRow) → Encoder → Batch`
//!
//! * [`row`]: one raw row as text fields, and [`row::RowSource`], which every reader implements.
//! * [`readers`]: files of every supported format as raw rows.
//! * [`schema`]: what each column means; edited by people as TOML.
//! * [`parse`], [`label`], [`moment`]: fields as typed values; [`rows`]: with malformed rows skipped within a
//!   limit.
//! * [`fit`], [`encoder`], [`dense`], [`pieces`], [`vocabulary`], [`string_arena`]: fitted on the training
//!   rows of a [`split`].
//! * [`dataset`], [`batches`]: encoded rows in memory or streamed, in batches.
//! * [`source`]: either of raw files and a prepared data set.
//! * [`prepared`]: encoded rows on disk, made once, trained from often; those of a stream, kept between
//!   epochs.
//! * [`items`]: tables of items, and what users have had of them, in Arrow files that are mapped.
//! * [`batch`]: the encoded form that models consume.
//! * [`counts`]: how many encoded values were missing or unknown.
//! * [`durable`]: files that are whole or absent, directories that one process at a time works in.
//! * [`table`]: tables that are written, as CSV, JSON lines or Parquet.
//! * [`sealed`]: JSON files that carry a checksum of themselves; [`protobuf`]: files for other programs.
//! * [`mod@format`]: numbers and texts for people.
//! * [`error`]: every error names the input, the position, what was expected and what was found.
#![deny(unsafe_code)]

mod arrow_file;
pub mod batch;
pub mod batches;
pub mod counts;
pub mod dataset;
pub mod dense;
pub mod durable;
pub mod encoded;
pub mod encoder;
pub mod error;
pub mod fit;
pub mod format;
mod growth;
mod guard;
mod hexadecimal;
mod hint;
mod huge;
mod ids;
mod io_hint;
pub mod items;
pub mod label;
mod map;
pub mod moment;
pub mod negatives;
pub mod parse;
mod pass;
pub mod pieces;
pub mod prepared;
pub mod protobuf;
mod ranks;
pub mod readers;
pub mod rng;
pub mod row;
pub mod rows;
pub mod schema;
pub mod sealed;
pub mod source;
mod spelling;
mod spill;
pub mod split;
mod stop;
pub mod string_arena;
mod sum;
mod synthetic;
pub mod table;
pub mod text;
pub mod threads;
pub mod vocabulary;

pub use batch::{Bags, Batch, BatchSource};
pub use encoder::Encoder;
pub use error::{Error, Hint, Position, Result};
pub use row::{RawRow, RowSource};
pub use schema::Schema;
pub use stop::Stop;
