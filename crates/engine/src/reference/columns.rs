//! The columns of a model that was a checkpoint of the reference implementation: numbers are taken as they
//! are, ids are the numbers of rows.
use super::shape::ReferenceShape;
use crate::error::{Error, Result};
use dlrm_data::Encoder;
use dlrm_data::dense::DenseScale;
use dlrm_data::schema::{CategoricalColumn, DenseColumn, Encoding, Label, MultiValued, Schema, Transform};

/// How many ids a column has in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdsPerRow {
    /// One.
    One,
    /// Any number, as in the bags of the reference.
    Any,
}

/// What the columns of the model are called.
#[derive(Debug, Clone)]
pub struct ReferenceColumns {
    /// Those of numbers, in the order of the bottom MLP's inputs.
    pub dense: Vec<String>,
    /// Those of ids, in the order of the tables.
    pub categorical: Vec<String>,
    /// The column that evaluation finds clicks in.
    pub label: String,
    /// How many ids each has in a row.
    pub ids: IdsPerRow,
}

impl ReferenceColumns {
    /// The encoder of rows for a network of this shape.
    ///
    /// # Errors
    /// If there are not as many names as columns, or two are the same.
    pub(super) fn encoder(&self, shape: &ReferenceShape) -> Result<Encoder> {
        let count = |what: &str, names: &[String], expected: usize| match names.len() {
            found if found == expected => Ok(()),
            found => Err(Error::config(what, format!("{expected} names of columns"), found.to_string())
                .with_hint("name all of them, in the order of the checkpoint, or none")),
        };
        count("dense", &self.dense, shape.dense)?;
        count("categorical", &self.categorical, shape.rows.len())?;
        let schema = self.schema(shape);
        schema.check("columns").map_err(|error| {
            Error::of_config(error).with_hint("give each column and the label a name of its own")
        })?;
        // What rows of such columns are like is not known, and nothing that is encoded depends on it.
        let scale = DenseScale {
            transform: Transform::None,
            clip: None,
            mean: 0.0,
            deviation: 1.0,
            missing: 0.0,
            indicator: false,
            pieces: None,
        };
        Ok(Encoder::unfitted(schema, vec![scale; shape.dense])?)
    }

    fn schema(&self, shape: &ReferenceShape) -> Schema {
        let multi = (self.ids == IdsPerRow::Any).then(MultiValued::separated);
        let categorical = |(name, &rows): (&String, &usize)| CategoricalColumn {
            encoding: Encoding::Identity { bound: rows as u32 },
            multi: multi.clone(),
            ..CategoricalColumn::new(name)
        };
        let dense = |name: &String| DenseColumn {
            missing_value: Some(0.0),
            ..DenseColumn::new(name, Transform::None)
        };
        Schema {
            missing: Vec::new(),
            weight: None,
            group: None,
            time: None,
            date_order: None,
            label: Label::clicks(&self.label),
            dense: self.dense.iter().map(dense).collect(),
            categorical: self.categorical.iter().zip(&shape.rows).map(categorical).collect(),
            crosses: Vec::new(),
        }
    }
}
