//! The schema that the facts suggest, as data and as TOML with the facts as comments.
use super::column::ColumnProfile;
use super::kind::Kind;
use super::left_out::left_out;
use super::suggested::{MomentColumns, USUAL, categorical, dense, times, unusual_missing};
use super::{LabelProfile, Profile};
use dlrm_data::error::{Error, Hint, Result};
use dlrm_data::format::{clip, count, number, percent};
use dlrm_data::schema::{Label, Schema, Task};

impl Profile {
    /// The schema that the facts suggest.
    ///
    /// # Errors
    /// If there is no label, its values need a rule, or no column is of use.
    pub fn schema(&self) -> Result<Schema> {
        let names = || self.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let label = self.label.as_ref().ok_or_else(|| {
            Error::input(
                "label",
                "a column to predict",
                format!("none that looks like one among {}", names()),
            )
            .with_hint(Hint::from("name the label column, e.g. ").set("schema.label.column", "click"))
        })?;
        self.schema_for(label.to_schema()?)
    }

    /// The schema for a label that is given, such as one with a rule.
    ///
    /// # Errors
    /// If no column is of use.
    pub fn schema_for(&self, label: Label) -> Result<Schema> {
        let inputs = || self.columns.iter().filter(|column| column.name != label.column);
        let moments = MomentColumns::of(inputs());
        let own = inputs().filter(|c| matches!(c.kind, Kind::Categorical | Kind::MultiValued { .. }));
        let categorical = own.map(categorical).chain(moments.columns.iter().flat_map(|c| times(c))).collect();
        let ages = moments.columns.iter().filter_map(|c| moments.age(c));
        let dense = inputs().filter(|c| c.kind == Kind::Dense).map(dense).chain(ages).collect();
        let mut missing = USUAL.map(str::to_owned).to_vec();
        // Those of the label too: a missing label is no class of its own.
        for text in self.columns.iter().flat_map(unusual_missing) {
            if !missing.iter().any(|known| known == text) {
                missing.push(text.to_owned());
            }
        }
        let schema = Schema {
            missing,
            weight: self.columns.iter().find(|c| c.kind == Kind::Weight).map(|c| c.name.clone()),
            group: None,
            time: moments.event.map(|column| column.name.clone()),
            date_order: moments.date_order,
            label,
            dense,
            categorical,
            crosses: Vec::new(),
        };
        schema
            .check("inferred schema")
            .map_err(|e| e.with_hint("every column was left out; `warnings` of the profile say why"))?;
        Ok(schema)
    }

    /// [`Profile::schema`] as TOML, with the facts as comments for people who edit it.
    ///
    /// # Errors
    /// As [`Profile::schema`].
    pub fn schema_toml(&self) -> Result<String> {
        Ok(self.annotate(&self.schema()?))
    }

    /// `schema` as TOML, with the facts of this profile as comments.
    pub fn annotate(&self, schema: &Schema) -> String {
        self.annotate_with(schema, &[])
    }

    /// A schema (TOML) with what is known of its columns as comments, and further ones about columns or,
    /// without a column, about the whole.
    pub fn annotate_with(&self, schema: &Schema, more: &[(Option<String>, String)]) -> String {
        let plain = schema.to_toml();
        let mut out = self.preamble(more);
        let mut dense = schema.dense.iter().map(|c| c.name.as_str());
        let mut categorical = schema.categorical.iter().map(|c| c.name.as_str());
        for line in plain.lines() {
            let name = match line {
                "[[dense]]" => dense.next(),
                "[[categorical]]" => categorical.next(),
                "[label]" => Some(schema.label.column.as_str()),
                _ => None,
            };
            let column = name.and_then(|name| self.columns.iter().find(|c| c.name == name));
            column.into_iter().flat_map(comments).for_each(|text| push_comment(&mut out, &text));
            let own = more.iter().filter(|(of, _)| name.is_some() && of.as_deref() == name);
            own.for_each(|(_, text)| push_comment(&mut out, text));
            out.push_str(line);
            out.push('\n');
        }
        // A name with line breaks could look like a header; comments are not worth a wrong schema.
        let same = Schema::from_toml(&out, "schema").is_ok_and(|read| read == *schema);
        if same { out } else { plain }
    }

