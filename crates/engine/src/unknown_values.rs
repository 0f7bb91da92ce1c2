//! Whether the values of scored rows are those that a model knows: ids that are written in another way
//! (34.0 for 34, with blanks, in capitals) are all unseen, and scores then come from the other columns
//! alone.
use crate::predictor::Predictor;
use dlrm_data::Encoder;
use dlrm_data::counts::EncodedCounts;
use dlrm_data::error::quoted;
use dlrm_data::format::percent;

/// Values below which nothing is said.
const FEWEST: u64 = 20;
/// A share of unseen values that is worth a word, where twice the share that was usual is less; and where
/// none is known to be usual.
const MUCH: f64 = 0.1;
const MUCH_OF_UNKNOWN: f64 = 0.5;
/// Known values that are shown.
const SHOWN: u32 = 3;

impl Predictor {
    /// A sentence about each column with many more values that the model does not know than when it was
    /// trained; `counts` are of the rows that were scored.
    pub fn unknown_values(&self, counts: &[EncodedCounts]) -> Vec<String> {
        let columns = self.encoder().schema().categorical.iter().zip(counts).enumerate();
        columns
            .filter_map(|(c, (column, counts))| {
                let (share, usual) = (counts.unseen_rate()?, self.trained().unseen(&column.name));
                is_much(share, usual, counts.values).then(|| {
                    let usual = usual.map_or_else(String::new, |usual| {
                        format!(" ({} of the rows that it was measured on)", percent(usual))
                    });
                    format!(
                        "column \"{}\": {} of the values are unknown to the model{usual}, which knows {}: \
                         are they written in the same way, with the same blanks and capitals?",
                        column.name,
                        percent(share),
                        examples(self.encoder(), c)
                    )
                })
            })
            .collect()
    }
}

fn is_much(share: f64, usual: Option<f64>, values: u64) -> bool {
    let least = usual.map_or(MUCH_OF_UNKNOWN, |usual| MUCH.max(2.0 * usual));
    values >= FEWEST && share > least
}

/// The first values that a column's table knows.
fn examples(encoder: &Encoder, column: usize) -> String {
    let table = encoder.layout().features[column].table;
    let known = (Encoder::UNSEEN + 1..).take(SHOWN as usize).map_while(|id| encoder.decode(table, id));
    let known: Vec<String> = known.map(|text| quoted(&text)).collect();
    if known.is_empty() { "none".to_owned() } else { format!("{}, …", known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_usual_is_not_worth_a_word() {
        assert!(is_much(0.9, Some(0.02), 1000) && is_much(0.11, Some(0.02), 1000) && is_much(1.0, None, 20));
        assert!(!is_much(0.09, Some(0.0), 1000), "few");
        assert!(!is_much(0.4, Some(0.3), 1000), "new users every day");
        assert!(!is_much(1.0, Some(0.0), 5), "few rows");
        assert!(!is_much(0.4, None, 1000));
    }
}
