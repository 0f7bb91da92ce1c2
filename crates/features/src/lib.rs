//! Floor 3 of dlrm: features by key. A request names a user and items; their columns are looked up here, as
//! texts, in the form in which training has read them.
//!
//! `tables of users and items → Load → store → Store::look_up → fields of rows`
//!
//! * [`store`]: what every store answers ([`Store`]); [`open`] by address.
//! * `sqlite_store`, `sqlite_writer`: a database file, which the `sqlite3` program can read and fill.
//! * `redis_store`, `redis_writer`: a server for many readers.
//! * [`load`]: filling a store from rows of any format; a table is replaced whole or not at all.
//! * [`error`]: every error names the store, what was expected, what was found and what to do.
//!
//! Keys and fields are texts that nothing here parses. It looks at the clock for deadlines and prints
//! nothing.
#![forbid(unsafe_code)]

mod address;
pub mod error;
mod keyed_rows;
pub mod load;
mod open;
mod redis_keys;
mod redis_pool;
mod redis_store;
mod redis_writer;
mod sqlite_error;
mod sqlite_store;
mod sqlite_tables;
mod sqlite_writer;
pub mod store;
mod writer;

pub use error::{Error, Result};
pub use load::{Load, LoadedTable, SeenRows, TableRows};
pub use open::open;
pub use store::{Asked, Side, Sides, Store, Table, TableName};
pub use writer::Observer;
