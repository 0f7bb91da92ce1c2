//! What each column means. Written by `inspect`, edited by people, stored with every model.
mod check;
mod dense;

pub use dense::{Age, DenseColumn, Transform};

use crate::error::{Error, Result, nearest};
use crate::moment::{DateOrder, TimePart, TimeUnit};
use serde::{Deserialize, Serialize};

/// Roles and encodings of the columns of an input. Columns not named are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Texts that stand for a missing value, besides the empty one.
    #[serde(default = "default_missing")]
    pub missing: Vec<String>,
    /// Column of sample weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Column whose equal values make the groups in which ranking is measured (a user's candidates, a query's
    /// results).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column that orders rows in time (for splits by time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Which comes first in dates that end with their year, such as 03/04/2024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
    /// What to predict.
    pub label: Label,
    /// Numeric inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dense: Vec<DenseColumn>,
    /// Categorical inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categorical: Vec<CategoricalColumn>,
    /// Conjunctions of categorical columns, for linear parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crosses: Vec<Cross>,
}

fn default_missing() -> Vec<String> {
    ["NA", "N/A", "NULL", "null", "\\N"].map(str::to_owned).to_vec()
}

/// What to predict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Column.
    pub column: String,
    /// Binary clicks or numeric ratings.
    #[serde(default)]
    pub task: Task,
    /// Turns the column into a click, e.g. `"rating >= 4"` (operators >= > <= < == !=); for binary tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Texts that count as positive. Excludes `rule`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positive: Vec<String>,
    /// Texts that count as negative, beside `positive`; any further text is an error. Absent: all texts that
    /// are not positive are negative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub negative: Vec<String>,
    /// Texts whose rows are left out, where labels are read (a rating that is neither liked nor disliked).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
}

impl Label {
    /// 0 or 1 in `column`.
    pub fn clicks(column: impl Into<String>) -> Self {
        Label {
            column: column.into(),
            task: Task::Binary,
            rule: None,
            positive: Vec::new(),
            negative: Vec::new(),
            leave_out: Vec::new(),
        }
    }
}

/// Kind of label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// 0 or 1; the model predicts a probability.
    #[default]
    Binary,
    /// A number; the model predicts it directly.
    Rating,
}

/// A categorical input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoricalColumn {
    /// Column; for a part of another column's moments, a name of its own.
    pub name: String,
    /// The values are parts of the moments in another column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<PartOfTime>,
    /// How texts become ids.
    #[serde(default)]
    pub encoding: Encoding,
    /// Values are integers, and one that is written as a whole float (34.0) is the integer (34): what held
    /// only integers comes as floats from a table in which one is missing. Absent: a value is its text.
    #[serde(default, skip_serializing_if = "is_default")]
    pub integers: bool,
    /// One value, or several with a separator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi: Option<MultiValued>,
    /// Columns that name the same table share its ids and its embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Embedding width, if not the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_dim: Option<usize>,
    /// How the vectors of several values become one, if not the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
}

impl CategoricalColumn {
    /// This column, whose single values have a vocabulary of their own.
    pub fn new(name: impl Into<String>) -> Self {
        CategoricalColumn {
            name: name.into(),
            time: None,
            encoding: Encoding::default(),
            integers: false,
            multi: None,
            table: None,
            embedding_dim: None,
            pooling: None,
        }
    }

    /// The column of the input that it is read from.
    pub fn source(&self) -> &str {
        self.time.as_ref().map_or(&self.name, |time| &time.column)
    }

    /// Whether the value is the text of the field, no part of it and no integer that it stands for.
    pub fn value_is_field(&self) -> bool {
        let is_text = self.time.is_none() && self.multi.is_none() && !self.integers;
        is_text && !self.encoding.reads_integers()
    }

    /// Name of the table that holds its ids: the shared one, or its own.
    pub fn table_name(&self) -> &str {
        self.table.as_deref().unwrap_or(&self.name)
    }
}

/// A part of the moments in a column: `{ column = "event_time", part = "hour" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartOfTime {
    /// The column of the input that holds the moments.
    pub column: String,
    /// Which part.
    pub part: TimePart,
    /// What its numbers count. Dates need none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: TimeUnit,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A conjunction of categorical columns: "education = Masters and occupation = Sales" is one value. Hashed,
