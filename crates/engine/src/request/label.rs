//! What is predicted: the label column and what counts as a click.
use crate::error::{Error, Result};
use dlrm_data::label::Rule;
use dlrm_data::schema::{Label, Schema, Task};
use dlrm_inspect::profile::ProfileOptions;

/// What was said of the label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelRequest {
    /// The column.
    pub column: Option<String>,
    /// What counts as a click, such as `rating >= 4`.
    pub rule: Option<String>,
    /// Values that count as a click.
    pub positive: Vec<String>,
    /// Whether clicks or numbers are predicted; by the values where it is not said.
    pub task: Option<Task>,
}

impl LabelRequest {
    /// Whether anything was said.
    pub fn is_empty(&self) -> bool {
        *self == LabelRequest::default()
    }

    /// What a profile must know of the label.
    ///
    /// # Errors
    /// A rule that is malformed, or contradicts the column or the positive values.
    pub fn profile_options(&self) -> Result<ProfileOptions> {
        if self.rule.is_some() && !self.positive.is_empty() {
            return Err(Error::config("schema.label", "schema.label.rule or schema.label.positive", "both")
                .with_hint("give one of the two"));
        }
        if let (Some(rule), Some(column)) = (&self.rule, &self.column) {
            let own = Rule::parse(rule)?.column;
            if own != *column {
                let found = format!("the column \"{column}\" and a schema.label.rule about \"{own}\"");
                return Err(
                    Error::config("schema.label", "one column", found).with_hint("give one of the two")
                );
            }
        }
        Ok(ProfileOptions {
            label: self.column.clone(),
            rule: self.rule.clone(),
            positive: self.positive.clone(),
            ..ProfileOptions::default()
        })
    }

    /// Writes what was said into a schema.
    ///
    /// # Errors
    /// As [`LabelRequest::profile_options`].
    pub fn apply(&self, schema: &mut Schema) -> Result<()> {
        self.profile_options()?;
        let column = match &self.rule {
            Some(rule) => Some(Rule::parse(rule)?.column),
            None => self.column.clone(),
        };
        if let Some(column) = column.filter(|column| *column != schema.label.column) {
            // What the schema says of another column does not hold for this one.
            schema.label = Label::clicks(column);
        }
        if self.rule.is_some() || !self.positive.is_empty() {
            let (rule, positive) = (self.rule.clone(), self.positive.clone());
            schema.label = Label { rule, positive, ..Label::clicks(schema.label.column.clone()) };
        }
        if let Some(task) = self.task.filter(|&task| task != schema.label.task) {
            schema.label = Label { task, ..Label::clicks(schema.label.column.clone()) };
        }
        let own = schema.label.column.clone();
        schema.dense.retain(|c| c.sources().all(|source| source != own));
        schema.categorical.retain(|c| c.source() != own);
        Ok(())
    }
}
