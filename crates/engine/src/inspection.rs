//! A first pass over rows: what their columns are, and the schema that they are looked at by.
use crate::error::Result;
use crate::request::{self, Said};
use dlrm_data::readers::{Format, Input, default_schema};
use dlrm_data::rows::OpenRows;
use dlrm_data::schema::Schema;
use dlrm_inspect::findings::{RowSample, SampledRows};
use dlrm_inspect::profile::Profile;

/// What a first pass over the main input says.
pub struct FirstPass {
    /// What the columns are.
    pub profile: Profile,
    /// Some of the rows.
    pub sample: RowSample,
    /// By which the rows are looked at; without a label there is none.
    pub schema: Result<Schema>,
    /// Whether the schema was given, and not inferred.
    pub is_given: bool,
}

/// What says what the label of a known schema is.
#[derive(Clone, Copy, PartialEq)]
enum LabelOf {
    Values,
    Schema,
}

impl FirstPass {
    /// Over the files of `input`.
    ///
    /// # Errors
    /// If they cannot be read, or what was said contradicts itself.
    pub fn over_files(input: &Input, given: Option<Schema>, said: Said<'_>) -> Result<Self> {
        let is_given = given.is_some();
        let of_format = || Ok::<_, dlrm_data::Error>(default_schema(input.format, input.open()?.columns()));
        let known = given.map_or_else(of_format, |schema| Ok(Some(schema)))?;
        let unnamed = matches!(input.format, Format::Libsvm | Format::Libffm) && !is_given;
        let label_of = if unnamed { LabelOf::Values } else { LabelOf::Schema };
        Ok(FirstPass { is_given, ..FirstPass::over(input, known, said, label_of)? })
    }

    /// Over rows of another program.
    ///
    /// # Errors
    /// As [`FirstPass::over_files`].
    pub fn over_rows(rows: &dyn OpenRows, given: Option<Schema>, said: Said<'_>) -> Result<Self> {
        FirstPass::over(rows, given, said, LabelOf::Schema)
    }

    fn over(rows: &dyn OpenRows, known: Option<Schema>, said: Said<'_>, label_of: LabelOf) -> Result<Self> {
        let mut options = said.profile_options()?;
        if let (None, None, Some(schema)) = (&options.label, &options.rule, &known) {
            options.label = Some(schema.label.column.clone());
        }
        let mut source = rows.open_rows()?;
        let mut sampled = SampledRows::new(&mut *source);
        let profile = request::profile(&mut sampled, &rows.name(), &options)?;
        let (sample, is_given) = (sampled.into_sample(), known.is_some());
        let schema = schema(&profile, known, said, label_of);
        Ok(FirstPass { profile, sample, schema, is_given })
    }
}

/// A known schema counts; otherwise it is inferred.
fn schema(profile: &Profile, known: Option<Schema>, said: Said<'_>, label_of: LabelOf) -> Result<Schema> {
    let Some(mut schema) = known else { return request::inferred(profile, said.label) };
    if let Some(label) = profile.label.as_ref().filter(|_| label_of == LabelOf::Values) {
        schema.label = label.to_schema()?;
    }
    let names: Vec<String> = profile.columns.iter().map(|column| column.name.clone()).collect();
    said.apply(&mut schema, &names)?;
    Ok(schema)
}
