//! Rows of text that are drawn from a fitted encoder, each column by itself: of the kind of the training
//! rows, and those of nobody.
use crate::dataset::StoredRows;
use crate::encoder::Encoder;
use crate::rng::Rng;
use crate::schema::{CategoricalColumn, Encoding, Transform};

/// Values of a field that holds several.
const MOST_VALUES: usize = 3;
/// Counts, whose logarithms are taken.
const MOST_COUNT: usize = 100;

impl Encoder {
    /// So many rows with all columns that are encoded. Numbers are drawn about the mean, values from the
    /// vocabularies; texts that stand for neither, such as times, are left out and so missing.
    pub fn synthetic_rows(&self, rows: usize, seed: u64) -> StoredRows {
        let columns: Vec<String> = self.schema().inputs().into_iter().map(str::to_owned).collect();
        let mut rng = Rng::new(seed, 0);
        let mut row = || columns.iter().map(|column| self.synthetic_field(column, &mut rng)).collect();
        let rows = (0..rows).map(|_| row()).collect();
        StoredRows { columns, rows }
    }

    fn synthetic_field(&self, name: &str, rng: &mut Rng) -> String {
        let schema = self.schema();
        if let Some(index) =
            schema.dense.iter().position(|column| column.name == name && column.age.is_none())
        {
            return self.synthetic_number(index, rng);
        }
        let column =
            schema.categorical.iter().position(|column| column.name == name && column.time.is_none());
        column.map_or_else(String::new, |index| self.synthetic_values(index, rng))
    }

    fn synthetic_number(&self, index: usize, rng: &mut Rng) -> String {
        let scale = &self.dense()[index];
        if scale.transform == Transform::Log1p {
            return rng.below(MOST_COUNT).to_string();
        }
        let value = scale.mean + scale.deviation * rng.normal();
        let value = scale.clip.map_or(value, |[low, high]| value.clamp(low, high));
        format!("{value:.3}")
    }

    fn synthetic_values(&self, index: usize, rng: &mut Rng) -> String {
        let column = &self.schema().categorical[index];
        let table = self.layout().features[index].table;
        let rows = self.layout().tables[table].rows;
        let Some(multi) = &column.multi else { return self.synthetic_value(column, (table, rows), rng) };
        let mut value = || {
            let text = self.synthetic_value(column, (table, rows), rng);
            match &multi.weight_separator {
                Some(separator) => format!("{text}{separator}1"),
                None => text,
            }
        };
        let values: Vec<String> = (0..MOST_VALUES).map(|_| value()).collect();
        values.join(&multi.separator.to_string())
    }

    fn synthetic_value(
        &self,
        column: &CategoricalColumn,
        (table, rows): (usize, usize),
        rng: &mut Rng,
    ) -> String {
        if column.encoding.reads_integers() {
            return format!("{:x}", rng.below(rows));
        }
        match column.encoding {
            Encoding::Identity { .. } => rng.below(rows.saturating_sub(1).max(1)).to_string(),
            Encoding::Hash { .. } => format!("synthetic-{}", rng.below(rows)),
            // The first rows of a table stand for no value.
            _ if rows > 2 => self.decode(table, (2 + rng.below(rows - 2)) as u32).unwrap_or_default(),
            _ => String::new(),
        }
    }
}
