//! `dlrm recommend`: the best items for a user, without a server.
use super::args::RecommendArgs;
use super::failure::Failure;
use super::output;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::data::format;
use dlrm::data::readers::Input;
use dlrm::data::schema::Task;
use dlrm::engine::{Error, Predictor};
use dlrm::report::terminal::table;
use dlrm::serve::{Catalogue, KnownUser, RecommendError, RecommendRequest, recommend};
use serde_json::{Map, Value, json};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &RecommendArgs) -> Result<(), Failure> {
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let mut user = args.user.iter().map(|text| column(text)).collect::<Result<Vec<_>, _>>()?;
    let said: Vec<String> = user.iter().map(|(name, _)| name.clone()).collect();
    let events = &predictor.config().input;
    let key = args.item_key.as_deref();
    let catalogue = match &args.items {
        Some(path) => Catalogue::read(&Input { paths: vec![path.clone()], ..Input::default() }, key),
        None if events.paths.is_empty() => {
            let message =
                "--items: expected a table of items, found none, and the model was trained on no files";
            return Err(Failure::usage(message, "give a table with a row for each item"));
        }
        None => {
            let inputs = predictor.encoder().schema().inputs();
            let inputs: Vec<String> = inputs.into_iter().map(str::to_owned).collect();
            Catalogue::of_events(events, &inputs, key, &said)
        }
    }
    .map_err(Error::from)?;
    let schema = predictor.encoder().schema();
    let mut exclude = args.exclude.clone();
    if !events.paths.is_empty() && (args.exclude_seen || args.items.is_none()) {
        let known = KnownUser::find(events, &user, &catalogue).map_err(Error::from)?;
        if known.rows == 0 && !session.quiet {
            output::tell("note: the training rows have no row of this user, of whom the model knows nothing");
        }
        let inputs = schema.inputs();
        let columns = known.columns.into_iter().filter(|(name, _)| inputs.contains(&name.as_str()));
        user.extend(columns.filter(|(name, _)| *name != schema.label.column));
        if args.exclude_seen {
            exclude.extend(known.seen);
        }
    }
    let count = catalogue.len();
    let columns = catalogue.columns().to_vec();
    let request = RecommendRequest {
        model: &args.model,
        isa: session.isa,
        memory_limit: memory::free(),
        catalogue,
        user: &user,
        k: args.count,
        filter: args.filter.as_deref(),
        exclude: &exclude,
    };
    let best = recommend(&request).map_err(|error| match error {
        RecommendError::Engine(error) => Failure::from(error),
        RecommendError::Refused(message) => Failure::usage(message, "`dlrm show MODEL` lists the columns"),
    })?;
    if session.json {
        let item = |fields: &[String]| -> Map<String, Value> {
            columns.iter().zip(fields).map(|(name, field)| (name.clone(), json!(field))).collect()
        };
        let items: Vec<Value> = best
            .iter()
            .map(|r| json!({ "item": item(&r.item), "prediction": r.prediction, "logit": r.logit }))
            .collect();
        return output::print(&format!("{}\n", json!({ "candidates": count, "items": items })));
    }
    if !session.quiet {
        let of: Vec<String> = user.iter().map(|(name, value)| format!("{name}={value}")).collect();
        output::tell(&format!(
            "{} items of columns {}; for {}",
            format::count(count as u64),
            columns.join(", "),
            of.join(", ")
        ));
    }
    let title = if predictor.task() == Task::Binary { "probability" } else { "rating" };
    let mut headings: Vec<&str> = vec!["place", title];
    headings.extend(columns.iter().map(String::as_str));
    let rows: Vec<Vec<String>> = best
        .iter()
        .enumerate()
        .map(|(place, found)| {
            let mut row = vec![(place + 1).to_string(), format!("{:.5}", found.prediction)];
            row.extend(found.item.iter().cloned());
            row
        })
        .collect();
    output::print(&table(&headings, &rows))
}

/// `COLUMN=VALUE`
fn column(text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.ok_or_else(|| {
        let message = format!("--user: expected COLUMN=VALUE, found {text}");
        Failure::usage(message, "for example --user user_id=196")
    })
}
