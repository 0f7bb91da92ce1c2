//! `dlrm features`: users and items by key, in a store that servers look them up in.
use super::counter::Counter;
use super::failure::{Failure, INTERRUPTED};
use super::features_args::{FeaturesCommand, LoadArgs, Said, ShowFeaturesArgs, TableFlag};
use super::output::{self, count};
use super::requests;
use super::session::Session;
use dlrm::data::readers::Input;
use dlrm::features::{
    Asked, Error, Load, LoadedTable, Observer, SeenRows, Side, Store, Table, TableName, TableRows, open,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a row that is shown is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the subcommand.
pub(super) fn run(session: &Session, command: &FeaturesCommand) -> Result<(), Failure> {
    match command {
        FeaturesCommand::Load(args) => load(session, args),
        FeaturesCommand::Show(args) => show(session, args),
    }
}

/// Files of a table, and what their columns are.
struct Source {
    input: Input,
    keys: Vec<String>,
    take: Vec<String>,
}

fn load(session: &Session, args: &LoadArgs) -> Result<(), Failure> {
    let [users, items, seen] = sources(args)?;
    fn rows(source: &Source) -> TableRows<'_> {
        TableRows { rows: &source.input, key: &source.keys[0], take: &source.take }
    }
    let load = Load {
        users: users.as_ref().map(rows),
        items: items.as_ref().map(rows),
        seen: seen.as_ref().map(|seen| SeenRows {
            rows: &seen.input,
            user: &seen.keys[0],
            item: &seen.keys[1],
        }),
        most_bad: args.input.max_bad_rows.unwrap_or(0),
    };
    // From here on there is something to clear away.
    session.stop_by_signal();
    let mut watch = Watch { session, counter: Counter::new(session) };
    let loaded = load.into_store(&args.store, &mut watch).map_err(of_load)?;
    drop(watch);
    for table in &loaded {
        output::bad_rows(session, &table.bad, table.bad_rows);
        if table.replaced > 0 && table.name != TableName::Seen && !session.quiet {
            let (replaced, name, key) = (count(table.replaced), table.name.as_str(), &table.table.key);
            output::tell(&format!(
                "note: {replaced} rows of {name} have the {key} of a later row, which took their place"
            ));
        }
    }
    if session.json {
        let tables: Vec<_> = loaded.iter().map(loaded_json).collect();
        return output::print(&format!("{}\n", serde_json::json!({ "tables": tables })));
    }
    let lines: String = loaded.iter().map(|loaded| line(loaded.name, &loaded.table, loaded.rows)).collect();
    output::print(&lines)
}

fn loaded_json(loaded: &LoadedTable) -> serde_json::Value {
    serde_json::json!({
        "table": loaded.name.as_str(), "key": loaded.table.key, "columns": loaded.table.columns,
        "rows": loaded.rows, "replaced_rows": loaded.replaced, "skipped_rows": loaded.bad_rows,
    })
}

/// What was said of a table.
#[derive(Default)]
struct SaidOfTable {
    paths: Vec<PathBuf>,
    keys: Vec<String>,
    take: Vec<String>,
}

/// The tables that were said, each with what was said behind it.
fn sources(args: &LoadArgs) -> Result<[Option<Source>; 3], Failure> {
    let mut tables: [Option<SaidOfTable>; 3] = Default::default();
    let mut current = None;
    for said in &args.tables.said {
        if let Said::Table(flag, _) = said {
            current = Some(*flag);
        }
        let Some(flag) = current else {
            let message = "--key or --take: expected --users, --items or --seen before it, found none";
            return Err(Failure::usage(message, "write them behind the table that they are about"));
        };
        let table = tables[flag as usize].get_or_insert_default();
        match said {
            Said::Table(_, path) => table.paths.push(path.clone()),
            Said::Key(key) => table.keys.push(key.clone()),
            Said::Take(column) => table.take.push(column.clone()),
        }
    }
    let [users, items, seen] = tables;
    let source = |table: Option<SaidOfTable>, flag| table.map(|table| source(args, table, flag)).transpose();
    Ok([source(users, TableFlag::Users)?, source(items, TableFlag::Items)?, source(seen, TableFlag::Seen)?])
}

fn source(args: &LoadArgs, table: SaidOfTable, flag: TableFlag) -> Result<Source, Failure> {
    let SaidOfTable { paths, keys, take } = table;
    check(flag, &keys, &take)?;
    let input = requests::input(&args.input, &paths).apply(Input::default())?;
    Ok(Source { input, keys, take })
}

