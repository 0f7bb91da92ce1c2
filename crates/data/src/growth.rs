//! Encoders that grow: values that were new get ids behind the old ones, and nothing else changes, so that a
//! row of old values is encoded as before.
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::schema::{Encoding, Schema};

impl Encoder {
    /// The id of a value that a growing vocabulary does not have; its row stays where it is.
    pub const UNSEEN: u32 = 1;

    /// Refuses to grow for the rows of `schema`.
    ///
    /// # Errors
    /// If it is not the schema of this encoder (but for the time, which only splits read), or the place of a
    /// row depends on the number of values.
    pub(crate) fn check_growth(&self, schema: &Schema) -> Result<()> {
        let timeless = |schema: &Schema| Schema { time: None, ..schema.clone() };
        if timeless(self.schema()) != timeless(schema) {
            return Err(Error::input(
                "schema",
                "that of the model that training goes on from",
                "another one",
            ));
        }
        let first_seen = |encoding: &Encoding| matches!(encoding, Encoding::FirstSeen { .. });
        match schema.categorical.iter().find(|column| first_seen(&column.encoding)) {
            Some(column) => Err(Error::input(
                format!("encoding of column \"{}\"", column.name),
                "a vocabulary, hash or identity, whose tables can grow",
                "first_seen, whose row of unseen values lies behind all others",
            )),
            None => Ok(()),
        }
    }

    /// Whether this encoder is `base`, or has grown from it.
    ///
    /// # Errors
    /// If it encodes a value that `base` knows in another way.
    pub(crate) fn check_grown_from(&self, base: &Encoder) -> Result<()> {
        base.check_growth(self.schema())?;
        let begins = |column: &str| match (self.vocabulary(column), base.vocabulary(column)) {
            (Some(own), Some(old)) => {
                let (own, old) = (own.texts(), old.texts());
                own.len() >= old.len() && old.iter().zip(own.iter()).all(|(old, own)| old == own)
            }
            (None, None) => true,
            _ => false,
        };
        let columns = &self.schema().categorical;
        let other = columns.iter().find(|column| !begins(column.table_name())).map(|column| &column.name);
        let scaled = self.schema().dense.iter().zip(self.dense().iter().zip(base.dense()));
        let other =
            other.or(scaled.filter(|(_, (own, old))| own != old).map(|(column, _)| &column.name).next());
        match other {
            None => Ok(()),
            Some(name) => Err(Error::input(
                format!("encoder of column \"{name}\""),
                "that of the model that training goes on from, or one grown from it",
                "another one",
            )),
        }
    }
}
