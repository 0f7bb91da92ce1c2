//! From flags to inputs and schemas.
use super::args::{InputArgs, LabelArgs};
use super::failure::Failure;
use dlrm::data::label::Rule;
use dlrm::data::profile::{Profile, ProfileOptions};
use dlrm::data::readers::{Format, Input, default_schema};
use dlrm::data::row::RowSource;
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::{Label, Schema, Task};
use std::path::PathBuf;

/// Applies the flags to an input.
pub fn apply(args: &InputArgs, paths: &[PathBuf], mut input: Input) -> Result<Input, Failure> {
    if !paths.is_empty() {
        input.paths = paths.to_vec();
    }
    if let Some(format) = &args.format {
        input.format = format.parse()?;
    }
    if let Some(delimiter) = &args.delimiter {
        let mut chars = delimiter.chars();
        input.delimiter = match (delimiter.as_str(), chars.next(), chars.next()) {
            ("tab" | "\\t", ..) => Some('\t'),
            (_, Some(c), None) => Some(c),
            _ => {
                return Err(Failure::usage(
                    format!("--delimiter: expected one character or \"tab\", found \"{delimiter}\""),
                    "quote it for the shell",
                ));
            }
        };
    }
    if !args.columns.is_empty() {
        input.columns = Some(args.columns.clone());
    }
    if input.paths.is_empty() {
        return Err(Failure::usage("no input", "name files on the command line, or under [input] paths in the configuration"));
    }
    Ok(input)
}

/// The input that a stored model should read from `paths`: as the flags say, or as found, or as in training.
pub fn for_model(args: &InputArgs, paths: &[PathBuf], stored: &Input, needed: &[&str]) -> Result<Input, Failure> {
    let given = apply(args, paths, Input::default())?;
    let fits = |input: &Input| -> Result<bool, dlrm::data::Error> {
        let source = input.open()?;
        Ok(needed.iter().all(|name| source.columns().iter().any(|c| c == name)))
    };
    let as_found = fits(&given);
    if matches!(as_found, Ok(true)) || args.format.is_some() || !args.columns.is_empty() {
        return Ok(given);
    }
    let as_trained = Input { paths: paths.to_vec(), ..stored.clone() };
    if matches!(fits(&as_trained), Ok(true)) { Ok(as_trained) } else { as_found.map(|_| given).map_err(Failure::from) }
}

/// The schema of an input: of its format where that is known, else inferred from a pass over the rows. Returns
/// warnings beside it.
pub fn schema(input: &Input, label: &LabelArgs) -> Result<(Schema, Vec<String>), Failure> {
    let mut source = input.open()?;
    if let Some(mut schema) = default_schema(input.format, source.columns()) {
        apply_label(&mut schema, label)?;
        return Ok((schema, Vec::new()));
    }
    if input.format == Format::Criteo {
        return Err(Failure::usage("these Criteo rows have no label", "train on the labelled file (train.txt)"));
    }
    let profile = profile(input, &mut *source, &profile_options(label)?)?;
    let own = profile.columns.iter().flat_map(|c| c.warnings.iter().map(move |w| format!("column \"{}\": {w}", c.name)));
    let warnings = profile.warnings.iter().cloned().chain(own).collect();
    Ok((inferred(&profile, label)?, warnings))
}

/// One pass over `source`, the rows of `input`.
pub fn profile(input: &Input, source: &mut dyn RowSource, options: &ProfileOptions) -> Result<Profile, Failure> {
    Profile::of(source, options).map_err(|e| e.within(&input.name()).into())
}

/// The schema of a profile, for the label that the flags say.
pub fn inferred(profile: &Profile, label: &LabelArgs) -> Result<Schema, Failure> {
    let mut schema = match (profile_options(label)?.label, label.label_rule.is_some() || !label.positive.is_empty()) {
        (Some(column), true) => {
            let label = Label { column, task: Task::Binary, rule: label.label_rule.clone(), positive: label.positive.clone() };
            profile.schema_for(label)?
        }
        _ => profile.schema()?,
    };
    apply_label(&mut schema, label)?;
    Ok(schema)
}

/// What the profile must know of the label.
pub fn profile_options(label: &LabelArgs) -> Result<ProfileOptions, Failure> {
    let rule = label.label_rule.as_deref().map(Rule::parse).transpose()?;
    Ok(ProfileOptions { label: label.label.clone().or_else(|| rule.map(|rule| rule.column)) })
}

/// Writes the label flags into a schema.
pub fn apply_label(schema: &mut Schema, args: &LabelArgs) -> Result<(), Failure> {
    if let Some(rule) = &args.label_rule {
        schema.label.column = Rule::parse(rule)?.column;
        schema.label.rule = Some(rule.clone());
        schema.label.positive = Vec::new();
        schema.label.task = Task::Binary;
    }
    if let Some(column) = &args.label {
        if *column != schema.label.column && args.label_rule.is_some() {
            let found = format!("--label {column} and a --label-rule about \"{}\"", schema.label.column);
            return Err(Failure::usage(format!("label: expected one column, found {found}"), "give one of the two"));
        }
        schema.label.column.clone_from(column);
    }
    if !args.positive.is_empty() {
        if args.label_rule.is_some() {
            return Err(Failure::usage("label: expected --label-rule or --positive, found both", "give one of the two"));
        }
        schema.label.positive.clone_from(&args.positive);
        schema.label.rule = None;
        schema.label.task = Task::Binary;
    }
    let own = schema.label.column.clone();
    schema.dense.retain(|c| c.name != own);
    schema.categorical.retain(|c| c.name != own);
    Ok(())
}
