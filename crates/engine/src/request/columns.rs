//! What was said of single columns where a schema is inferred or changed.
use crate::error::{Error, Result};
use dlrm_data::schema::{CategoricalColumn, Schema};
use dlrm_inspect::profile::ProfileOptions;

/// What was said of columns besides the label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnsRequest {
    /// Columns that are no input.
    pub ignore: Vec<String>,
    /// Columns that are categorical, whatever they look like.
    pub categorical: Vec<String>,
    /// The column of sample weights.
    pub weight: Option<String>,
}

impl ColumnsRequest {
    /// Key and columns of what was said.
    fn said(&self) -> [(&'static str, &[String]); 3] {
        [
            ("schema.ignore", &self.ignore),
            ("schema.categorical", &self.categorical),
            ("schema.weight", self.weight.as_slice()),
        ]
    }

    /// The key of the first thing that was said.
    pub(super) fn key(&self) -> Option<&'static str> {
        self.said().into_iter().find(|(_, columns)| !columns.is_empty()).map(|(key, _)| key)
    }

    /// Puts it into the options of a profile.
    pub fn put_into(&self, options: &mut ProfileOptions) {
        options.ignore.clone_from(&self.ignore);
        options.categorical.clone_from(&self.categorical);
        options.weight.clone_from(&self.weight);
    }

    /// Writes it into a schema that was not inferred, for rows of these columns.
    ///
    /// # Errors
    /// As [`ProfileOptions::kinds`].
    pub fn apply(&self, schema: &mut Schema, columns: &[String]) -> Result<()> {
        let mut said = ProfileOptions::default();
        self.put_into(&mut said);
        said.kinds(columns, Some(&schema.label.column)).map_err(Error::of_config)?;
        let out = |name: &String| self.ignore.contains(name) || self.weight.as_ref() == Some(name);
        let is_gone = |source: &str| out(&source.to_owned()) || self.categorical.iter().any(|c| c == source);
        schema.dense.retain(|column| !column.sources().any(is_gone));
        schema.categorical.retain(|column| !out(&column.source().to_owned()));
        for name in &self.categorical {
            if !schema.categorical.iter().any(|column| column.name == *name) {
                schema.categorical.push(CategoricalColumn::new(name));
            }
        }
        schema.weight = self.weight.clone().or(schema.weight.take());
        Ok(())
    }
}
