//! Encoders that grow: values that were new get ids behind the old ones, and nothing else changes, so that a
//! row of old values is encoded as before.
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::schema::{Encoding, Schema};
use crate::string_arena::StringArena;

/// A schema without the time, which only splits read.
fn timeless(schema: &Schema) -> Schema {
    Schema { time: None, ..schema.clone() }
}

impl Encoder {
    /// The id of a value that a growing vocabulary does not have; its row stays where it is.
    pub const UNSEEN: u32 = 1;

    /// Refuses to grow for the rows of `schema`.
    ///
    /// # Errors
    /// If it is not the schema of this encoder (but for the time, which only splits read), or the place of a
    /// row depends on the number of values.
    pub(crate) fn check_growth(&self, schema: &Schema) -> Result<()> {
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
        let begins = |own: &StringArena, old: &StringArena| {
            own.len() >= old.len() && old.iter().zip(own.iter()).all(|(old, own)| old == own)
        };
        match self.first_other(base, begins) {
            None => Ok(()),
            Some(name) => Err(Error::input(
                format!("encoder of column \"{name}\""),
                "that of the model that training goes on from, or one grown from it",
                "another one",
            )),
        }
    }

    /// Refuses rows that this encoder has encoded where that of a model would give other labels, ids or
    /// numbers.
    ///
    /// # Errors
    /// The first column that they encode differently, or that their schemas are not the same.
    pub fn check_encodes_as(&self, model: &Encoder) -> Result<()> {
        if timeless(self.schema()) != timeless(model.schema()) {
            return Err(Error::input("schema", "that of the model", "another one"));
        }
        match self.first_other(model, PartialEq::eq) {
            None => Ok(()),
            Some(name) => {
                Err(Error::input(format!("encoder of column \"{name}\""), "that of the model", "another one"))
            }
        }
    }

    /// The first column that `other`, of the same schema, encodes otherwise, where `alike` compares
    /// vocabularies.
    fn first_other(
        &self,
        other: &Encoder,
        alike: impl Fn(&StringArena, &StringArena) -> bool,
    ) -> Option<&String> {
        let is_alike = |table: &str| match (self.vocabulary(table), other.vocabulary(table)) {
            (Some(own), Some(other)) => alike(own.texts(), other.texts()),
            (own, other) => own.is_none() && other.is_none(),
        };
        let schema = self.schema();
        let ids = schema.categorical.iter().find(|column| !is_alike(column.table_name()));
        let mut scales = schema.dense.iter().zip(self.dense().iter().zip(other.dense()));
        ids.map(|column| &column.name)
            .or_else(|| scales.find(|(_, (own, other))| own != other).map(|(column, _)| &column.name))
    }
}