/// because most of the possible ones never occur. It enters the linear part of models that have one (lr, fm,
/// Wide & Deep, …) and no other (Cheng et al. 2016, section 3.1: cross-product transformations).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cross {
    /// Names of two or more categorical columns. Of columns with several values every combination counts.
    pub columns: Vec<String>,
    /// Number of buckets; row 0 is *missing*, for rows that lack one of the columns.
    #[serde(default = "cross_buckets")]
    pub buckets: u32,
    /// Seed of the hash.
    #[serde(default)]
    pub seed: u64,
}

fn cross_buckets() -> u32 {
    100_000
}

impl Cross {
    /// Of these columns, with default buckets and seed.
    pub fn of(columns: Vec<String>) -> Self {
        Cross { columns, buckets: cross_buckets(), seed: 0 }
    }

    /// Name of its feature and table.
    pub fn name(&self) -> String {
        self.columns.join("*")
    }
}

/// How texts become ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// A dictionary of the training split. Row 0 is *missing*, row 1 is *unseen* (also values seen
    /// fewer than `min_count` times), then the values by falling count, ties by text.
    Vocabulary {
        /// Least number of occurrences in the training split.
        #[serde(default = "one")]
        min_count: u64,
        /// Values are hexadecimal integers and taken modulo this before all else (`max_ind_range` of the
        /// reference).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_ind_range: Option<u32>,
    },
    /// The dictionary that the reference implementation makes of Criteo's files, so that its checkpoints line
    /// up: values are hexadecimal integers, a missing one is 0, and ids count from 0 in the order in which
    /// values first occur in all rows, those to validate and to test included. (So it leaks: for comparisons
    /// with the reference alone.) One more row, the last, is for values of later rows, with which the
    /// reference fails.
    FirstSeen {
        /// Values are taken modulo this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_ind_range: Option<u32>,
    },
    /// Row 0 is *missing*; a value goes to 1 + hash(value, seed) mod buckets.
    Hash {
        /// Number of buckets.
        buckets: u32,
        /// Seed of the hash.
        #[serde(default)]
        seed: u64,
    },
    /// The text is the id, an integer below `bound`; row `bound` is *missing*.
    Identity {
        /// Ids are smaller than this; a larger one is an error.
        bound: u32,
    },
}

fn one() -> u64 {
    1
}

impl Default for Encoding {
    fn default() -> Self {
        Encoding::vocabulary(1)
    }
}

impl Encoding {
    /// A dictionary of the values that occur so often.
    pub fn vocabulary(min_count: u64) -> Self {
        Encoding::Vocabulary { min_count, max_ind_range: None }
    }

    /// Whether it has a dictionary.
    pub fn has_vocabulary(&self) -> bool {
        matches!(self, Encoding::Vocabulary { .. } | Encoding::FirstSeen { .. })
    }

    /// Whether values are hexadecimal integers.
    pub(crate) fn reads_integers(&self) -> bool {
        matches!(self, Encoding::FirstSeen { .. } | Encoding::Vocabulary { max_ind_range: Some(_), .. })
    }

    /// The range of hexadecimal integers, where values are such.
    fn max_ind_range(&self) -> Option<u32> {
        match *self {
            Encoding::Vocabulary { max_ind_range, .. } | Encoding::FirstSeen { max_ind_range } => {
                max_ind_range
            }
            _ => None,
        }
    }
}

/// A field that holds several values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiValued {
    /// Between values: `a|b|c`.
    pub separator: char,
    /// Between a value and its weight: `a:0.5|b:2`. Absent: no weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_separator: Option<char>,
}

impl MultiValued {
    /// As lists of columnar formats are written: `a|b|c`.
    pub fn separated() -> Self {
        MultiValued { separator: '|', weight_separator: None }
    }

    /// As maps from values to weights are written: `a:0.5|b:2`.
    pub fn weighted() -> Self {
        MultiValued { weight_separator: Some(':'), ..MultiValued::separated() }
    }
}

/// How the vectors of a bag become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Sum (weighted by the data where the bag carries weights).
    #[default]
    Sum,
    /// Mean; an empty bag gives zero.
    Mean,
    /// Sum weighted by a learned weight per table row.
    Learned,
}

