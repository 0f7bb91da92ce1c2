//! A data-generating process that simulated clicks follow: what every generator of click logs offers.
use dlrm_data::row::RawRow;
use dlrm_data::schema::Schema;

/// What the texts of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Integers.
    Integer,
    /// Numbers with a fraction.
    Number,
    /// Anything.
    Text,
}

/// A click log whose true probabilities are known. Row r depends on the data-generating process and r alone.
pub trait DataGeneratingProcess: Sync {
    /// Names of the fields, the label first.
    fn columns(&self) -> Vec<String>;

    /// What stands in field `column`.
    fn kind(&self, column: usize) -> FieldKind;

    /// What the columns mean.
    fn schema(&self) -> Schema;

    /// Number of rows of the whole log.
    fn rows(&self) -> u64;

    /// Day of row `r`, from 0, never falling with r.
    fn day(&self, r: u64) -> u64;

    /// Appends the fields of row `r` to `out`; the probability that its label was drawn with, which is the
    /// best possible prediction for it.
    fn row(&self, r: u64, out: &mut RawRow) -> f64;
}
