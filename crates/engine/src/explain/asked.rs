//! The rows of an input that are explained, and those that stand behind them.
use super::sample::RowSample;
use crate::error::Result;
use crate::input_scorer::InputScorer;
use dlrm_data::schema::Schema;
use dlrm_data::{Batch, Encoder};

/// Rows read at a time.
const CHUNK: usize = 16_384;

/// What was read of an input.
pub struct AskedRows {
    /// The rows that are measured on, or stand in the background.
    pub sample: Batch,
    /// The rows to explain, their numbers (the first is 1) and the text of each column.
    pub rows: Batch,
    /// Number of each.
    pub numbers: Vec<u64>,
    /// Text of each column of each.
    pub texts: Vec<Vec<String>>,
    /// Rows of the input.
    pub all: u64,
}

impl AskedRows {
    /// Reads all rows: a sample of at most `most`, and those whose numbers are `asked` for. `go_on` is asked
    /// between pieces.
    ///
    /// # Errors
    /// If reading fails, or `go_on` refuses.
    pub fn read(
        encoder: &Encoder,
        scorer: &mut InputScorer<'_>,
        (most, seed): (usize, u64),
        asked: &dyn Fn(u64) -> bool,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let (schema, layout) = (encoder.schema(), encoder.layout());
        let mut sample = RowSample::new(&layout, most, seed);
        let (mut rows, mut numbers, mut texts) = (Batch::new(&layout), Vec::new(), Vec::new());
        let fields = fields(schema, scorer.columns());
        let mut number = 0;
        while !scorer.is_done() {
            go_on()?;
            sample.show(scorer.encode(CHUNK)?);
            let (batch, skipped) = (scorer.batch(), scorer.skipped_before());
            for (row, before) in skipped[..batch.len()].iter().enumerate() {
                number += 1 + before;
                if asked(number) {
                    rows.push_row_of(batch, row);
                    numbers.push(number);
                    texts.push(fields.iter().map(|places| text_of(scorer, row, places)).collect());
                }
            }
            number += skipped.last().copied().unwrap_or(0);
        }
        let (sample, _) = sample.finish();
        Ok(AskedRows { sample, rows, numbers, texts, all: number })
    }
}

/// The fields of each column, in the order of [`super::columns`].
fn fields(schema: &Schema, names: &[String]) -> Vec<Vec<usize>> {
    let place = |name: &str| names.iter().position(|field| field == name);
    let dense = schema.dense.iter().map(|column| column.sources().collect());
    let categorical = schema.categorical.iter().map(|column| vec![column.name.as_str()]);
    let crosses = schema.crosses.iter().map(|cross| cross.columns.iter().map(String::as_str).collect());
    let all = dense.chain(categorical).chain(crosses);
    all.map(|names: Vec<&str>| names.into_iter().filter_map(place).collect()).collect()
}

/// What stands in these fields of a row.
fn text_of(scorer: &InputScorer<'_>, row: usize, fields: &[usize]) -> String {
    let texts: Vec<&str> = fields.iter().map(|&field| scorer.field(row, field)).collect();
    texts.join(" * ")
}
