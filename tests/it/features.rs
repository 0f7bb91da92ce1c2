//! `dlrm features` from the outside: stores that are filled and shown, mistakes, interruptions.
use crate::common::{clicks, command, data, fails, finished, json, works};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const USAGE: i32 = 2;
const DATA: i32 = 3;
const RESOURCES: i32 = 5;
const INTERRUPTED: i32 = 130;

/// A directory with rows of users, items and clicks.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("users.csv", "user_id,age,job\n196,49,writer\n7,,\"a, b\"\n196,50,maker\n");
    write("items.tsv", "item_id\tyear\n242\t1995\n\t1996\n302\t\n");
    write("seen.csv", "when,item,user\n1,242,196\n2,242,196\n3,302,196\n");
    dir
}

const LOAD: &[&str] = &["features", "load", "f.sqlite"];
const USERS: &[&str] = &["--users", "users.csv", "--key", "user_id"];

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_store_is_filled_and_shown() {
    let dir = scratch();
    let more =
        ["--items", "items.tsv", "--key", "item_id", "--seen", "seen.csv", "--key", "user", "--key", "item"];
    let ran = works(dir.path(), &[LOAD, USERS, &more, &["--max-bad-rows", "1"]].concat());
    for part in [
        "note: 1 rows of users have the user_id of a later row, which took their place",
        "skipped: items.tsv:3:1 (column \"item_id\"): expected a key, found an empty field",
        "note: 1 malformed rows were skipped",
    ] {
        assert!(ran.err.contains(part), "{part}\n{}", ran.err);
    }
    assert!(ran.out.starts_with("users by user_id: 2 rows (age, job)\nitems by"), "{}", ran.out);
    let shown = json(dir.path(), &["features", "show", "sqlite:f.sqlite", "--user", "196", "--item", "302"]);
    let expected = json!({
        "tables": [
            {"table": "users", "key": "user_id", "columns": ["age", "job"], "rows": 2},
            {"table": "items", "key": "item_id", "columns": ["year"], "rows": 2},
            {"table": "seen", "key": "user", "columns": ["item"], "rows": 2},
        ],
        "user": {"user_id": "196", "age": "50", "job": "maker"},
        "item": {"item_id": "302", "year": ""},
        "seen": ["242", "302"],
    });
    assert_eq!(shown, expected);
    let text = works(dir.path(), &["features", "show", "f.sqlite", "--user", "196"]).out;
    assert!(text.contains("job = maker\n") && text.contains("2 items seen"), "{text}");
    // A table that is not named stays; of one that is loaded anew other columns may be taken.
    let loaded = json(dir.path(), &[LOAD, USERS, &["--take", "job"]].concat());
    let users = json!({
        "table": "users", "key": "user_id", "columns": ["job"],
        "rows": 2, "replaced_rows": 1, "skipped_rows": 0,
    });
    assert_eq!(loaded, json!({"tables": [users]}));
    let shown = json(dir.path(), &["features", "show", "f.sqlite", "--user", "7", "--item", "242"]);
    assert_eq!(
        (&shown["user"], &shown["item"]["year"]),
        (&json!({"user_id": "7", "job": "a, b"}), &json!("1995"))
    );
    assert_eq!(names(dir.path()), ["f.sqlite", "items.tsv", "seen.csv", "users.csv"]);
}

#[test]
fn flags_that_do_not_go_together() {
    let dir = scratch();
    let usage = |args: &[&str], parts: &[&str]| fails(dir.path(), &[LOAD, args].concat(), USAGE, parts);
    usage(&["--key", "user_id"], &["--users <PATH>"]);
    usage(&["--key", "user_id", "--users", "users.csv"], &["expected --users, --items or --seen before it"]);
    usage(&["--users", "users.csv"], &["--users: expected --key once behind it, found it 0 times"]);
    usage(&["--seen", "seen.csv", "--key", "user"], &["--seen: expected --key twice", "found it 1 times"]);
    let seen = ["--seen", "seen.csv", "--key", "user", "--key", "item", "--take", "when"];
    usage(&seen, &["--take: expected --users or --items before it, found --seen"]);
    assert!(!dir.path().join("f.sqlite").exists());
}

