//! Rows to load, and what a store says of them.
use dlrm_data::readers::Input;
use dlrm_features::{
    Asked, Load, LoadedTable, Observer, Result, SeenRows, Side, Store, TableName, TableRows,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Files of rows in a scratch directory.
pub(crate) struct Tables {
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) const USERS: &str = "user_id,age,job\n196,49,writer\n7,,\"a, b\"\nü 學,007,-0.0\n196,50,maker\n";
pub(crate) const ITEMS: &str = "year;item_id;genres\n1995;242;Drama|War\n;302;\n";
pub(crate) const SEEN: &str = "user_id,item_id\n196,302\n196,242\n196,302\n7,242\n";

/// Whoever is told of a load, and lets it go on until so many rows have been read.
pub(crate) struct Until(pub(crate) u64);

impl Observer for Until {
    fn table(&mut self, _: TableName) {}

    fn rows(&mut self, rows: u64) -> bool {
        rows < self.0
    }

    fn aside(&mut self, _: &Path) {}
}

impl Tables {
    pub(crate) fn new() -> Self {
        let tables = Tables { dir: tempfile::tempdir().expect("a directory") };
        tables.write("users.csv", USERS);
        tables.write("items.csv", ITEMS);
        tables.write("seen.csv", SEEN);
        tables
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn input(&self, name: &str) -> Input {
        Input::new([self.path(name)])
    }

    /// Loads all three tables.
    pub(crate) fn load(&self, store: &str) -> Result<Vec<LoadedTable>> {
        let [users, items, seen] = ["users.csv", "items.csv", "seen.csv"].map(|name| self.input(name));
        let load = Load {
            users: Some(TableRows { rows: &users, key: "user_id", take: &[] }),
            items: Some(TableRows { rows: &items, key: "item_id", take: &[] }),
            seen: Some(SeenRows { rows: &seen, user: "user_id", item: "item_id" }),
            most_bad: 0,
        };
        load.into_store(store, &mut Until(u64::MAX))
    }

    /// Loads users out of a file, until so many of its rows have been read.
    pub(crate) fn load_users(&self, store: &str, name: &str, until: u64) -> Result<Vec<LoadedTable>> {
        let users = self.input(name);
        let users = Some(TableRows { rows: &users, key: "user_id", take: &[] });
        Load { users, ..Load::default() }.into_store(store, &mut Until(until))
    }
}

/// The row of a key.
pub(crate) fn row(store: &dyn Store, side: Side, key: &str) -> Option<Vec<String>> {
    let found = store.look_up(&[Asked { side, key }], DEADLINE).expect("an answer");
    found.into_iter().next().expect("one for each that is asked for")
}

fn texts(fields: &[&str]) -> Option<Vec<String>> {
    Some(fields.iter().map(|&field| field.to_owned()).collect())
}

/// What [`Tables::load`] has loaded is there, as it was read.
pub(crate) fn assert_holds_all(store: &dyn Store) {
    let sides = store.sides();
    let user = sides.user.as_ref().expect("users");
    assert_eq!((user.key.as_str(), user.columns.join(" ")), ("user_id", "age job".into()));
    let item = sides.item.as_ref().expect("items");
    assert_eq!((item.key.as_str(), item.columns.join(" ")), ("item_id", "year genres".into()));
    let (user, item) = (Side::User, Side::Item);
    let asked = [
        (item, "242"),
        (user, "ü 學"),
        (user, "0196"),
        (user, "196"),
        (item, ""),
        (item, "302"),
        (user, "7"),
    ]
    .map(|(side, key)| Asked { side, key });
    let expected = [
        texts(&["1995", "Drama|War"]),
        texts(&["007", "-0.0"]),
        None,
        // The last of its rows.
        texts(&["50", "maker"]),
        None,
        texts(&["", ""]),
        texts(&["", "a, b"]),
    ];
    assert_eq!(store.look_up(&asked, DEADLINE).expect("an answer"), expected);
    assert_eq!(store.look_up(&[], DEADLINE).expect("an answer"), Vec::<Option<Vec<String>>>::new());
    assert!(sides.seen);
    let seen = |user| store.seen(user, DEADLINE).expect("an answer");
    assert_eq!(
        (seen("196"), seen("7"), seen("8")),
        (vec!["242".to_owned(), "302".into()], vec!["242".into()], vec![])
    );
}

/// A program of the system; `None` after saying that the test is skipped.
pub(crate) fn program(test: &str, name: &str) -> Option<&'static str> {
    let name: &'static str = match name {
        "redis-server" => "redis-server",
        _ => "sqlite3",
    };
    let found = std::process::Command::new(name).arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(name);
    }
    println!("skipped: {test} (there is no {name})");
    None
}
