//! The columns of encoded rows: a column of the schema may stand for several inputs.
use dlrm_data::batch::Arity;
use dlrm_data::{Batch, Encoder};
use serde::{Deserialize, Serialize};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numbers.
    Dense,
    /// Values of a set.
    Categorical,
    /// A conjunction of other columns.
    Cross,
}

impl ColumnKind {
    /// Its name in running text.
    pub fn name(self) -> &'static str {
        match self {
            ColumnKind::Dense => "dense",
            ColumnKind::Categorical => "categorical",
            ColumnKind::Cross => "cross",
        }
    }
}

/// A column and the encoded inputs that it stands for. Every input belongs to one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Its dense inputs: the number itself and what else is made of it, such as a missing indicator.
    pub dense: Vec<usize>,
    /// Its features.
    pub bags: Vec<usize>,
    /// Features of crosses that it is part of, which are columns of their own.
    pub crosses: Vec<usize>,
}

/// The columns of rows that `encoder` makes: dense ones, categorical ones, crosses.
pub fn columns(encoder: &Encoder) -> Vec<Column> {
    let (schema, layout) = (encoder.schema(), encoder.layout());
    let mut input = 0;
    let dense = schema.dense.iter().zip(encoder.dense()).map(|(column, scale)| {
        let first = input;
        input += scale.names(&column.name).len();
        Column { dense: (first..input).collect(), ..Column::new(&column.name, ColumnKind::Dense) }
    });
    let dense: Vec<Column> = dense.collect();
    let features = layout.features.iter().enumerate().map(|(feature, described)| {
        let kind = if described.crossed { ColumnKind::Cross } else { ColumnKind::Categorical };
        Column { bags: vec![feature], ..Column::new(&described.name, kind) }
    });
    let mut all: Vec<Column> = dense.into_iter().chain(features).collect();
    for (cross, feature) in schema.crosses.iter().zip(schema.categorical.len()..) {
        let parts = all.iter_mut().filter(|c| c.kind == ColumnKind::Categorical);
        parts.filter(|c| cross.columns.contains(&c.name)).for_each(|c| c.crosses.push(feature));
    }
    all
}

impl Column {
    fn new(name: &str, kind: ColumnKind) -> Self {
        Column { name: name.to_owned(), kind, dense: Vec::new(), bags: Vec::new(), crosses: Vec::new() }
    }

    /// Writes the column's values of the rows `donors` of `from` to the rows of `to`, one after another.
    /// Crosses move with their columns: what they would be of a new value and the row's others is not known
    /// from encoded rows.
    pub(super) fn take(&self, from: &Batch, donors: &[u32], to: &mut Batch) {
        let n = from.dense.len().checked_div(from.len()).unwrap_or(0);
        for &input in &self.dense {
            for (row, &donor) in donors.iter().enumerate() {
                to.dense[row * n + input] = from.dense[donor as usize * n + input];
            }
        }
        for &feature in self.bags.iter().chain(&self.crosses) {
            let (source, target) = (&from.bags[feature], &mut to.bags[feature]);
            target.clear();
            match source.arity() {
                // The common case, without a slice for every row.
                Arity::One if source.weights.is_none() => {
                    target.ids.extend(donors.iter().map(|&donor| source.ids[donor as usize]));
                    target.offsets.extend(1..=donors.len() as u32);
                }
                _ => donors.iter().for_each(|&donor| target.push_row_of(source, donor as usize)),
            }
        }
    }

    /// Undoes [`Column::take`].
    pub(super) fn give_back(&self, from: &Batch, to: &mut Batch) {
        let n = from.dense.len().checked_div(from.len()).unwrap_or(0);
        for &input in &self.dense {
            for row in 0..from.len() {
                to.dense[row * n + input] = from.dense[row * n + input];
            }
        }
        self.bags.iter().chain(&self.crosses).for_each(|&f| to.bags[f].clone_from(&from.bags[f]));
    }
}
