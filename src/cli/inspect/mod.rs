//! `dlrm inspect`: a first pass over the main input says what the columns are, a second one over all parts
//! what is wrong.
mod forecast;

use super::args::InspectArgs;
use super::failure::Failure;
use super::files::Target;
use super::session::Session;
use super::{flags, output, requests, values};
use dlrm::bench::memory;
use dlrm::data::Stop;
use dlrm::data::readers::Input;
use dlrm::data::schema::Schema;
use dlrm::engine::inspection::FirstPass;
use dlrm::engine::request::{self, Said};
use dlrm::inspect::findings::Inspection;
use dlrm::inspect::profile::Profile;
use forecast::Forecast;
use std::path::Path;

/// Width of the table where standard output is no terminal that says its own.
const WIDTH: usize = 120;

/// A first pass over the main input.
fn first_pass(session: &Session, args: &InspectArgs, input: &Input) -> Result<FirstPass, Failure> {
    let given = args.schema.as_deref().map(request::read_schema).transpose()?;
    let (label, columns) = (requests::label(&args.label), requests::columns(&args.columns));
    // The other half is for the second pass. Nothing here depends on what is free: nor does the schema.
    let memory = values::memory_limit(args.memory_limit.as_deref())?.map(|limit| limit / 2);
    let said = Said { label: &label, columns: &columns, memory, stop: Stop::never() };
    let mut first = FirstPass::over_files(input, given, said)?;
    let profile = &mut first.profile;
    output::bad_rows(session, &profile.first_bad_rows, profile.bad_rows);
    check_bad_rows(args, input, profile)?;
    let columns = profile.columns.iter_mut().flat_map(|column| &mut column.warnings);
    columns.chain(&mut profile.warnings).for_each(|warning| *warning = flags::in_text(warning));
    Ok(first)
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
    let FirstPass { profile, sample, schema, is_given } = first_pass(session, args, &input)?;
    let (profile, sample, schema) = (&profile, &sample, schema.map_err(Failure::from));
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
    let mut text = match (&schema, &second) {
        (Ok(schema), Some(second)) => report(profile, schema, second),
        _ => profile.table(WIDTH),
    };
    text.push_str(&next(args, schema.is_ok(), is_given));
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