fn check(flag: TableFlag, keys: &[String], take: &[String]) -> Result<(), Failure> {
    let is_seen = flag == TableFlag::Seen;
    if keys.len() != if is_seen { 2 } else { 1 } {
        let (name, found) = (flag.flag(), keys.len());
        let (expected, example) = if is_seen {
            ("--key twice", "--key user_id --key item_id: the user's column, then the item's")
        } else {
            ("--key once", "--key COLUMN, behind the table that it is about")
        };
        let message = format!("{name}: expected {expected} behind it, found it {found} times");
        return Err(Failure::usage(message, example));
    }
    if is_seen && !take.is_empty() {
        let message = "--take: expected --users or --items before it, found --seen";
        return Err(Failure::usage(message, "leave it out: of --seen the keys are loaded"));
    }
    Ok(())
}

fn of_load(error: Error) -> Failure {
    if let Error::Data(dlrm::data::Error::Interrupted) = error {
        let (message, hint) = ("before all was loaded", "the store is as it was");
        return Failure { code: INTERRUPTED, message: message.into(), hint: Some(hint.into()) };
    }
    error.into()
}

/// Shows how it goes, and has files that are not whole removed.
struct Watch<'a> {
    session: &'a Session,
    counter: Counter,
}

impl Observer for Watch<'_> {
    fn table(&mut self, name: TableName) {
        self.counter.stage(name.as_str());
    }

    fn rows(&mut self, rows: u64) -> bool {
        self.counter.rows(rows)
    }

    fn aside(&mut self, path: &Path) {
        self.session.remove_at_signal(path);
    }
}

fn show(session: &Session, args: &ShowFeaturesArgs) -> Result<(), Failure> {
    let store = open(&args.store)?;
    let sides = store.sides();
    let seen = Table { key: "user".into(), columns: vec!["item".into()] };
    let described = |name| match name {
        TableName::Users => sides.user.as_ref(),
        TableName::Items => sides.item.as_ref(),
        TableName::Seen => Some(&seen),
    };
    let rows = store.rows()?.into_iter();
    let tables: Vec<(TableName, &Table, u64)> =
        rows.filter_map(|(name, rows)| Some((name, described(name)?, rows))).collect();
    let user = args.user.as_deref().map(|key| asked(&*store, Side::User, key)).transpose()?;
    let item = args.item.as_deref().map(|key| asked(&*store, Side::Item, key)).transpose()?;
    let had = args.user.as_deref().filter(|_| sides.seen);
    let had = had.map(|user| store.seen(user, PATIENCE)).transpose()?;
    if session.json {
        let table = |(name, table, rows): &(TableName, &Table, u64)| {
            serde_json::json!({
                "table": name.as_str(), "key": table.key, "columns": table.columns, "rows": rows,
            })
        };
        let tables: Vec<_> = tables.iter().map(table).collect();
        let fields = |row: Option<Fields>| row.map(BTreeMap::from_iter);
        let (user, item) = (fields(user), fields(item));
        let value = serde_json::json!({"tables": tables, "user": user, "item": item, "seen": had});
        return output::print(&format!("{value}\n"));
    }
    let mut text: String = tables.into_iter().map(|(name, table, rows)| line(name, table, rows)).collect();
    for row in [user, item].into_iter().flatten() {
        text.push('\n');
        text.extend(row.into_iter().map(|(name, value)| format!("{name} = {value}\n")));
    }
    if let Some(had) = &had {
        text.push_str(&format!("\n{} items seen\n", count(had.len() as u64)));
    }
    output::print(&text)
}

/// Columns of a row with their fields.
type Fields = Vec<(String, String)>;

/// The row of a key, which stands before it.
fn asked(store: &dyn Store, side: Side, key: &str) -> Result<Fields, Failure> {
    let name = TableName::from(side).as_str();
    let missing = |found: String, hint: &str| {
        Failure::data(format!("{}: expected a row, found {found}", store.name()), hint)
    };
    let Some(table) = store.sides().of(side) else {
        return Err(missing(format!("no table {name}"), "load it with `dlrm features load`"));
    };
    let found = store.look_up(&[Asked { side, key }], PATIENCE)?.into_iter().next().flatten();
    let hint = "keys are texts, as the loaded file has them";
    let fields = found.ok_or_else(|| missing(format!("no {} \"{key}\" in {name}", table.key), hint))?;
    let fields = table.columns.iter().cloned().zip(fields);
    Ok([(table.key.clone(), key.to_owned())].into_iter().chain(fields).collect())
}

/// What a table holds, as a line.
fn line(name: TableName, table: &Table, rows: u64) -> String {
    let (name, rows, key, columns) = (name.as_str(), count(rows), &table.key, table.columns.join(", "));
    format!("{name} by {key}: {rows} rows ({columns})\n")
}
