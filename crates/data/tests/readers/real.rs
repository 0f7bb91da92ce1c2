//! Real data sets in the directory named by `DLRM_DATA`; their row counts are those of their publishers.
use crate::{Outcome, read};
use dlrm_data::RawRow;
use dlrm_data::readers::{Format, Header, Input};
use std::path::PathBuf;

/// The file or directory in the data directory, if there is one.
fn data(test: &str, name: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("DLRM_DATA") else {
        println!("skipped: {test} (DLRM_DATA is not set)");
        return None;
    };
    let path = PathBuf::from(directory).join(name);
    if !path.exists() {
        println!("skipped: {test} (no {name} in DLRM_DATA)");
        return None;
    }
    Some(path)
}

fn read_whole(input: &Input) -> Outcome {
    let found = read(input).expect("opened");
    assert_eq!((found.bad.as_slice(), &found.end), ([].as_slice(), &None));
    found
}

/// Number of rows, without keeping them.
fn count(input: &Input) -> usize {
    let mut source = input.open().expect("opened");
    let mut row = RawRow::default();
    let mut count = 0;
    while source.next_row(&mut row).expect("a good row") {
        count += 1;
    }
    count
}

fn mean(found: &Outcome, column: &str) -> f64 {
    let index = found.columns.iter().position(|name| name == column).expect("the column");
    found.rows.iter().map(|row| row[index].parse::<f64>().expect("a number")).sum::<f64>()
        / found.rows.len() as f64
}

#[test]
fn criteo() {
    let Some(path) = data("criteo", "criteo-kaggle-sample/train_first10000.txt") else { return };
    let input = Input::new([&path]).resolve().expect("resolved");
    assert_eq!(input.format, Format::Criteo);
    let found = read_whole(&input);
    assert_eq!((found.rows.len(), found.columns.len()), (10_000, 40));
    assert!((mean(&found, "label") - 0.2182).abs() < 5e-5);
    let Some(path) = data("criteo", "criteo-kaggle-sample/preprocessed_deeplight_tiny_train.csv") else {
        return;
    };
    let input = Input::new([&path]).resolve().expect("resolved");
    assert_eq!((input.format, input.header), (Format::Csv, Some(Header::Absent)));
    assert_eq!(count(&input), 10_000);
}

#[test]
fn adult() {
    let Some(path) = data("adult", "adult-census") else { return };
    let columns = "age workclass fnlwgt education education_num marital_status occupation relationship race \
        sex capital_gain capital_loss hours country income";
    let columns: Vec<String> = columns.split(' ').map(str::to_owned).collect();
    let train = Input { columns: Some(columns), ..Input::new([path.join("adult.data")]) };
    let found = read_whole(&train);
    assert_eq!((found.rows.len(), found.rows[0][1].as_str()), (32_561, "State-gov"));
    assert_eq!(found.rows.iter().filter(|row| row[14] == ">50K").count(), 7_841);
    let test = read_whole(&Input { paths: vec![path.join("adult.test")], ..train });
    assert_eq!(test.rows.len(), 16_281);
    assert_eq!(test.rows.iter().filter(|row| row[14] == ">50K.").count(), 3_846);
}

#[test]
fn movielens_100k() {
    let Some(path) = data("movielens_100k", "movielens-100k") else { return };
    let found = read_whole(&Input::new([&path]));
    assert_eq!((found.rows.len(), found.columns.len()), (100_000, 12));
    assert!(found.rows.iter().all(|row| !row[2].is_empty()), "every user is in u.user");
    let hours = found.rows.iter().filter(|row| row[8].parse::<u32>().is_ok_and(|hour| hour < 24)).count();
    assert_eq!(hours, 100_000);
    for (fold, rows) in [("u1.base", 80_000), ("u5.test", 20_000), ("ua.base", 90_570)] {
        assert_eq!(count(&Input::new([path.join(fold)]).with_format(Format::Movielens)), rows);
    }
    assert_eq!(count(&Input::new([path.join("u1.base"), path.join("u1.test")])), 100_000);
}

#[test]
fn movielens_1m() {
    let Some(path) = data("movielens_1m", "movielens-1m") else { return };
    let mut source = Input::new([&path]).open().expect("opened");
    assert_eq!(source.columns().len(), 12);
    let mut row = RawRow::default();
    let (mut rows, mut timed, mut of_rating) = (0, 0, [0; 6]);
    while source.next_row(&mut row).expect("a good row") {
        rows += 1;
        timed += usize::from(!row.field(10).is_empty());
        of_rating[row.field(11).parse::<usize>().expect("a rating")] += 1;
        assert!(!row.field(3).is_empty() && !row.field(7).is_empty());
    }
    assert_eq!((rows, timed), (1_000_209, 490_691));
    assert_eq!(of_rating, [0, 56_174, 107_557, 261_197, 348_971, 226_310]);
}

#[test]
fn movielens_latest_small() {
    let Some(path) = data("movielens_latest_small", "movielens-latest-small") else { return };
    let found = read_whole(&Input::new([&path]));
    assert_eq!((found.rows.len(), found.columns.len()), (100_836, 8));
}

#[test]
fn avazu() {
    let Some(path) = data("avazu", "avazu-sample/train_first_hour.csv") else { return };
    let found = read_whole(&Input::new([&path]));
    assert_eq!((found.rows.len(), found.columns.len()), (8_999, 24));
    assert_eq!(found.columns[..2], ["id", "click"]);
    assert!((mean(&found, "click") - 0.1737).abs() < 5e-5);
}

#[test]
fn frappe() {
    let Some(path) = data("frappe", "frappe_x1") else { return };
    let csv = read_whole(&Input::new([path.join("test.csv")]));
    let svm = Input::new([path.join("test.libsvm")]).resolve().expect("resolved");
    assert_eq!(svm.format, Format::Libsvm);
    let svm = read_whole(&svm);
    assert_eq!((csv.rows.len(), svm.rows.len()), (28_860, 28_860));
    for (dense, sparse) in csv.rows.iter().zip(&svm.rows) {
        let joined: Vec<String> = dense[1..].iter().map(|id| format!("{id}:1")).collect();
        assert_eq!((&dense[0], joined.join("|")), (&sparse[0], sparse[1].clone()));
    }
    let Some(raw) = data("frappe", "frappe-raw") else { return };
    assert_eq!(count(&Input::new([raw.join("frappe.csv")])), 96_203);
    // Long quoted descriptions with doubled quotes and line ends within.
    let apps = read(&Input::new([raw.join("meta.csv")])).expect("opened");
    println!("meta.csv: {} rows, {:?}", apps.rows.len(), apps.bad);
    assert_eq!(apps.rows.len() + apps.bad.len(), 4_082);
}

#[test]
fn parquet_pairs() {
    let Some(path) = data("parquet_pairs", "movielens-1m/source/pairs_in_original_order.parquet") else {
        return;
    };
    assert_eq!(count(&Input::new([&path])), 1_000_209);
}
