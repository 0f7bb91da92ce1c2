//! Features in a database file.
mod common;

use common::{DEADLINE, Tables, assert_holds_all, program, row};
use dlrm_features::{Asked, Error, Side, TableName, open};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

fn address(tables: &Tables) -> String {
    format!("sqlite:{}", tables.path("features").display())
}

/// Runs statements with the program of SQLite.
fn sqlite3(program: &str, tables: &Tables, name: &str, sql: &str) -> String {
    let output = Command::new(program).arg(tables.path(name)).arg(sql).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn what_is_loaded_is_looked_up() {
    let tables = Tables::new();
    let loaded = tables.load(&address(&tables)).expect("loaded");
    let told: Vec<_> = loaded.iter().map(|table| (table.name, table.rows, table.replaced)).collect();
    assert_eq!(told, [(TableName::Users, 3, 1), (TableName::Items, 2, 0), (TableName::Seen, 3, 1)]);
    let store = open(&address(&tables)).expect("opened");
    assert_holds_all(&*store);
    let rows = [(TableName::Users, 3), (TableName::Items, 2), (TableName::Seen, 3)];
    assert_eq!(store.rows().expect("counted"), rows);
    drop(store);
    // One file, whole, and nothing beside it.
    let names = fs::read_dir(tables.dir.path()).expect("listed").count();
    assert_eq!(names, 4, "users.csv, items.csv, seen.csv, features");
    // Again into the file that is there.
    tables.load(&address(&tables)).expect("loaded");
    assert_holds_all(&*open(&address(&tables)).expect("opened"));
    assert_eq!(fs::read_dir(tables.dir.path()).expect("listed").count(), 4);
}

#[test]
fn a_table_is_replaced_whole_while_it_is_read() {
    let tables = Tables::new();
    let lines = |version: u32, more: &str| {
        let rows: String = (0..3000).map(|user| format!("u{user},{version}{more}\n")).collect();
        format!("user_id,version{}\n{rows}", if more.is_empty() { "" } else { ",more" })
    };
    tables.write("a.csv", &lines(1, ""));
    tables.write("b.csv", &lines(2, ",x"));
    tables.load_users(&address(&tables), "a.csv", u64::MAX).expect("loaded");
    let store = open(&address(&tables)).expect("opened");
    let keys: Vec<String> = (0..3000).step_by(50).map(|user| format!("u{user}")).collect();
    let asked: Vec<Asked<'_>> = keys.iter().map(|key| Asked { side: Side::User, key }).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                let mut seen = [0u64; 2];
                while !done.load(Ordering::Relaxed) {
                    let found = store.look_up(&asked, DEADLINE).expect("an answer at every moment");
                    // The column that was there when it was opened, whatever has come beside it.
                    let first = found[0].clone();
                    assert!(found.iter().all(|row| *row == first), "rows of two loads");
                    let first = first.expect("a row");
                    assert_eq!(first.len(), 1);
                    seen[usize::from(first[0] == "2")] += 1;
                }
                seen
            })
        });
        for round in 0..10 {
            let name = ["b.csv", "a.csv"][round % 2];
            tables.load_users(&address(&tables), name, u64::MAX).expect("loaded beside readers");
        }
        done.store(true, Ordering::Relaxed);
        let seen = readers.map(|reader| reader.join().expect("no reader failed"));
        assert!(seen.iter().any(|seen| seen[0] > 0 && seen[1] > 0), "{seen:?}");
    });
}

#[test]
fn what_is_not_finished_changes_nothing() {
    let tables = Tables::new();
    let rows: String = (0..5000).map(|user| format!("{user},new\n")).collect();
    tables.write("many.csv", &format!("user_id,age\n{rows}"));
    tables.write("bad.csv", &format!("user_id,age\n{rows}1,2,3\n"));
    tables.write("keyless.csv", "user_id,age\n1,2\n,3\n");
    tables.write("empty.csv", "user_id,age\n");
    let attempts = |tables: &Tables| {
        let load =
            |name, until| tables.load_users(&address(tables), name, until).expect_err(name).to_string();
        assert_eq!(load("many.csv", 2048), "interrupted");
        let bad = load("bad.csv", u64::MAX);
        assert!(bad.contains("bad.csv:5002:3: expected 2 fields"), "{bad}");
        assert!(
            load("keyless.csv", u64::MAX).contains("keyless.csv:3:1 (column \"user_id\"): expected a key")
        );
        assert!(load("empty.csv", u64::MAX).contains("expected at least one row"));
        let error = tables.load_users(&address(tables), "items.csv", u64::MAX).expect_err("no such column");
        assert!(error.to_string().contains("a column \"user_id\""), "{error}");
    };
    attempts(&tables);
    assert_eq!(fs::read_dir(tables.dir.path()).expect("listed").count(), 7, "no store, and nothing aside");
    tables.load(&address(&tables)).expect("loaded");
    attempts(&tables);
    assert_holds_all(&*open(&address(&tables)).expect("opened"));
    assert_eq!(fs::read_dir(tables.dir.path()).expect("listed").count(), 8, "the store alone");
}

