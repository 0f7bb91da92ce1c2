//! The schema of a run: given, that of a known format, or inferred from a pass over the rows.
use super::columns::ColumnsRequest;
use super::label::LabelRequest;
use crate::error::{Error, Result};
use crate::note::Note;
use dlrm_data::Stop;
use dlrm_data::moment::TimePart;
use dlrm_data::readers::{Format, Header, Input, are_numbers_of_columns, default_schema};
use dlrm_data::row::RowSource;
use dlrm_data::rows::OpenRows;
use dlrm_data::schema::Schema;
use dlrm_data::split::Split;
use dlrm_inspect::profile::{LabelProfile, Profile, ProfileOptions};
use std::path::Path;

/// Reads a schema (TOML).
///
/// # Errors
/// If the file cannot be read or is no schema.
pub fn read_schema(path: &Path) -> Result<Schema> {
    let text = dlrm_data::text::read(path)?;
    Ok(Schema::from_toml(&text, &path.display().to_string())?)
}

/// What was said of the columns of rows.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Of the label.
    pub label: &'a LabelRequest,
    /// Of others.
    pub columns: &'a ColumnsRequest,
    /// Bytes that a pass over them may take.
    pub memory: Option<u64>,
    /// Whether the pass is to end before the last row.
    pub stop: &'a Stop,
}

impl Said<'_> {
    /// What a profile must know of it.
    ///
    /// # Errors
    /// As [`LabelRequest::profile_options`].
    pub fn profile_options(&self) -> Result<ProfileOptions> {
        let mut options = self.label.profile_options()?;
        self.columns.put_into(&mut options);
        options.memory = self.memory;
        Ok(options)
    }

    /// Writes it into a schema that was not inferred, for rows of these columns.
    ///
    /// # Errors
    /// What contradicts the schema or itself.
    pub fn apply(&self, schema: &mut Schema, columns: &[String]) -> Result<()> {
        self.label.apply(schema)?;
        self.columns.apply(schema, columns)
    }
}

/// The schema of an input: that of its format where there is one, else inferred from a pass over the rows.
/// Notes say what was odd about it. The pass takes the memory that was said.
///
/// # Errors
/// If the rows cannot be read, or nothing says what the label is.
pub fn schema_of(input: &Input, said: Said<'_>, notes: &mut Vec<Note>) -> Result<Schema> {
    let label = said.label;
    let mut source = said.stop.over(input.open()?);
    if let Some(mut schema) = default_schema(input.format, source.columns()) {
        let own_label = label.rule.is_none() && label.positive.is_empty();
        if matches!(input.format, Format::Libsvm | Format::Libffm) && own_label {
            schema.label = LabelProfile::of(&mut *source, &schema.label.column)?.to_schema()?;
        }
        let columns = source.columns().to_vec();
        said.apply(&mut schema, &columns)?;
        return Ok(schema);
    }
    if input.format == Format::Criteo {
        return Err(Error::config("input.paths", "Criteo rows with labels", "rows without")
            .with_hint("train on the labelled file (train.txt)"));
    }
    if input.header == Some(Header::Present) && are_numbers_of_columns(source.columns()) {
        notes.push(Note::decision(
            "header: the first line, numbers from 0 on, is taken for the names of the columns; if it is a \
             row, say so with input.header (absent)",
        ));
    }
    infer(&mut *source, &input.name(), said, notes)
}

/// The schema of rows that are given by another program.
///
/// # Errors
/// As [`schema_of`].
pub fn schema_of_rows(rows: &dyn OpenRows, said: Said<'_>, notes: &mut Vec<Note>) -> Result<Schema> {
    infer(&mut *said.stop.over(rows.open_rows()?), &rows.name(), said, notes)
}

fn infer(source: &mut dyn RowSource, name: &str, said: Said<'_>, notes: &mut Vec<Note>) -> Result<Schema> {
    let profile = profile(source, name, &said.profile_options()?)?;
    let own = profile
        .columns
        .iter()
        .flat_map(|c| c.warnings.iter().map(move |warning| format!("column \"{}\": {warning}", c.name)));
    notes.extend(profile.label.iter().flat_map(LabelProfile::decisions).map(Note::decision));
    notes.extend(profile.warnings.iter().cloned().chain(own).map(Note::new));
    let schema = inferred(&profile, said.label)?;
    notes.extend(times(&schema));
    Ok(schema)
}

/// What of moments is an input, a note for each column of moments.
fn times(schema: &Schema) -> Vec<Note> {
    let ages = schema.dense.iter().filter_map(|column| column.age.as_ref());
    let ages = ages.map(|age| {
        let (column, until) = (&age.column, &age.until);
        Note::new(format!("column \"{column}\", a timestamp: the days from it to \"{until}\" are an input"))
    });
    let mut columns: Vec<(&str, Vec<&str>)> = Vec::new();
    for time in schema.categorical.iter().filter_map(|column| column.time.as_ref()) {
        let part = match time.part {
            TimePart::Hour => "hour of day",
            TimePart::Weekday => "weekday",
            TimePart::Month => "month",
        };
        match columns.iter_mut().find(|(column, _)| *column == time.column) {
            Some((_, parts)) => parts.push(part),
            None => columns.push((&time.column, vec![part])),
        }
    }
    let note = |(column, parts): (&str, Vec<&str>)| {
        let verb = if parts.len() == 1 { "is an input" } else { "are inputs" };
        Note::new(format!("column \"{column}\", a timestamp: {} {verb}", parts.join(" and ")))
    };
    columns.into_iter().map(note).chain(ages).collect()
}

/// One pass over `source`, the rows of the input `name`.
///
/// # Errors
/// If the rows cannot be read.
pub fn profile(source: &mut dyn RowSource, name: &str, options: &ProfileOptions) -> Result<Profile> {
    Ok(Profile::of(source, options).map_err(|e| e.within(name))?)
}

/// The schema of a profile, for the label that was asked for.
///
/// # Errors
/// If nothing says what the label is.
pub fn inferred(profile: &Profile, label: &LabelRequest) -> Result<Schema> {
    let mut schema = profile.schema()?;
    label.apply(&mut schema)?;
    Ok(schema)
}

/// An inferred schema does not take the given folds for an input.
pub(super) fn without_fold(mut schema: Schema, split: &Split) -> Result<Schema> {
    if let Split::Column { column, .. } = split {
        schema.dense.retain(|c| c.sources().all(|source| source != column));
        schema.categorical.retain(|c| c.source() != column);
        schema.check("inferred schema")?;
    }
    Ok(schema)
}
