//! A store by its address.
use crate::address::Address;
use crate::error::Result;
use crate::redis_store::RedisStore;
use crate::sqlite_store::SqliteStore;
use crate::store::Store;

/// Opens the store at `address`: `sqlite:FILE`, or a file whose name ends in .sqlite, .sqlite3 or .db, or
/// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`.
///
/// # Errors
/// If it cannot be reached or is no feature store.
pub fn open(address: &str) -> Result<Box<dyn Store>> {
    Ok(match Address::parse(address)? {
        Address::Sqlite(path) => Box::new(SqliteStore::open(&path)?),
        Address::Redis(server) => Box::new(RedisStore::open(*server)?),
    })
}
