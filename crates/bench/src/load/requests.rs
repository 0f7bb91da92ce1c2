//! What is asked, made before anything is measured.
use super::error::LoadError;
use super::served::{ServedColumn, ServedModel};
use dlrm_data::Error;
use dlrm_data::rng::Rng;
use dlrm_data::row::RawRow;
use dlrm_data::rows::OpenRows;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Requests that differ, at most; then they repeat in their order.
const MOST: u64 = 10_000;
/// Their bytes in all, at most.
const MOST_BYTES: usize = 32 << 20;
/// Rows that are kept of a table, at most.
const MOST_ROWS: usize = 100_000;
/// The stream of a seed that values are drawn from.
const STREAM: u64 = 0x10ae;

/// What each request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Scores of so many rows.
    Predict {
        /// Rows in a request.
        rows: usize,
    },
    /// The best of so many items for a context.
    Rank {
        /// Items in a request.
        items: usize,
        /// The columns that differ from item to item; the others are the context's.
        columns: Vec<String>,
    },
}

impl Question {
    /// Ranks items that differ in `columns`: where that names none, in those of the server's catalogue, and
    /// without one in the latter half of the model's columns.
    ///
    /// # Errors
    /// If the model does not read one of them.
    pub fn rank(model: &ServedModel, items: usize, columns: &[String]) -> Result<Self, LoadError> {
        let all: Vec<&str> = model.columns.iter().map(|column| column.name.as_str()).collect();
        if let Some(unknown) = columns.iter().find(|name| !all.contains(&name.as_str())) {
            return Err(LoadError::Unknown {
                what: format!("columns of the items of model \"{}\"", model.name),
                expected: format!("some of {}", all.join(", ")),
                found: format!("\"{unknown}\""),
            });
        }
        let columns = match (columns, &model.item_columns) {
            ([], own) if !own.is_empty() => own.clone(),
            ([], _) => all[all.len() / 2..].iter().map(|&name| name.to_owned()).collect(),
            (said, _) => said.to_vec(),
        };
        Ok(Question::Rank { items, columns })
    }

    /// Where it is asked.
    pub fn path(&self) -> &'static str {
        match self {
            Question::Predict { .. } => "/v1/predict",
            Question::Rank { .. } => "/v1/rank",
        }
    }

    /// Rows that an answer takes to be scored.
    pub fn rows(&self) -> usize {
        match self {
            Question::Predict { rows } => *rows,
            Question::Rank { items, .. } => *items,
        }
    }

    /// The body of the next request.
    fn body(&self, columns: &[ServedColumn], rows: &mut RequestRows, model: Option<&str>) -> Value {
        let mut part = |wanted: &dyn Fn(&str) -> bool| {
            let row = rows.next_row(columns);
            let fields = columns.iter().zip(row).filter(|(column, text)| {
                // What is not named is missing.
                !text.is_empty() && wanted(&column.name)
            });
            Value::Object(fields.map(|(column, text)| (column.name.clone(), text.into())).collect())
        };
        let mut body = Map::new();
        match self {
            Question::Predict { rows } => {
                let rows: Vec<Value> = (0..*rows).map(|_| part(&|_| true)).collect();
                body.insert("rows".into(), json!(rows));
            }
            Question::Rank { items, columns } => {
                let of_item = |name: &str| columns.iter().any(|column| column == name);
                body.insert("context".into(), part(&|name| !of_item(name)));
                let items: Vec<Value> = (0..*items).map(|_| part(&of_item)).collect();
                body.insert("items".into(), json!(items));
            }
        }
        body.extend(model.map(|name| ("model".to_owned(), name.into())));
        Value::Object(body)
    }
}

/// The rows that requests are made of.
#[derive(Debug, Clone)]
pub enum RequestRows {
    /// One row of the model's own with other digits each time.
    Varied {
        /// The row.
        example: BTreeMap<String, String>,
        /// What the digits are drawn from.
        rng: Rng,
    },
    /// Those of a table, in their order, and then from the beginning.
    Table {
        /// A text for each column of the model.
        rows: Vec<Vec<String>>,
        /// The row that comes next.
        next: usize,
    },
}

