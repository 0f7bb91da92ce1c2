//! The raw columns that a model reads, as clients are told of them.
use dlrm_data::schema::{DenseColumn, Schema};
use serde::Serialize;

/// A raw column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Input {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) kind: InputKind,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum InputKind {
    /// One of many.
    Categorical,
    /// A number.
    Numeric,
    /// Several of many, between separators where they stand in one text, each with a weight behind it where
    /// it may have one.
    MultiValued { separator: char, weight_separator: Option<char> },
    /// A point in time.
    Moment,
    /// What rows are looked up by in the store of features, and the model does not read.
    Key,
}

/// The columns that inputs are read from, in the order in which rows hold them.
pub(crate) fn inputs(schema: &Schema) -> Vec<Input> {
    let kind = |name: &str| {
        let own = |column: &&DenseColumn| column.name == name && column.age.is_none();
        if schema.dense.iter().any(|column| own(&column)) {
            return InputKind::Numeric;
        }
        let categorical = schema.categorical.iter().find(|c| c.name == name && c.time.is_none());
        match categorical.map(|column| &column.multi) {
            Some(Some(multi)) => InputKind::MultiValued {
                separator: multi.separator,
                weight_separator: multi.weight_separator,
            },
            Some(None) => InputKind::Categorical,
            None => InputKind::Moment,
        }
    };
    schema.inputs().into_iter().map(|name| Input { name: name.to_owned(), kind: kind(name) }).collect()
}
