//! From flags to inputs and schemas.
use super::args::{InputArgs, LabelArgs};
use super::failure::{Failure, io};
use dlrm::data::error::nearest;
use dlrm::data::label::Rule;
use dlrm::data::readers::{Format, Header, Input, Quote, Trim, default_schema};
use dlrm::data::row::RowSource;
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::{Label, Schema};
use dlrm::data::split::Split;
use dlrm::inspect::profile::{LabelProfile, Profile, ProfileOptions};
use std::path::{Path, PathBuf};

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
    if let Some(header) = &args.header {
        input.header = one_of(
            "--header",
            header,
            &[("present", Some(Header::Present)), ("absent", Some(Header::Absent)), ("auto", None)],
        )?;
        if input.header != Some(Header::Absent) {
            // The file names its own columns.
            input.columns = None;
        }
    }
    if let Some(quote) = &args.quote {
        input.quote = one_of(
            "--quote",
            quote,
            &[("double", Some(Quote::Double)), ("none", Some(Quote::None)), ("auto", None)],
        )?;
    }
    if let Some(trim) = &args.trim {
        input.trim = one_of(
            "--trim",
            trim,
            &[("blanks", Some(Trim::Blanks)), ("none", Some(Trim::None)), ("auto", None)],
        )?;
    }
    if !args.columns.is_empty() {
        input.columns = Some(args.columns.clone());
        if args.header.is_none() {
            input.header = None;
        }
    }
    if input.paths.is_empty() {
        return Err(Failure::usage(
            "no input",
            "name files on the command line, or under [input] paths in the configuration",
        ));
    }
    Ok(input)
}

/// The value that `text` names among `known`.
fn one_of<T: Copy>(flag: &str, text: &str, known: &[(&str, T)]) -> Result<T, Failure> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let hint = nearest(text, names.iter().copied())
        .map_or("leave it out to have it detected".to_owned(), |near| format!("did you mean \"{near}\"?"));
    Err(Failure::usage(format!("{flag}: expected one of {}, found \"{text}\"", names.join(", ")), hint))
}

/// Whether an input opens with every `needed` column.
fn fits(input: &Input, needed: &[&str]) -> Result<bool, dlrm::data::Error> {
    let source = input.open()?;
    Ok(needed.iter().all(|name| source.columns().iter().any(|c| c == name)))
}

/// The input that a stored model should read from `paths`. Text is read as in training, for what detection makes of
/// a few rows may be something else (a stray quote, a value that looks like a name); it is detected anew only
/// where that finds no `needed` column. Flags say more than either.
pub fn for_model(
    args: &InputArgs,
    paths: &[PathBuf],
    stored: &Input,
    needed: &[&str],
) -> Result<Input, Failure> {
    let found = apply(args, paths, Input::default())?;
    if found.format != Format::Auto && found.format != stored.format {
        return Ok(found);
    }
    let trained = apply(args, paths, Input { paths: Vec::new(), ..stored.clone() })?;
    let mut candidates = vec![trained.clone(), found.clone()];
    if !matches!(stored.format, Format::Csv | Format::Tsv) {
        // Other formats are known by their first bytes or lines.
        candidates.reverse();
    } else if trained.header == Some(Header::Absent) && args.header.is_none() && args.columns.is_empty() {
        // The columns were named by hand in training; this file may name them itself.
        candidates.insert(0, Input { header: Some(Header::Present), columns: None, ..trained.clone() });
    }
    if let Some(fit) = candidates.iter().find(|input| matches!(fits(input, needed), Ok(true))) {
        return Ok(fit.clone());
    }
    // Neither has the columns: complain about the reading that opens, in training's terms if both do.
    match fits(&trained, needed) {
        Ok(_) => Ok(trained),
        Err(_) => fits(&found, needed).map(|_| found).map_err(Failure::from),
    }
}

/// The schema in a file.
pub fn read_schema(path: &Path) -> Result<Schema, Failure> {
    let text = std::fs::read_to_string(path).map_err(io("read", path))?;
    Ok(Schema::from_toml(&text, &path.display().to_string())?)
}

