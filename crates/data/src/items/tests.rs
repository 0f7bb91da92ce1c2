//! Tables of items, whole and damaged.
use super::*;
use std::fs;

fn builder(rows: usize) -> ItemTableBuilder {
    let names = ["title", "id", "tags"].map(str::to_owned).to_vec();
    let mut builder = ItemTableBuilder::new(names, 1).expect("columns");
    for row in 0..rows {
        let fields = [format!("Title {row} \u{732b}"), format!("i{}", (row * 7919) % rows), String::new()];
        builder.push(fields.iter().map(String::as_str)).expect("a row");
    }
    builder
}

fn written(builder: ItemTableBuilder, path: &Path) {
    let file = File::create(path).expect("a file");
    builder.write_into(file, path).expect("written");
}

/// More rows than a batch has, in a file with a name and in one without.
#[test]
fn what_was_put_in_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("items.arrow");
    let rows = BATCH + 1000;
    written(builder(rows), &path);
    assert!(ItemTable::is_in(&path).expect("read"));
    let nameless = builder(rows).finish(dir.path()).expect("made");
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "the other one has no name");
    for table in [ItemTable::open(&path).expect("opened"), nameless] {
        assert_eq!((table.len(), table.key(), table.columns().len()), (rows, 1, 3));
        for row in [0, 1, 999, BATCH - 1, BATCH, rows - 1] {
            let key = format!("i{}", (row * 7919) % rows);
            let expected = [format!("Title {row} \u{732b}"), key.clone(), String::new()];
            assert_eq!(table.fields(row).collect::<Vec<_>>(), expected);
            assert_eq!(table.find(&key), Some(row));
        }
        assert!(["", "i", "i999999999", "j"].iter().all(|key| table.find(key).is_none()));
        table.check().expect("nobody has cut it short");
    }
}

#[test]
fn the_last_row_of_an_item_counts_in_the_place_of_its_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = ItemTableBuilder::new(vec!["id".into(), "year".into()], 0).expect("columns");
    for row in [["b", "1"], ["a", "2"], ["b", "3"], ["c", "4"], ["b", "5"], ["a", "6"]] {
        builder.push(row.into_iter()).expect("a row");
    }
    let table = builder.finish(dir.path()).expect("made");
    let rows: Vec<Vec<&str>> = (0..table.len()).map(|row| table.fields(row).collect()).collect();
    assert_eq!(rows, [["b", "5"], ["a", "6"], ["c", "4"]]);
    assert_eq!(["a", "b", "c", "d"].map(|key| table.find(key)), [Some(1), Some(0), Some(2), None]);
    let none = ItemTableBuilder::new(vec!["id".into()], 0).expect("columns").finish(dir.path());
    let none = none.expect("no rows are rows too");
    assert_eq!((none.is_empty(), none.columns(), none.find("a")), (true, &["id".to_owned()][..], None));
    assert!(ItemTableBuilder::new(vec!["dlrm_by_key".into()], 0).is_err());
    assert!(ItemTableBuilder::new(Vec::new(), 0).is_err());
}

/// Whatever byte is changed, the table is refused or says the same.
#[test]
fn damaged_files_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("items.arrow");
    written(builder(20), &path);
    let whole = fs::read(&path).expect("read");
    let texts = |table: &ItemTable| -> Vec<String> {
        (0..table.len()).flat_map(|row| table.fields(row).map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let expected = texts(&ItemTable::open(&path).expect("whole"));
    let mut refused = 0;
    let mut damaged: Vec<Vec<u8>> = (0..whole.len())
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        })
        .collect();
    damaged.extend((0..whole.len()).step_by(13).map(|length| whole[..length].to_vec()));
    damaged.push([&whole[..], b"more"].concat());
    for bytes in &damaged {
        let copy = dir.path().join("damaged.arrow");
        fs::write(&copy, bytes).expect("written");
        match ItemTable::open(&copy) {
            Ok(table) => assert_eq!(texts(&table), expected),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("damaged.arrow: expected"), "{error}");
                assert!(error.hint().is_some(), "{error}");
            }
        }
    }
    assert!(refused > damaged.len() / 2, "{refused} of {}", damaged.len());
}

#[test]
fn files_of_something_else_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("other.arrow");
    let refused = |part: &str| {
        let error = ItemTable::open(&path).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
    };
    let write = |format: &Format, more: &[(&str, &str)]| {
        let fields = vec![arrow_schema::Field::new("id", TEXT, false)];
        let file = File::create(&path).expect("a file");
        let writer = arrow_file::ArrowFileWriter::new(file, &path, format, fields, more).expect("begun");
        writer.finish().expect("written");
    };
    write(&Format { name: "dlrm seen items", ..FORMAT }, &[(KEY, "id")]);
    refused("an Arrow file of something else");
    write(&Format { version: 2, ..FORMAT }, &[(KEY, "id")]);
    refused("format version 1 or older, found 2");
    write(&FORMAT, &[(KEY, "id")]);
    refused("an Arrow file of other columns");
    fs::write(&path, "id,year\n1,2\n").expect("written");
    assert!(!ItemTable::is_in(&path).expect("read"));
    refused("a table of items");
    assert!(!ItemTable::is_in(dir.path()).expect("a directory is none"));
}

#[test]
fn a_file_that_was_cut_short_since_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("items.arrow");
    written(builder(20), &path);
    let table = ItemTable::open(&path).expect("opened");
    // A file that takes its place by its name changes nothing.
    let other = dir.path().join("other.arrow");
    written(builder(3), &other);
    fs::copy(&path, dir.path().join("copy.arrow")).expect("copied");
    let copy = ItemTable::open(&dir.path().join("copy.arrow")).expect("opened");
    fs::rename(&other, dir.path().join("copy.arrow")).expect("renamed");
    copy.check().expect("it is still there");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opened");
    file.set_len(100).expect("cut");
    let error = table.check().expect_err("it is gone");
    assert!(error.to_string().contains("found 100 since it was opened"), "{error}");
}

#[test]
fn who_has_had_what() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = SeenBuilder::default();
    for (user, item) in [("u2", 5), ("u1", 1), ("u2", 3), ("u2", 5), ("u1", 0)] {
        builder.push(user, item);
    }
    let seen = builder.finish(dir.path(), |item| 10 - item).expect("made");
    assert_eq!(seen.users(), 2);
    assert_eq!(
        (seen.of_user("u1"), seen.of_user("u2"), seen.of_user("u3")),
        (vec![9, 10], vec![5, 7], vec![])
    );
    let nobody = SeenBuilder::default().finish(dir.path(), |item| item).expect("made");
    assert_eq!((nobody.users(), nobody.of_user("u1")), (0, vec![]));
}