    /// One line about the label.
    pub(super) fn label_line(&self, label: &LabelProfile) -> String {
        let origin = label.origin.in_words();
        let why = label.positive_origin.map_or(String::new(), |origin| format!(", {}", origin.reason()));
        let positive = label
            .positive
            .first()
            .map_or(String::new(), |text| format!(", positive: {}{why}", dlrm_data::error::quoted(text)));
        let what = match (label.task, label.positive_share) {
            (Some(Task::Binary), Some(share)) if label.rule.is_some() => {
                format!("{} of the rows fulfil {}", percent(share), label.rule.as_deref().unwrap_or_default())
            }
            (Some(Task::Binary), Some(share)) => format!("{} positive", percent(share)),
            (Some(Task::Rating), _) => {
                let mean = self
                    .columns
                    .iter()
                    .find(|c| c.name == label.column)
                    .and_then(|c| c.numbers)
                    .map_or(0.0, |n| n.mean);
                let rule = format!("{} >= {}", clip(&label.column, 40), number(mean.ceil()));
                format!("numbers, predicted as they are; for clicks give a rule such as \"{rule}\"")
            }
            _ => "more than two texts: needs a rule or a list of positive values".to_owned(),
        };
        format!("Label: {} ({origin}{positive}); {what}.", clip(&label.column, 60))
    }

    /// The head comment: how it came about, what is not in it.
    fn preamble(&self, more: &[(Option<String>, String)]) -> String {
        let mut out = String::new();
        push_comment(
            &mut out,
            &format!(
                "Inferred from {} rows with {} columns. Edit freely.",
                count(self.rows),
                self.columns.len()
            ),
        );
        if let Some(label) = &self.label {
            push_comment(&mut out, &self.label_line(label));
        }
        let label = self.label.as_ref().map(|l| l.column.as_str());
        for column in self.columns.iter().filter(|c| Some(c.name.as_str()) != label) {
            if let Some(reason) = left_out(column) {
                push_comment(&mut out, &format!("{}: {reason}", column.name));
            } else if matches!(column.kind, Kind::Timestamp { .. }) {
                push_comment(&mut out, &format!("{}: {}", column.name, column.suggestions.join("; ")));
            }
        }
        for warning in &self.warnings {
            push_comment(&mut out, &format!("Warning: {warning}"));
        }
        more.iter().filter(|(of, _)| of.is_none()).for_each(|(_, text)| push_comment(&mut out, text));
        out.push('\n');
        out
    }
}

/// The facts and the advice about a column, a line each.
fn comments(column: &ColumnProfile) -> Vec<String> {
    let mut facts = vec![format!("{} distinct", count(column.distinct))];
    if column.missing > 0 {
        facts.push(format!("{} missing", percent(column.missing_share)));
    }
    match column.numbers.filter(|_| column.kind == Kind::Dense) {
        Some(n) => facts.push(format!(
            "{} to {}, mean {}, skew {}",
            number(n.min),
            number(n.max),
            number(n.mean),
            number(n.skewness)
        )),
        None => facts.push(format!(
            "most frequent value {}, e.g. {}",
            percent(column.head_share),
            column.examples.join(", ")
        )),
    }
    let advice = column.suggestions.iter().cloned();
    let warnings = column.warnings.iter().map(|warning| format!("Warning: {warning}"));
    std::iter::once(facts.join("; ")).chain(advice).chain(warnings).collect()
}

fn push_comment(out: &mut String, text: &str) {
    out.push_str("# ");
    out.push_str(&clip(text, 160));
    out.push('\n');
}