impl Schema {
    /// Reads a schema from TOML.
    ///
    /// # Errors
    /// Names the unknown key and the nearest known one, or the contradiction.
    pub fn from_toml(text: &str, name: &str) -> Result<Self> {
        let schema: Schema = toml::from_str(text).map_err(|e| {
            let error = toml_error(name, &e);
            match error.hint() {
                Some(_) => error,
                None => {
                    error.with_hint("a schema is TOML as `dlrm inspect` writes it with -o: start from that")
                }
            }
        })?;
        schema.check(name)?;
        Ok(schema)
    }

    /// Whether the encoder depends on rows that it is fitted on: on their values, for a vocabulary, or on
    /// statistics of numbers.
    pub fn needs_rows(&self) -> bool {
        let fitted = |column: &DenseColumn| {
            matches!(column.transform, Transform::Standardize | Transform::PiecewiseLinear)
                || column.clip_quantiles.is_some()
                || column.missing_value.is_none()
        };
        self.categorical.iter().any(|column| column.encoding.has_vocabulary())
            || self.dense.iter().any(fitted)
    }

    /// The schema as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a schema is plain data")
    }

    /// Takes the values of vocabularies for hexadecimal integers modulo `range`, as the reference does with
    /// `--max-ind-range`.
    ///
    /// # Errors
    /// If there is no vocabulary.
    pub fn limit_indices(&mut self, range: u32) -> Result<()> {
        let mut limited = 0;
        for column in &mut self.categorical {
            if let Encoding::Vocabulary { max_ind_range, .. } | Encoding::FirstSeen { max_ind_range } =
                &mut column.encoding
            {
                *max_ind_range = Some(range);
                limited += 1;
            }
        }
        if limited == 0 {
            let error = Error::input("max_ind_range", "a column whose encoding is a vocabulary", "none");
            return Err(error.with_hint("leave it out: other encodings have a bound of their own"));
        }
        Ok(())
    }

    /// Encodes all columns as the reference implementation's preprocessing of Criteo's files does: see
    /// [`Encoding::FirstSeen`]; ln(1 + x) of integers, where a missing one and a negative one are 0.
    ///
    /// # Errors
    /// A column with several values, which the reference has not, or a table that columns share.
    pub fn follow_reference(&mut self) -> Result<()> {
        for column in &mut self.dense {
            *column = DenseColumn {
                age: column.age.take(),
                missing_value: Some(0.0),
                ..DenseColumn::new(std::mem::take(&mut column.name), Transform::Log1p)
            };
        }
        for column in &mut self.categorical {
            column.encoding = Encoding::FirstSeen { max_ind_range: column.encoding.max_ind_range() };
        }
        self.check("reference_compat")
    }

    /// Names of all columns that the schema uses, label first.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.label.column.as_str())
            .chain(self.weight.as_deref())
            .chain(self.group.as_deref())
            .chain(self.time.as_deref())
            .chain(self.dense.iter().flat_map(DenseColumn::sources))
            .chain(self.categorical.iter().map(CategoricalColumn::source))
    }

    /// Names of the columns that inputs are read from, each once.
    pub fn inputs(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let dense = self.dense.iter().flat_map(DenseColumn::sources);
        for name in dense.chain(self.categorical.iter().map(CategoricalColumn::source)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// A TOML or JSON deserialisation error as ours: unknown keys get the nearest known one as a hint.
pub fn toml_error(name: &str, error: &toml::de::Error) -> Error {
    let message = error.message();
    let converted = Error::input(name, "valid configuration", error.to_string().trim_end().to_owned());
    match unknown_key_hint(message) {
        Some(hint) => converted.with_hint(hint),
        None => converted,
    }
}

/// "did you mean" out of serde's "unknown field `x`, expected one of `a`, `b`".
pub fn unknown_key_hint(message: &str) -> Option<String> {
    if !message.contains("unknown field") && !message.contains("unknown variant") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let known: Vec<&str> = names.collect();
    Some(match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known here: {}", known.join(", ")),
    })
}

/// Whether a trimmed field usually stands for a missing value.
pub fn is_missing(trimmed: &str) -> bool {
    matches!(trimmed, "" | "NA" | "N/A" | "NULL" | "null" | "\\N" | "?" | "nan" | "NaN")
}
