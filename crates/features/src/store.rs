//! What every feature store answers.
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whose row is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// A user, or another context of a request.
    User,
    /// An item.
    Item,
}

/// A row that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Of which table.
    pub side: Side,
    /// Its key, as the table that was loaded has it.
    pub key: &'a str,
}

/// A table of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableName {
    /// Rows of users.
    Users,
    /// Rows of items.
    Items,
    /// Which items a user has had already.
    Seen,
}

impl TableName {
    /// All of them, in the order in which they are loaded and shown.
    pub const ALL: [TableName; 3] = [TableName::Users, TableName::Items, TableName::Seen];

    /// Its name in a store.
    pub fn as_str(self) -> &'static str {
        match self {
            TableName::Users => "users",
            TableName::Items => "items",
            TableName::Seen => "seen",
        }
    }
}

impl From<Side> for TableName {
    fn from(side: Side) -> Self {
        match side {
            Side::User => TableName::Users,
            Side::Item => TableName::Items,
        }
    }
}

/// What the rows of a table are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Name of the key's column.
    pub key: String,
    /// Names of the other columns, in the order of the fields of a row.
    pub columns: Vec<String>,
}

/// The tables of a store, as they were when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides {
    /// Of users, if they were loaded.
    pub user: Option<Table>,
    /// Of items, if they were loaded.
    pub item: Option<Table>,
    /// Whether it knows what each user has had already.
    pub seen: bool,
}

impl Sides {
    /// The table of one side.
    pub fn of(&self, side: Side) -> Option<&Table> {
        match side {
            Side::User => self.user.as_ref(),
            Side::Item => self.item.as_ref(),
        }
    }
}

/// Rows of users and items by key. Any number of threads may ask at once.
pub trait Store: Send + Sync {
    /// How messages call it; without a password.
    fn name(&self) -> &str;

    /// Its tables, as they were when it was opened. Rows that are looked up have these columns, in this
    /// order, also after another load has given the table more or in another order.
    fn sides(&self) -> &Sides;

    /// The fields of each row that is asked for, all in one round trip and of one load; `None` for a key that
    /// the table does not have. A text that is empty is a missing value.
    ///
    /// # Errors
    /// If the store cannot answer within `deadline`, or holds something else than what was written.
    fn look_up(&self, asked: &[Asked<'_>], deadline: Duration) -> Result<Vec<Option<Vec<String>>>>;

    /// Keys of the items that a user has had already, in the order of their texts; none for a user that the
    /// store does not know.
    ///
    /// # Errors
    /// As [`Store::look_up`].
    fn seen(&self, user: &str, deadline: Duration) -> Result<Vec<String>>;

    /// The number of rows of each table that it holds now. Takes as long as it takes to count them.
    ///
    /// # Errors
    /// If the store cannot answer.
    fn rows(&self) -> Result<Vec<(TableName, u64)>>;
}
