//! `dlrm inspect`: a first pass over the main input says what the columns are, a second one over all parts
//! what is wrong.
mod forecast;

use super::args::InspectArgs;
use super::failure::Failure;
use super::files::Target;
use super::session::Session;
use super::{flags, memory, output, requests, values};
use dlrm::data::readers::{Format, Input, default_schema};
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::Schema;
use dlrm::engine::request::{self, Said};
use dlrm::inspect::findings::{Inspection, RowSample, SampledRows};
use dlrm::inspect::profile::Profile;
use forecast::Forecast;
use std::path::Path;

/// Width of the table where standard output is no terminal that says its own.
const WIDTH: usize = 120;

/// What a first pass over the main input says.
struct FirstPass {
    profile: Profile,
    sample: RowSample,
    /// By which the rows are looked at; without a label there is none.
    schema: Result<Schema, Failure>,
    /// Whether the schema was given, and not inferred.
    given: bool,
}

impl FirstPass {
    fn over(session: &Session, args: &InspectArgs, input: &Input) -> Result<Self, Failure> {
        let mut source = input.open()?;
        let given = args.schema.as_deref().map(request::read_schema).transpose()?;
        let known = given.clone().or_else(|| default_schema(input.format, source.columns()));
        let (label, columns) = (requests::label(&args.label), requests::columns(&args.columns));
        // The other half is for the second pass. Nothing here depends on what is free: nor does the schema.
        let memory = values::memory_limit(args.memory_limit.as_deref())?.map(|limit| limit / 2);
        let said = Said { label: &label, columns: &columns, memory };
        let mut options = said.profile_options()?;
        if let (None, None, Some(schema)) = (&options.label, &options.rule, &known) {
            options.label = Some(schema.label.column.clone());
        }
        let mut sampled = SampledRows::new(&mut *source);
        let mut profile = request::profile(&mut sampled, &input.name(), &options)?;
        let sample = sampled.into_sample();
        output::bad_rows(session, &profile.first_bad_rows, profile.bad_rows);
        check_bad_rows(args, input, &profile)?;
        let columns = profile.columns.iter_mut().flat_map(|column| &mut column.warnings);
        columns.chain(&mut profile.warnings).for_each(|warning| *warning = flags::in_text(warning));
        // A given schema counts, then that of a known format; otherwise it is inferred.
        let schema = match known {
            Some(mut schema) => {
                let unnamed = matches!(input.format, Format::Libsvm | Format::Libffm) && given.is_none();
                if let Some(label) = profile.label.as_ref().filter(|_| unnamed) {
                    schema.label = label.to_schema()?;
                }
                let names: Vec<String> = profile.columns.iter().map(|column| column.name.clone()).collect();
                said.apply(&mut schema, &names).map(|()| schema)
            }
            None => request::inferred(&profile, &label),
        };
        Ok(FirstPass { profile, sample, schema: schema.map_err(Failure::from), given: given.is_some() })
    }
}

/// The memory that was said, or what the system could give.
fn memory_limit(args: &InspectArgs) -> Result<Option<u64>, Failure> {
    values::memory_limit(args.memory_limit.as_deref()).map(|limit| limit.or_else(memory::free))
}

fn check_bad_rows(args: &InspectArgs, input: &Input, profile: &Profile) -> Result<(), Failure> {
    let Some(most) = args.input.max_bad_rows.filter(|&most| profile.bad_rows > most) else { return Ok(()) };
    let (input, bad) = (input.paths[0].display(), profile.bad_rows);
    let found = format!("{input}: expected at most {most} malformed rows, found {bad}");
    Err(Failure::data(found, "raise --max-bad-rows, or leave it out to count them all"))
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &InspectArgs) -> Result<(), Failure> {
    let input = requests::input(&args.input, &args.paths).apply(Input::default())?.resolve()?;
    if let Some(path) = &args.output {
        // Found out before the work, not after it.
        let inputs = [input.files()?, args.parts.test.clone(), args.parts.validation.clone()];
        target(args, path).check(&inputs.concat())?;
    }
    let first = FirstPass::over(session, args, &input)?;
    let FirstPass { profile, sample, schema, given } = &first;
    let second =
        schema.as_ref().ok().map(|schema| forecast::look(session, args, (&input, schema), (profile, sample)));
    let second = second.transpose()?;
    if let Some(path) = &args.output {
        let schema = schema.as_ref().map_err(Failure::clone)?;
        let comments = second.as_ref().map_or_else(Vec::new, |(inspection, _)| inspection.comments());
        target(args, path).write(session, profile.annotate_with(schema, &comments).as_bytes())?;
    }
    if session.json {
        return output::print(&format!("{}\n", json(profile, schema.as_ref().ok(), second.as_ref())));
    }
    let mut text = match (schema, &second) {
        (Ok(schema), Some(second)) => report(profile, schema, second),
        _ => profile.table(WIDTH),
    };
    text.push_str(&next(args, schema.is_ok(), *given));
    output::print(&text)
}

/// Where the schema goes.
fn target<'a>(args: &InspectArgs, path: &'a Path) -> Target<'a> {
    Target { flag: "-o", path, overwrite: args.overwrite }
}

/// What to do with the schema.
fn next(args: &InspectArgs, has_schema: bool, given: bool) -> String {
    match &args.output {
        Some(path) => {
            let path = path.display();
            format!("\nschema written to {path}; edit it and train with --schema {path}\n")
        }
        None if given => String::new(),
        None if has_schema => "\nwrite the inferred schema with -o schema.toml\n".to_owned(),
        None => "\nno schema yet: name the label with --label (and --label-rule or --positive)\n".to_owned(),
    }
}

/// For people, the most important first.
fn report(profile: &Profile, schema: &Schema, (inspection, forecast): &(Inspection, Forecast)) -> String {
    [
        profile.headline(),
        inspection.findings_text(WIDTH),
        "\n".to_owned(),
        profile.facts(WIDTH),
        inspection.parts_text(schema.label.task),
        inspection.tables_text(),
        forecast.text(),
        profile.suggestions(WIDTH),
    ]
    .concat()
}

/// For machines. Keys stay what they are.
fn json(
    profile: &Profile,
    schema: Option<&Schema>,
    second: Option<&(Inspection, Forecast)>,
) -> serde_json::Value {
    serde_json::json!({
        "profile": profile,
        "schema": schema,
        "doctor": second.map(|(inspection, _)| inspection),
        "forecast": second.map(|(_, forecast)| forecast.json()),
    })
}
