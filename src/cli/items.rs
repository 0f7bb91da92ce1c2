//! `dlrm items`: a table of items that servers map. Also where recommendations have their items from.
use super::demo::SAMPLE_FILE;
use super::failure::Failure;
use super::files::Target;
use super::output;
use super::serve_args::ItemsArgs;
use super::session::Session;
use dlrm::data::format;
use dlrm::data::items::{ItemTable, ItemTableBuilder};
use dlrm::data::readers::Input;
use dlrm::data::rows::OpenRows;
use dlrm::engine::{Error, RunConfig, model_dir};
use dlrm::serve::{Catalogue, EventItems, Roles, rows_of_table};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of rows whose reading is worth a word.
const MANY: u64 = 64 << 20;
/// Letters of the names of files, at most.
const LONGEST: usize = 80;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ItemsArgs) -> Result<(), Failure> {
    let target = Target { flag: "-o", path: &args.output, overwrite: args.overwrite };
    let input = match is_model(&args.source) {
        true => {
            events(&args.source, &model_dir::config_of(&args.source)?).ok_or_else(|| no_rows(&args.source))?
        }
        false => Input::new([&args.source]),
    };
    let read: Vec<PathBuf> = input.files()?;
    target.check(&read)?;
    let key = args.item_key.as_deref();
    let items = match is_model(&args.source) {
        true => of_events(session, &input, &model_dir::config_of(&args.source)?, key)?.into_table(),
        false => rows_of_table(&input, key)?,
    };
    check_any(&args.source, items.len())?;
    save(session, target, items)
}

/// Writes the table and says what it holds.
fn save(session: &Session, target: Target<'_>, items: ItemTableBuilder) -> Result<(), Failure> {
    let mut file = target.begin(session, &[])?;
    items.write_into(&mut file, target.path)?;
    file.finish()?;
    let table = ItemTable::open(target.path)?;
    let (columns, key) = (table.columns(), &table.columns()[table.key()]);
    if session.json {
        let (items, bytes) = (table.len(), table.bytes());
        let value = serde_json::json!({
            "file": target.path, "items": items, "key": key, "columns": columns, "bytes": bytes,
        });
        return output::print(&format!("{value}\n"));
    }
    let (count, bytes) = (format::count(table.len() as u64), format::bytes(table.bytes()));
    let path = target.path.display();
    output::print(&format!("{path}: {count} items, {}; {bytes}\n", told_apart(columns, key)))
}

/// Whether `source` is a run or model directory, and no table.
fn is_model(source: &Path) -> bool {
    source.is_dir() && model_dir::locate(source).join("manifest.json").is_file()
}

/// The rows that the model in `dir` was trained on; for a demo, whose rows are in no file, its sample.
pub(super) fn events(dir: &Path, config: &RunConfig) -> Option<Input> {
    if !config.input.paths.is_empty() {
        return Some(config.input.clone());
    }
    let run = if dir.ends_with("model") { dir.parent()? } else { dir };
    let sample = run.join(SAMPLE_FILE);
    sample.is_file().then(|| Input::new([sample]))
}

/// The items of rows that a model was trained on, and who has had them.
fn of_events(
    session: &Session,
    rows: &Input,
    config: &RunConfig,
    key: Option<&str>,
) -> Result<EventItems, Failure> {
    let schema = config.schema.as_ref();
    let schema = schema.ok_or_else(|| Error::config("schema", "that of the model", "none"))?;
    let bytes = rows.byte_len()?;
    if bytes >= MANY && !session.quiet && !session.json {
        output::tell(&format!("reading the items of {} of training rows", format::bytes(bytes)));
    }
    Ok(EventItems::read(rows, &Roles::of(config, schema, key, &[]))?)
}

/// The items of the training rows of the model in `dir` for a server, and how these rows are called; else why
/// there are none.
pub(super) fn derived(
    session: &Session,
    dir: &Path,
    key: Option<&str>,
) -> Result<(Arc<Catalogue>, String), Failure> {
    let config = model_dir::config_of(dir)?;
    let rows = events(dir, &config).ok_or_else(|| no_rows(dir))?;
    let items = of_events(session, &rows, &config, key)?;
    check_any(dir, items.len())?;
    Ok((Arc::new(items.finish(&scratch())?), format::clip(&rows.name(), LONGEST)))
}

/// The items of the training rows for a user of whom these columns are known.
pub(super) fn for_user(
    rows: &Input,
    config: &RunConfig,
    (key, user): (Option<&str>, &[String]),
) -> Result<Arc<Catalogue>, Failure> {
    let schema = config.schema.as_ref();
    let schema = schema.ok_or_else(|| Error::config("schema", "that of the model", "none"))?;
    // What this one has had is looked for in the rows themselves.
    let roles = Roles { user: None, ..Roles::of(config, schema, key, user) };
    Ok(Arc::new(EventItems::read(rows, &roles)?.finish(&scratch())?))
}

/// The items of a table that was named.
pub(super) fn given(path: &Path, key: Option<&str>) -> Result<Arc<Catalogue>, Failure> {
    let catalogue = Catalogue::open(path, key, &scratch()).map_err(Error::from)?;
    check_any(path, catalogue.len())?;
    Ok(Arc::new(catalogue))
}

/// For files that go with the process.
fn scratch() -> PathBuf {
    std::env::temp_dir()
}

/// What tells items apart, and their other columns.
pub(super) fn told_apart(columns: &[String], key: &str) -> String {
    let others: Vec<&str> = columns.iter().map(String::as_str).filter(|name| *name != key).collect();
    match &others[..] {
        [] => format!("told apart by {key}"),
        others => format!("told apart by {key}, with {}", others.join(", ")),
    }
}

fn check_any(source: &Path, items: usize) -> Result<(), Failure> {
    if items > 0 {
        return Ok(());
    }
    let message = format!("{}: expected a row for each item, found none", source.display());
    Err(Failure::data(message, "the first column of a table tells items apart, or --item-key names another"))
}

fn no_rows(dir: &Path) -> Failure {
    let message = format!("{}: expected the files that it was trained on, found none named", dir.display());
    Failure::usage(message, "give a table with a row for each item")
}
