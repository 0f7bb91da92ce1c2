//! Schemas of formats whose columns have a known meaning.
use super::format::Format;
use crate::schema::{
    CategoricalColumn, DenseColumn, Encoding, Label, MultiValued, Pooling, Schema, Task, Transform,
};

/// The schema for input of `format` with these `columns`, if the format says what they mean: Criteo with
/// label, MovieLens (to predict the rating), libsvm and libffm.
pub fn default_schema(format: Format, columns: &[String]) -> Option<Schema> {
    match format {
        Format::Criteo => criteo(columns),
        Format::Movielens => movielens(columns),
        Format::Ncf => Some(ncf()),
        Format::Libsvm | Format::Libffm => sparse(columns),
        Format::Auto | Format::Csv | Format::Tsv | Format::Jsonl | Format::Parquet => None,
    }
}

/// Values of a Criteo column seen fewer times than this share the row for unseen values: most of them occur
/// once or twice, and a row of their own only memorises those rows.
const CRITEO_MIN_COUNT: u64 = 5;

/// As the reference treats it (logarithms of the integers, a table per category), with rare categories
/// merged.
fn criteo(columns: &[String]) -> Option<Schema> {
    let (label, inputs) = columns.split_first().filter(|(label, _)| *label == "label")?;
    let (dense, categorical): (Vec<&String>, Vec<&String>) =
        inputs.iter().partition(|name| name.starts_with('I'));
    let dense = dense
        .into_iter()
        .map(|name| DenseColumn { missing_indicator: true, ..DenseColumn::new(name, Transform::Log1p) });
    Some(Schema {
        dense: dense.collect(),
        ..schema(label, Task::Binary, categorical.into_iter().map(|name| frequent(name)).collect())
    })
}

/// Every column but zip_code, which all but names the user.
fn movielens(columns: &[String]) -> Option<Schema> {
    const CATEGORICAL: [&str; 9] =
        ["user_id", "item_id", "age", "gender", "occupation", "release_year", "genres", "hour", "weekday"];
    let has = |name: &str| columns.iter().any(|column| column == name);
    let categorical = CATEGORICAL.into_iter().filter(|name| has(name)).map(|name| match name {
        "genres" => CategoricalColumn { pooling: Some(Pooling::Mean), ..multi_valued(name, None) },
        _ => categories(name),
    });
    let schema = schema("rating", Task::Rating, categorical.collect());
    Some(Schema { time: has("timestamp").then(|| "timestamp".to_owned()), ..schema })
}

/// What was rated was taken, whatever the rating; users are the groups in which items are ranked.
fn ncf() -> Schema {
    let schema = schema("rating", Task::Binary, vec![categories("user_id"), categories("item_id")]);
    let label = Label { rule: Some("rating > 0".into()), ..schema.label };
    Schema { label, group: Some("user_id".into()), ..schema }
}

fn sparse(columns: &[String]) -> Option<Schema> {
    let fields = columns.iter().filter(|name| !matches!(name.as_str(), "label" | "qid"));
    Some(schema("label", Task::Binary, fields.map(|name| multi_valued(name, Some(':'))).collect()))
}

/// These formats know no missing value but the empty one.
fn schema(label: &str, task: Task, categorical: Vec<CategoricalColumn>) -> Schema {
    let label = Label { task, ..Label::clicks(label) };
    Schema {
        missing: Vec::new(),
        weight: None,
        group: None,
        time: None,
        date_order: None,
        label,
        dense: Vec::new(),
        categorical,
        crosses: Vec::new(),
    }
}

fn categories(name: &str) -> CategoricalColumn {
    CategoricalColumn::new(name)
}

fn frequent(name: &str) -> CategoricalColumn {
    CategoricalColumn { encoding: Encoding::vocabulary(CRITEO_MIN_COUNT), ..categories(name) }
}

fn multi_valued(name: &str, weight_separator: Option<char>) -> CategoricalColumn {
    CategoricalColumn { multi: Some(MultiValued { separator: '|', weight_separator }), ..categories(name) }
}