impl RequestRows {
    /// The model's example row, varied.
    pub fn varied(model: &ServedModel, seed: u64) -> Self {
        RequestRows::Varied { example: model.example.clone(), rng: Rng::new(seed, STREAM) }
    }

    /// Rows of a table, of which the first 100,000 are kept, and the model's columns that it lacks, which are
    /// missing in all of them.
    ///
    /// # Errors
    /// If it cannot be read, or has no column that the model reads.
    pub fn read(table: &dyn OpenRows, model: &ServedModel) -> Result<(Self, Vec<String>), LoadError> {
        let mut source = table.open_rows()?;
        let own = source.columns().to_vec();
        let names = model.columns.iter().map(|column| &column.name);
        let places: Vec<Option<usize>> =
            names.clone().map(|name| own.iter().position(|column| column == name)).collect();
        if places.iter().all(Option::is_none) {
            let names: Vec<&str> = names.map(String::as_str).collect();
            let expected = format!("a column that the model reads ({})", names.join(", "));
            return Err(Error::input(table.name(), expected, own.join(", ")).into());
        }
        let (mut rows, mut row) = (Vec::new(), RawRow::default());
        while rows.len() < MOST_ROWS && source.next_row(&mut row)? {
            let text = |place: &Option<usize>| {
                place.filter(|&place| place < row.len()).map_or("", |place| row.field(place)).to_owned()
            };
            rows.push(places.iter().map(text).collect());
        }
        if rows.is_empty() {
            return Err(Error::input(table.name(), "a row", "none").into());
        }
        let lacking = names.zip(&places).filter(|(_, place)| place.is_none());
        let lacking = lacking.map(|(name, _)| name.clone()).collect();
        Ok((RequestRows::Table { rows, next: 0 }, lacking))
    }

    /// A text for each column.
    fn next_row(&mut self, columns: &[ServedColumn]) -> Vec<String> {
        match self {
            RequestRows::Table { rows, next } => {
                let row = rows[*next].clone();
                *next = (*next + 1) % rows.len();
                row
            }
            RequestRows::Varied { example, rng } => {
                let text = |column: &ServedColumn| {
                    example.get(&column.name).map_or_else(String::new, |text| varied(text, &column.kind, rng))
                };
                columns.iter().map(text).collect()
            }
        }
    }
}

/// A text with other digits. Points in time stay as they are, for not every text of digits is one.
fn varied(text: &str, kind: &str, rng: &mut Rng) -> String {
    if kind == "moment" {
        return text.to_owned();
    }
    let (mut other, mut in_number, mut in_exponent) = (String::with_capacity(text.len()), false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        in_exponent |= kind == "numeric" && letter.eq_ignore_ascii_case(&'e');
        let more = letters.peek().is_some_and(char::is_ascii_digit);
        let digit = letter.is_ascii_digit();
        if digit && !in_exponent {
            // A number of several digits begins with none that would be left out.
            let least = usize::from(!in_number && more);
            other.extend(char::from_digit((least + rng.below(10 - least)) as u32, 10));
        } else {
            other.push(letter);
        }
        in_number = digit;
    }
    other
}

/// Requests, ready to be sent.
#[derive(Debug, Clone)]
pub struct RequestBodies {
    pub(super) bodies: Vec<Vec<u8>>,
}

