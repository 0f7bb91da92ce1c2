//! `dlrm recommend`: the best items for a user, without a server.

use super::failure::Failure;
use super::serve_args::RecommendArgs;
use super::session::Session;
use super::{items, output};
use dlrm::bench::memory;
use dlrm::data::format;
use dlrm::data::readers::Input;
use dlrm::data::schema::Task;
use dlrm::engine::{Error, Predictor, RunConfig};
use dlrm::report::terminal::table;
use dlrm::serve::{Catalogue, KnownUser, RecommendError, RecommendRequest, Recommended, recommend};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &RecommendArgs) -> Result<(), Failure> {
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let mut user = args.user.iter().map(|text| column(text)).collect::<Result<Vec<_>, _>>()?;
    let said: Vec<String> = user.iter().map(|(name, _)| name.clone()).collect();
    let events = items::events(&args.model, predictor.config());
    let catalogue = items(predictor.config(), args, (events.as_ref(), &said))?;
    let mut exclude = args.exclude.clone();
    if let Some(events) = events.filter(|_| args.exclude_seen || args.items.is_none()) {
        let seen = learn(session, (&predictor, &events), &mut user, &catalogue)?;
        exclude.extend(seen.into_iter().filter(|_| args.exclude_seen));
    }
    let count = catalogue.len();
    let columns = catalogue.columns().to_vec();
    let request = RecommendRequest {
        model: &args.model,
        isa: session.isa,
        memory_limit: memory::free(),
        catalogue: &catalogue,
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
        return output::print(&as_json(count, &columns, &best));
    }
    if !session.quiet {
        let of: Vec<String> = user.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (count, columns, of) = (format::count(count as u64), columns.join(", "), of.join(", "));
        output::tell(&format!("{count} items of columns {columns}; for {of}"));
    }
    let title = if predictor.task() == Task::Binary { "probability" } else { "rating" };
    output::print(&as_table(title, &columns, &best))
}

/// The items of the table that was given, or else of the training rows.
fn items(
    config: &RunConfig,
    args: &RecommendArgs,
    (events, user): (Option<&Input>, &[String]),
) -> Result<Arc<Catalogue>, Failure> {
    let key = args.item_key.as_deref();
    match (&args.items, events) {
        (Some(path), _) => items::given(path, key),
        (None, Some(events)) => items::for_user(events, config, (key, user)),
        (None, None) => {
            let message = "--items: expected a table of items, found none, and no files that were trained on";
            Err(Failure::usage(message, "give a table with a row for each item"))
        }
    }
}

/// Adds what the training rows tell of the user; the items that it has had.
fn learn(
    session: &Session,
    (predictor, events): (&Predictor, &Input),
    user: &mut Vec<(String, String)>,
    catalogue: &Catalogue,
) -> Result<Vec<String>, Failure> {
    let known = KnownUser::find(events, user, catalogue).map_err(Error::from)?;
    if known.rows == 0 && !session.quiet {
        output::tell("note: the training rows have no row of this user, of whom the model knows nothing");
    }
    let schema = predictor.encoder().schema();
    let inputs = schema.inputs();
    let is_input = |name: &String| inputs.contains(&name.as_str()) && *name != schema.label.column;
    user.extend(known.columns.into_iter().filter(|(name, _)| is_input(name)));
    Ok(known.seen)
}

fn as_json(count: usize, columns: &[String], best: &[Recommended]) -> String {
    let item = |fields: &[String]| -> Map<String, Value> {
        columns.iter().zip(fields).map(|(name, field)| (name.clone(), json!(field))).collect()
    };
    let of = |r: &Recommended| json!({ "item": item(&r.item), "prediction": r.prediction, "logit": r.logit });
    let items: Vec<Value> = best.iter().map(of).collect();
    format!("{}\n", json!({ "candidates": count, "items": items }))
}

fn as_table(title: &str, columns: &[String], best: &[Recommended]) -> String {
    let mut headings: Vec<&str> = vec!["place", title];
    headings.extend(columns.iter().map(String::as_str));
    let row = |(place, found): (usize, &Recommended)| {
        let mut row = vec![(place + 1).to_string(), format!("{:.5}", found.prediction)];
        row.extend(found.item.iter().cloned());
        row
    };
    table(&headings, &best.iter().enumerate().map(row).collect::<Vec<_>>())
}

/// `COLUMN=VALUE`
fn column(text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.ok_or_else(|| {
        let message = format!("--user: expected COLUMN=VALUE, found {text}");
        Failure::usage(message, "for example --user user_id=196")
    })
}