#[test]
fn stores_and_rows_that_are_none() {
    let dir = scratch();
    let load = |store: &str, users: &[&str], code, parts: &[&str]| {
        fails(dir.path(), &[&["features", "load", store, "--users"], users].concat(), code, parts);
    };
    let users = ["users.csv", "--key", "user_id"];
    load("features", &users, USAGE, &["sqlite:FILE or redis://HOST", "write sqlite:features"]);
    load("rediss://x", &users, USAGE, &["rediss://", "tunnel"]);
    load("sqlite:users.csv", &users, USAGE, &["users.csv: expected an SQLite database or no file"]);
    load("no/such/dir.sqlite", &users, RESOURCES, &["no/such/dir.sqlite", "nothing can be made in"]);
    load(
        "f.sqlite",
        &["users.csv", "--key", "user"],
        DATA,
        &["a column \"user\"", "columns user_id, age, job"],
    );
    load("f.sqlite", &["users.csv", "--key", "user_idd"], DATA, &["did you mean \"user_id\"?"]);
    load("f.sqlite", &["items.tsv", "--key", "item_id"], DATA, &["items.tsv:3:1", "a key", "--max-bad-rows"]);
    load("f.sqlite", &["user.csv", "--key", "user_id"], RESOURCES, &["user.csv", "did you mean users.csv?"]);
    assert!(!dir.path().join("f.sqlite").exists());
    fails(dir.path(), &["features", "show", "f.sqlite"], RESOURCES, &["cannot open f.sqlite"]);
    works(dir.path(), &[LOAD, USERS].concat());
    let show = |args: &[&str], parts: &[&str]| {
        fails(dir.path(), &[&["features", "show", "f.sqlite"], args].concat(), DATA, parts);
    };
    show(&["--user", "197"], &["expected a row, found no user_id \"197\" in users"]);
    show(&["--item", "1"], &["expected a row, found no table items", "dlrm features load"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("redis://:secret@{free}");
    let ran = crate::common::dlrm(dir.path(), &["features", "show", &address]);
    ran.failed(&["features show"], RESOURCES, &[&format!("cannot read redis://{free}"), "redis-cli ping"]);
    assert!(!ran.err.contains("secret"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn an_interrupted_load_leaves_the_store_as_it_was() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let rows: String = (0..400_000).map(|user| format!("{user},{}\n", user * 7)).collect();
    fs::write(path("many.csv"), format!("user_id,age\n{rows}")).unwrap();
    for is_there in [false, true] {
        if is_there {
            works(dir.path(), &[LOAD, USERS].concat());
        }
        let before = fs::read(path("f.sqlite")).ok();
        let args = [LOAD, &["--users", "many.csv", "--key", "user_id"]].concat();
        let mut command = command(dir.path(), &args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It has begun to write.
        let begun = path(if is_there { "f.sqlite-wal" } else { ".f.sqlite.partial" });
        let until = Instant::now() + Duration::from_secs(60);
        while !begun.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let ran = finished(child.wait_with_output().unwrap());
        ran.failed(&args, INTERRUPTED, &["stopped: before all was loaded", "the store is as it was"]);
        assert_eq!(
            names(dir.path()).iter().filter(|name| name.contains("f.sqlite")).count(),
            usize::from(is_there)
        );
        if before.is_some() {
            let shown = json(dir.path(), &["features", "show", "f.sqlite", "--user", "196"]);
            assert_eq!(shown["user"]["job"], "maker");
        }
    }
}

#[test]
fn keys_and_fields_of_other_formats_are_texts_as_training_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.jsonl"), "{\"id\": 7, \"x\": 1.50, \"tags\": [\"a\", \"b\"]}\n").unwrap();
    works(dir.path(), &["features", "load", "f.db", "--users", "rows.jsonl", "--key", "id"]);
    let shown = json(dir.path(), &["features", "show", "f.db", "--user", "7"]);
    assert_eq!((&shown["user"]["x"], &shown["user"]["tags"]), (&json!("1.50"), &json!("a|b")));
    fs::write(dir.path().join("clicks.csv"), clicks(300)).unwrap();
    let take = ["--take", "site,tags", "--items", "clicks.csv", "--key", "site", "--take", "age"];
    let args =
        [&["features", "load", "c.sqlite", "--users", "clicks.csv", "--key", "user"], &take[..]].concat();
    let loaded = json(dir.path(), &args);
    assert_eq!((&loaded["tables"][0]["rows"], &loaded["tables"][1]["rows"]), (&json!(40), &json!(7)));
}

#[test]
fn tables_of_a_real_data_set() {
    let Some(path) = data("dlrm features load of MovieLens 100K", "movielens-100k") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = path.to_str().unwrap();
    let users = ["--users", path, "--key", "user_id", "--take", "age,gender,occupation,zip_code"];
    let items = ["--items", path, "--key", "item_id", "--take", "release_year,genres"];
    let seen = ["--seen", path, "--key", "user_id", "--key", "item_id"];
    let loaded = json(dir.path(), &[LOAD, &users, &items, &seen].concat());
    let rows = |table: usize| loaded["tables"][table]["rows"].as_u64().unwrap();
    assert_eq!([rows(0), rows(1), rows(2)], [943, 1682, 100_000]);
    let shown = json(dir.path(), &["features", "show", "f.sqlite", "--user", "196", "--item", "242"]);
    assert_eq!(shown["user"]["occupation"], "writer");
    assert_eq!(shown["item"]["release_year"], "1997");
    assert_eq!(shown["seen"].as_array().map(Vec::len), Some(39));
}