impl RequestBodies {
    /// As many different ones as are wanted, up to 10,000 and 32 MiB; `named` is the model that they name.
    pub fn make(
        model: &ServedModel,
        question: &Question,
        mut rows: RequestRows,
        (wanted, named): (u64, Option<&str>),
    ) -> Self {
        let (mut bodies, mut bytes) = (Vec::new(), 0);
        while bodies.is_empty() || ((bodies.len() as u64) < wanted.min(MOST) && bytes < MOST_BYTES) {
            let body = question.body(&model.columns, &mut rows, named).to_string().into_bytes();
            bytes += body.len();
            bodies.push(body);
        }
        RequestBodies { bodies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::readers::Input;

    fn model() -> ServedModel {
        let column = |name: &str, kind: &str| ServedColumn { name: name.into(), kind: kind.into() };
        let example = [("age", "41.50"), ("user", "u17"), ("item", "i4"), ("at", "2026-01-31")];
        ServedModel {
            name: "m".into(),
            version: "v".into(),
            columns: vec![
                column("age", "numeric"),
                column("user", "categorical"),
                column("item", "categorical"),
                column("at", "moment"),
            ],
            item_columns: Vec::new(),
            example: example.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        }
    }

    fn bodies(question: &Question, rows: RequestRows, wanted: u64) -> Vec<Value> {
        let made = RequestBodies::make(&model(), question, rows, (wanted, None)).bodies;
        made.iter().map(|body| serde_json::from_slice(body).unwrap()).collect()
    }

    #[test]
    fn values_vary_and_repeat() {
        let question = Question::Predict { rows: 2 };
        let made = bodies(&question, RequestRows::varied(&model(), 3), 50);
        assert_eq!(made, bodies(&question, RequestRows::varied(&model(), 3), 50));
        assert_ne!(made, bodies(&question, RequestRows::varied(&model(), 4), 50));
        for body in &made {
            let row = &body["rows"][1];
            assert_eq!((row["at"].as_str(), body.get("model")), (Some("2026-01-31"), None));
            let user = row["user"].as_str().unwrap().strip_prefix('u').unwrap().parse::<u32>().unwrap();
            let age = row["age"].as_str().unwrap().parse::<f64>().unwrap();
            assert!((10..100).contains(&user) && (10.0..100.0).contains(&age), "{row}");
        }
        assert!(made.windows(2).any(|two| two[0]["rows"][0]["user"] != two[1]["rows"][0]["user"]));
        let mut rng = Rng::new(0, 0);
        assert!(varied("-1.5e-07", "numeric", &mut rng).ends_with("e-07"));
        assert_eq!(varied("red|blue", "multi_valued", &mut rng), "red|blue");
    }

    #[test]
    fn rows_of_a_table_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        std::fs::write(&path, "item,user,click\ni1,a,1\ni2,b,0\ni3,,1\n").unwrap();
        let (rows, lacking) = RequestRows::read(&Input::new([&path]), &model()).unwrap();
        assert_eq!(lacking, ["age", "at"]);
        let question = Question::rank(&model(), 3, &["item".into()]).unwrap();
        let made = bodies(&question, rows.clone(), 2);
        let item = |name: &str| json!({ "item": name });
        assert_eq!(made[0]["context"], json!({ "user": "a" }));
        assert_eq!(made[0]["items"], json!([item("i2"), item("i3"), item("i1")]));
        assert_eq!(made[1]["context"], json!({ "user": "b" }));
        let named = RequestBodies::make(&model(), &question, rows, (1, Some("m"))).bodies;
        assert!(String::from_utf8_lossy(&named[0]).contains("\"model\":\"m\""));
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let error = RequestRows::read(&Input::new([&path]), &model()).unwrap_err().to_string();
        assert!(error.contains("a column that the model reads (age, user, item, at)"), "{error}");
    }

    #[test]
    fn columns_of_items() {
        let columns = |model: &ServedModel, said: &[String]| match Question::rank(model, 5, said).unwrap() {
            Question::Rank { columns, .. } => columns,
            other => panic!("{other:?}"),
        };
        let mut model = model();
        assert_eq!(columns(&model, &[]), ["item", "at"], "the latter half");
        model.item_columns = vec!["item".into()];
        assert_eq!(columns(&model, &[]), ["item"]);
        assert_eq!(columns(&model, &["user".into()]), ["user"]);
        let error = Question::rank(&model, 5, &["usr".into()]).unwrap_err().to_string();
        assert!(error.contains("\"usr\"") && error.contains("age, user, item, at"), "{error}");
    }
}