/// The schema of an input: of its format where that is known, else inferred from a pass over the rows. Returns
/// warnings beside it.
pub fn schema(input: &Input, label: &LabelArgs) -> Result<(Schema, Vec<String>), Failure> {
    let mut source = input.open()?;
    if let Some(mut schema) = default_schema(input.format, source.columns()) {
        if matches!(input.format, Format::Libsvm | Format::Libffm)
            && label.label_rule.is_none()
            && label.positive.is_empty()
        {
            schema.label = LabelProfile::of(&mut *source, &schema.label.column)?.to_schema()?;
        }
        apply_label(&mut schema, label)?;
        return Ok((schema, Vec::new()));
    }
    if input.format == Format::Criteo {
        return Err(Failure::usage(
            "these Criteo rows have no label",
            "train on the labelled file (train.txt)",
        ));
    }
    let profile = profile(input, &mut *source, &profile_options(label)?)?;
    let own = profile
        .columns
        .iter()
        .flat_map(|c| c.warnings.iter().map(move |w| format!("column \"{}\": {w}", c.name)));
    let warnings = profile.warnings.iter().cloned().chain(own).collect();
    Ok((inferred(&profile, label)?, warnings))
}

/// The split of that name, with a tenth of the rows each to validate and to test.
pub fn split(kind: &str, seed: u64) -> Result<Split, Failure> {
    let (validation, test) = (0.1, 0.1);
    match kind {
        "random" => Ok(Split::Random { validation, test, seed }),
        "order" => Ok(Split::Order { validation, test }),
        "time" => Ok(Split::Time { validation, test }),
        "last-day" => Ok(Split::LastDay { days: None }),
        other => {
            let message = format!("--split: expected random, order, time or last-day, found \"{other}\"");
            Err(Failure::usage(
                message,
                "given folds are set in the configuration: --set data.split.kind=column",
            ))
        }
    }
}

/// How an input is split where nothing is said.
pub fn usual_split(input: &Input) -> Split {
    match input.format {
        // Criteo's rows are in the order of time; a random split would leak the future.
        Format::Criteo => Split::Order { validation: 0.1, test: 0.1 },
        _ => Split::default(),
    }
}

/// A split by time needs a column that tells it.
pub fn check_time(split: &Split, schema: &Schema) -> Result<(), Failure> {
    if matches!(split, Split::Time { .. }) && schema.time.is_none() {
        return Err(Failure::usage(
            "--split time: expected a `time` column in the schema, found none",
            "set `time` in the schema, or use --split order",
        ));
    }
    Ok(())
}

/// One pass over `source`, the rows of `input`.
pub fn profile(
    input: &Input,
    source: &mut dyn RowSource,
    options: &ProfileOptions,
) -> Result<Profile, Failure> {
    Profile::of(source, options).map_err(|e| e.within(&input.name()).into())
}

/// The schema of a profile, for the label that the flags say.
pub fn inferred(profile: &Profile, label: &LabelArgs) -> Result<Schema, Failure> {
    let mut schema = profile.schema()?;
    apply_label(&mut schema, label)?;
    Ok(schema)
}

/// What the profile must know of the label.
pub fn profile_options(label: &LabelArgs) -> Result<ProfileOptions, Failure> {
    if label.label_rule.is_some() && !label.positive.is_empty() {
        return Err(Failure::usage(
            "label: expected --label-rule or --positive, found both",
            "give one of the two",
        ));
    }
    if let (Some(rule), Some(column)) = (&label.label_rule, &label.label) {
        let own = Rule::parse(rule)?.column;
        if own != *column {
            let found = format!("--label {column} and a --label-rule about \"{own}\"");
            return Err(Failure::usage(
                format!("label: expected one column, found {found}"),
                "give one of the two",
            ));
        }
    }
    Ok(ProfileOptions {
        label: label.label.clone(),
        rule: label.label_rule.clone(),
        positive: label.positive.clone(),
    })
}

/// Writes the label flags into a schema.
pub fn apply_label(schema: &mut Schema, args: &LabelArgs) -> Result<(), Failure> {
    profile_options(args)?;
    let column = match &args.label_rule {
        Some(rule) => Some(Rule::parse(rule)?.column),
        None => args.label.clone(),
    };
    if let Some(column) = column.filter(|column| *column != schema.label.column) {
        // What the schema says of another column does not hold for this one.
        schema.label = Label::clicks(column);
    }
    if args.label_rule.is_some() || !args.positive.is_empty() {
        let (rule, positive) = (args.label_rule.clone(), args.positive.clone());
        schema.label = Label { rule, positive, ..Label::clicks(schema.label.column.clone()) };
    }
    let own = schema.label.column.clone();
    schema.dense.retain(|c| c.name != own);
    schema.categorical.retain(|c| c.name != own);
    Ok(())
}
