//! The embedding tables that encoding the training rows will give, and the rows' size in memory.
use super::values::Values;
use crate::profile::{ColumnProfile, Kind};
use dlrm_data::batch::{Feature, Layout, TableLayout};
use dlrm_data::dense::{DEFAULT_BINS, missing_name};
use dlrm_data::schema::{CategoricalColumn, Encoding, Schema, Transform};
use serde::{Deserialize, Serialize};

/// A categorical column with the table it will have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnForecast {
    /// Column.
    pub column: String,
    /// Its encoding in the schema.
    pub encoding: Encoding,
    /// Another encoding that would do.
    pub alternative: Option<Encoding>,
    /// Rows of its table.
    pub table_rows: u64,
    /// Distinct values of the training rows.
    pub distinct: u64,
    /// Relative standard error of `table_rows`, where not all values were looked at; 0 where they were
    /// counted.
    pub error: f64,
    /// Relative standard error of `distinct`, likewise.
    pub distinct_error: f64,
    /// Shares of the training values that are the one, the ten, the hundred most frequent.
    pub top: [f64; 3],
    /// Share of the distinct values that occur once.
    pub singletons: f64,
    /// Share of all values that occur once.
    pub singleton_rows: f64,
    /// Values per row, a missing field counting as one.
    pub ids_per_row: f64,
}

/// What the counts of a column say about its table.
pub(super) fn forecast(
    column: &CategoricalColumn,
    values: &Values,
    profile: Option<&ColumnProfile>,
) -> ColumnForecast {
    let spread = values.spread();
    let (table_rows, error) = match column.encoding {
        Encoding::Vocabulary { min_count, .. } => {
            (values.frequent(min_count).round() as u64 + 2, values.error(min_count))
        }
        Encoding::FirstSeen { .. } => (values.frequent(1).round() as u64 + 1, values.error(1)),
        Encoding::Hash { buckets, .. } => (u64::from(buckets) + 1, 0.0),
        Encoding::Identity { bound } => (u64::from(bound) + 1, 0.0),
    };
    ColumnForecast {
        column: column.name.clone(),
        encoding: column.encoding.clone(),
        alternative: profile
            .filter(|_| column.multi.is_none())
            .and_then(identity)
            .filter(|other| *other != column.encoding),
        table_rows,
        distinct: spread.distinct.round() as u64,
        error,
        distinct_error: values.error(1),
        top: spread.top,
        singletons: spread.singletons,
        singleton_rows: spread.singleton_rows,
        ids_per_row: values.ids_per_row(),
    }
}

/// Ids 0 or 1 to n with hardly a gap need no dictionary.
fn identity(profile: &ColumnProfile) -> Option<Encoding> {
    let numbers = profile.numbers.filter(|n| n.integers && (0.0..=1.0).contains(&n.min) && n.max < 1e8)?;
    let consecutive = profile.distinct > 200
        && profile.distinct as f64 > 0.9 * (numbers.max + 1.0)
        && profile.kind == Kind::Categorical;
    consecutive.then_some(Encoding::Identity { bound: numbers.max as u32 + 1 })
}

/// The shape of the encoded rows. Columns that share a table add their values up, as if none were in common.
pub(super) fn layout(schema: &Schema, forecasts: &[ColumnForecast]) -> Layout {
    let mut layout = Layout {
        sample_weights: schema.weight.is_some(),
        groups: schema.group.is_some(),
        ..Layout::default()
    };
    for column in &schema.dense {
        layout.dense.push(column.name.clone());
        if column.transform == Transform::PiecewiseLinear {
            // As many as there can be: the values decide.
            let bins = 1..=column.bins.unwrap_or(DEFAULT_BINS);
            layout.dense.extend(bins.map(|bin| format!("{} in bin {bin}", column.name)));
        }
        if column.missing_indicator {
            layout.dense.push(missing_name(&column.name));
        }
    }
    for (column, forecast) in schema.categorical.iter().zip(forecasts) {
        let (name, rows) = (column.table_name(), forecast.table_rows as usize);
        let table = match layout.tables.iter().position(|table| table.name == name) {
            Some(table) if matches!(column.encoding, Encoding::Vocabulary { .. }) => {
                layout.tables[table].rows += rows - 2;
                table
            }
            Some(table) => table,
            None => {
                layout.tables.push(TableLayout { name: name.to_owned(), rows });
                layout.tables.len() - 1
            }
        };
        layout.features.push(Feature {
            name: column.name.clone(),
            table,
            weighted: column.multi.as_ref().is_some_and(|multi| multi.weight_separator.is_some()),
            embedding_dim: column.embedding_dim,
            pooling: column.pooling,
            crossed: false,
        });
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_tables_add_up_and_indicators_are_inputs() {
        let text = "label = { column = \"y\" }\ndense = [{ name = \"x\", missing_indicator = true }]\n\
            categorical = [{ name = \"a\", table = \"t\" }, { name = \"b\", table = \"t\" }, { name = \"c\", \
            encoding = { kind = \"hash\", buckets = 8 } }]\n";
        let schema = Schema::from_toml(text, "x").unwrap();
        let forecast = |column: &str, table_rows| ColumnForecast {
            column: column.into(),
            encoding: Encoding::default(),
            alternative: None,
            table_rows,
            distinct: 0,
            error: 0.0,
            distinct_error: 0.0,
            top: [0.0; 3],
            singletons: 0.0,
            singleton_rows: 0.0,
            ids_per_row: 1.0,
        };
        let layout = layout(&schema, &[forecast("a", 12), forecast("b", 22), forecast("c", 9)]);
        let tables: Vec<_> = layout.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
        assert_eq!((tables, layout.dense.len()), (vec![("t", 32), ("c", 9)], 2));
        assert_eq!(layout.features.iter().map(|f| f.table).collect::<Vec<_>>(), [0, 0, 1]);
    }
}
