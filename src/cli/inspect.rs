//! `dlrm inspect`.
use super::args::InspectArgs;
use super::doctor::{self, Examined};
use super::failure::{Failure, io};
use super::session::Session;
use super::{output, requests};
use dlrm::data::readers::{Format, Input, default_schema};
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::Schema;
use dlrm::engine::request;
use dlrm::inspect::findings::SampledRows;
use dlrm::inspect::profile::Profile;

/// Width of the table where standard output is no terminal that says its own.
const WIDTH: usize = 120;

/// Runs the subcommand.
pub fn run(session: &Session, args: &InspectArgs) -> Result<(), Failure> {
    let input = requests::input(&args.input, &args.paths).apply(Input::default())?.resolve()?;
    let mut source = input.open()?;
    let given = args.schema.as_deref().map(request::read_schema).transpose()?;
    let known = given.clone().or_else(|| default_schema(input.format, source.columns()));
    let label = requests::label(&args.label);
    let mut options = label.profile_options()?;
    if let (None, None, Some(schema)) = (&options.label, &options.rule, &known) {
        options.label = Some(schema.label.column.clone());
    }
    let mut sampled = SampledRows::new(&mut *source);
    let profile = request::profile(&mut sampled, &input.name(), &options)?;
    let sample = sampled.into_sample();
    output::bad_rows(session, &profile.first_bad_rows, profile.bad_rows);
    if let Some(most) = args.input.max_bad_rows.filter(|&most| profile.bad_rows > most) {
        let found = format!(
            "{}: expected at most {most} malformed rows, found {}",
            input.paths[0].display(),
            profile.bad_rows
        );
        return Err(Failure::data(found, "raise --max-bad-rows, or leave it out to count them all"));
    }
    // A given schema counts, then that of a known format; otherwise it is inferred. Without a label there is none.
    let schema = match known {
        Some(mut schema) => {
            if let (Format::Libsvm | Format::Libffm, Some(label), None) =
                (input.format, &profile.label, &given)
            {
                schema.label = label.to_schema()?;
            }
            label.apply(&mut schema).map(|()| schema)
        }
        None => request::inferred(&profile, &label),
    };
    let schema = schema.map_err(Failure::from);
    let examined = schema
        .as_ref()
        .ok()
        .map(|schema| doctor::examine(session, args, &input, schema, (&profile, &sample)))
        .transpose()?;
    if let Some(path) = &args.output {
        let schema = schema.as_ref().map_err(Failure::clone)?;
        let comments = examined.as_ref().map_or_else(Vec::new, |examined| examined.diagnosis.comments());
        std::fs::write(path, profile.annotate_with(schema, &comments)).map_err(io("write", path))?;
    }
    if session.json {
        return output::print(&format!("{}\n", json(&profile, schema.ok(), examined.as_ref())));
    }
    let mut text = match (&schema, &examined) {
        (Ok(schema), Some(examined)) => report(&profile, schema, examined),
        _ => profile.table(WIDTH),
    };
    match (&args.output, schema) {
        (Some(path), _) => text.push_str(&format!(
            "\nschema written to {0}; edit it and train with --schema {0}\n",
            path.display()
        )),
        (None, Ok(_)) if given.is_some() => {}
        (None, Ok(_)) => text.push_str("\nwrite the inferred schema with -o schema.toml\n"),
        (None, Err(_)) => {
            text.push_str("\nno schema yet: name the label with --label (and --label-rule or --positive)\n")
        }
    }
    output::print(&text)
}

/// For people, the most important first.
fn report(profile: &Profile, schema: &Schema, examined: &Examined) -> String {
    let diagnosis = &examined.diagnosis;
    [
        profile.headline(),
        diagnosis.findings_text(WIDTH),
        "\n".to_owned(),
        profile.facts(WIDTH),
        diagnosis.parts_text(schema.label.task),
        diagnosis.tables_text(),
        examined.forecast_text(),
        profile.suggestions(WIDTH),
    ]
    .concat()
}

/// For machines. Keys stay what they are.
fn json(profile: &Profile, schema: Option<Schema>, examined: Option<&Examined>) -> serde_json::Value {
    serde_json::json!({
        "profile": profile,
        "schema": schema,
        "doctor": examined.map(|examined| &examined.diagnosis),
        "forecast": examined.map(Examined::forecast),
    })
}
