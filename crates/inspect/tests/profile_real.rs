//! What `Profile` makes of real data sets (in the directory named by `DLRM_DATA`).
use dlrm_data::schema::{Encoding, Task, Transform};
use dlrm_data::{RawRow, Result, RowSource, Schema};
use dlrm_inspect::profile::{Kind, Profile, ProfileOptions};
use std::path::PathBuf;

/// Lines of a file, split at a separator.
struct Lines {
    columns: Vec<String>,
    lines: std::vec::IntoIter<String>,
    separator: &'static str,
}

impl RowSource for Lines {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        row.clear();
        let Some(line) = self.lines.next() else { return Ok(false) };
        line.split(self.separator).for_each(|field| row.push(field));
        Ok(true)
    }
}

/// The profile of a file of `DLRM_DATA`; its columns are named in its first line unless given.
fn profile(
    file: &str,
    separator: &'static str,
    columns: Option<Vec<String>>,
    label: Option<&str>,
) -> Option<Profile> {
    let Some(directory) = std::env::var_os("DLRM_DATA") else {
        println!("skipped: {file} (DLRM_DATA is not set)");
        return None;
    };
    let text = std::fs::read(PathBuf::from(directory).join(file)).unwrap();
    let mut lines: Vec<String> =
        String::from_utf8_lossy(&text).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
    let columns = columns.unwrap_or_else(|| lines.remove(0).split(separator).map(str::to_owned).collect());
    let options = ProfileOptions { label: label.map(str::to_owned), ..ProfileOptions::default() };
    let profile = Profile::of(&mut Lines { columns, lines: lines.into_iter(), separator }, &options).unwrap();
    println!("{}", profile.table(150));
    if let Ok(toml) = profile.schema_toml() {
        println!("{toml}");
        assert_eq!(Schema::from_toml(&toml, "inferred").unwrap(), profile.schema().unwrap());
    }
    Some(profile)
}

fn names(prefix: &str, range: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = String> {
    range.map(move |i| format!("{prefix}{i}"))
}

fn dense(schema: &Schema) -> Vec<&str> {
    schema.dense.iter().map(|c| c.name.as_str()).collect()
}

fn kind(profile: &Profile, name: &str) -> Kind {
    profile.columns.iter().find(|c| c.name == name).unwrap().kind
}

#[test]
fn adult() {
    let columns = "age workclass fnlwgt education education_num marital_status occupation relationship race \
        sex capital_gain \
                   capital_loss hours_per_week native_country income";
    let columns = columns.split_whitespace().map(str::to_owned).collect();
    let Some(profile) = profile("adult-census/adult.data", ", ", Some(columns), None) else { return };
    let schema = profile.schema().unwrap();
    assert_eq!(
        dense(&schema),
        ["age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
    );
    assert_eq!(schema.categorical.len(), 8);
    assert_eq!(schema.dense[3].transform, Transform::PiecewiseLinear);
    assert_eq!(
        (schema.label.column.as_str(), schema.label.positive.as_slice()),
        ("income", [">50K".to_owned()].as_slice())
    );
    assert!(schema.missing.contains(&"?".to_owned()));
    let workclass = &profile.columns[1];
    assert!((workclass.missing_share - 0.0564).abs() < 1e-3 && workclass.suggestions[0].contains('?'));
    // 99999 stands for a gain beyond what was asked for; nothing else is odd.
    let warned: Vec<_> = profile.columns.iter().filter(|c| !c.warnings.is_empty()).collect();
    assert_eq!(warned.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["capital_gain"]);
    assert!(warned[0].warnings[0].starts_with("99999 may stand for a missing value: it is in 159 rows"));
}

#[test]
fn criteo() {
    let columns =
        std::iter::once("label".to_owned()).chain(names("I", 1..=13)).chain(names("C", 1..=26)).collect();
    let Some(profile) = profile("criteo-kaggle-sample/train_first10000.txt", "\t", Some(columns), None)
    else {
        return;
    };
    let schema = profile.schema().unwrap();
    assert_eq!((schema.label.column.as_str(), schema.label.task), ("label", Task::Binary));
    assert_eq!(dense(&schema), names("I", 1..=13).collect::<Vec<_>>());
    assert_eq!(
        schema.categorical.iter().map(|c| c.name.clone()).collect::<Vec<_>>(),
        names("C", 1..=26).collect::<Vec<_>>()
    );
    assert!(schema.dense.iter().filter(|c| c.transform == Transform::PiecewiseLinear).count() >= 10);
    assert_eq!(schema.categorical[2].encoding, Encoding::vocabulary(3));
    assert!(profile.columns.iter().all(|c| c.warnings.is_empty()));
}

/// Without names the columns must be told by their values alone.
#[test]
fn criteo_without_names() {
    let Some(profile) =
        profile("criteo-kaggle-sample/train_first10000.txt", "\t", Some(names("c", 1..=40).collect()), None)
    else {
        return;
    };
    let schema = profile.schema().unwrap();
    assert_eq!(schema.label.column, "c1");
    assert!(schema.dense.len() >= 11 && schema.categorical.len() >= 26);
}

#[test]
fn avazu() {
    let Some(profile) = profile("avazu-sample/train_first_hour.csv", ",", None, None) else { return };
    assert_eq!(kind(&profile, "id"), Kind::Identifier);
    assert_eq!(kind(&profile, "hour"), Kind::Constant);
    let schema = profile.schema().unwrap();
    assert_eq!(schema.label.column, "click");
    assert_eq!(dense(&schema), [] as [&str; 0]);
    assert_eq!(schema.categorical.len(), 21);
}

#[test]
fn movielens() {
    let columns = ["user_id", "item_id", "rating", "timestamp"].map(str::to_owned).into();
    let Some(first) = profile("movielens-100k/u.data", "\t", Some(columns), None) else { return };
    let schema = first.schema().unwrap();
    assert_eq!(
        (schema.label.column.as_str(), schema.label.task, schema.time.as_deref()),
        ("rating", Task::Rating, Some("timestamp"))
    );
    let categorical: Vec<_> = schema.categorical.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(categorical, ["user_id", "item_id", "timestamp:hour", "timestamp:weekday"]);
    assert_eq!(schema.dense.len(), 0);
    let Some(unnamed) = profile("movielens-100k/u.data", "\t", Some(names("c", 1..=4).collect()), Some("c3"))
    else {
        return;
    };
    let schema = unnamed.schema().unwrap();
    assert_eq!(
        (schema.label.task, schema.time.as_deref(), schema.categorical.len()),
        (Task::Rating, Some("c4"), 4)
    );
    let Some(movies) = profile("movielens-latest-small/movies.csv", ",", None, None) else { return };
    assert!(matches!(kind(&movies, "movieId"), Kind::Identifier));
    let Some(frappe) = profile("frappe-raw/frappe.csv", "\t", None, Some("cnt")) else { return };
    assert_eq!(frappe.schema().unwrap().categorical.len(), 10);
    let Some(items) = profile(
        "movielens-1m/movies.dat",
        "::",
        Some(["item_id", "title", "genres"].map(str::to_owned).into()),
        None,
    ) else {
        return;
    };
    assert_eq!(kind(&items, "genres"), Kind::MultiValued { separator: '|', weight_separator: None });
}