#[test]
fn files_of_others_are_not_touched() {
    let Some(program) = program("files_of_others_are_not_touched", "sqlite3") else { return };
    let tables = Tables::new();
    let refused = |name: &str, part: &str| {
        let before = fs::read(tables.path(name)).expect("a file");
        let error = tables.load(&format!("sqlite:{}", tables.path(name).display())).expect_err(name);
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(fs::read(tables.path(name)).expect("a file") == before, "{name} was changed");
    };
    refused("users.csv", "expected an SQLite database or no file");
    sqlite3(
        program,
        &tables,
        "other",
        "CREATE TABLE users (id INTEGER PRIMARY KEY); CREATE TABLE orders (x)",
    );
    refused("other", "expected a database of features, found one with other tables");
    tables.load_users(&address(&tables), "users.csv", u64::MAX).expect("loaded");
    sqlite3(program, &tables, "features", "CREATE TABLE items (id TEXT PRIMARY KEY, x)");
    let error = tables.load(&address(&tables)).expect_err("a table that was made by hand");
    assert!(error.to_string().contains("table items: expected one that was loaded"), "{error}");
    assert_eq!(sqlite3(program, &tables, "features", "SELECT count(*) FROM items"), "0\n");
    let missing = open("sqlite:nothing/here").err().expect("no file").to_string();
    assert!(missing.contains("cannot open nothing/here"), "{missing}");
}

#[test]
fn a_database_that_was_filled_by_hand() {
    let Some(program) = program("a_database_that_was_filled_by_hand", "sqlite3") else { return };
    let tables = Tables::new();
    let sql = "CREATE TABLE users (id INTEGER PRIMARY KEY, age INT, weight REAL, name TEXT, raw BLOB);
               INSERT INTO users VALUES (7, 49, 70.0, 'x', x'ff'), (8, NULL, 0.1, NULL, NULL);
               CREATE TABLE items (kind TEXT, \"item id\" TEXT PRIMARY KEY) WITHOUT ROWID;
               INSERT INTO items VALUES ('Drama', '007');
               CREATE TABLE seen (user TEXT, item TEXT, PRIMARY KEY (user, item)) WITHOUT ROWID;
               INSERT INTO seen VALUES ('7', '007');";
    sqlite3(program, &tables, "features", sql);
    let store = open(&address(&tables)).expect("opened");
    let user = store.sides().user.clone().expect("users");
    assert_eq!((user.key.as_str(), user.columns.join(" ")), ("id", "age weight name raw".into()));
    assert_eq!(row(&*store, Side::User, "8").expect("a row"), ["", "0.1", "", ""]);
    let bytes = store.look_up(&[Asked { side: Side::User, key: "7" }], DEADLINE).expect_err("no text");
    assert!(bytes.to_string().contains("table users, key \"7\": expected text in UTF-8"), "{bytes}");
    assert_eq!(row(&*store, Side::Item, "007").expect("a row"), ["Drama"]);
    // Keys are texts: a number that is written in another way is another key.
    assert_eq!((row(&*store, Side::User, "08"), row(&*store, Side::Item, "7")), (None, None));
    assert_eq!(store.seen("7", DEADLINE).expect("an answer"), ["007"]);
    // Another file of the same name is read as soon as it is there.
    sqlite3(program, &tables, "new", &sql.replace("'Drama'", "'War'"));
    fs::rename(tables.path("new"), tables.path("features")).expect("renamed");
    assert_eq!(row(&*store, Side::Item, "007").expect("a row"), ["War"]);
    sqlite3(program, &tables, "keyless", "CREATE TABLE users (id, age)");
    let error = open(&format!("sqlite:{}", tables.path("keyless").display())).err().expect("no key");
    assert!(error.to_string().contains("expected a primary key of one column, found none"), "{error}");
    // And the other way round: what was loaded is read by the program.
    fs::remove_file(tables.path("features")).expect("removed");
    tables.load(&address(&tables)).expect("loaded");
    let read = sqlite3(program, &tables, "features", "SELECT * FROM users ORDER BY user_id LIMIT 1");
    assert_eq!(read, "196|50|maker\n");
}

#[test]
fn a_deadline_holds_where_another_process_locks_the_file() {
    let Some(program) = program("a_deadline_holds_where_another_process_locks_the_file", "sqlite3") else {
        return;
    };
    let tables = Tables::new();
    tables.load(&address(&tables)).expect("loaded");
    let store = open(&address(&tables)).expect("opened");
    let mut locking = Command::new(program)
        .arg(tables.path("features"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    use std::io::{BufRead, BufReader, Write};
    let mut input = locking.stdin.take().expect("its input");
    writeln!(input, "BEGIN EXCLUSIVE; SELECT 'locked';").expect("asked");
    let mut line = String::new();
    BufReader::new(locking.stdout.take().expect("its output")).read_line(&mut line).expect("an answer");
    let started = std::time::Instant::now();
    let deadline = std::time::Duration::from_millis(60);
    let error = store.look_up(&[Asked { side: Side::User, key: "7" }], deadline).expect_err("locked");
    assert!(error.to_string().contains("another process is writing to it"), "{error}");
    assert!(started.elapsed() < DEADLINE, "{:?}", started.elapsed());
    drop(input);
    locking.wait().expect("ended");
    assert_holds_all(&*store);
}
