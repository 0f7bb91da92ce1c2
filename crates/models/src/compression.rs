//! Smaller tables for a DLRM, where tables are large: quotient-remainder embeddings (Shi et al. 2019,
//! arXiv:1909.02107) and mixed dimensions (Ginart et al. 2019, arXiv:1909.11810).
//!
//! Tables up to a threshold stay as they are, and so does a table of whose features one has its own
//! `embedding_dim`.
use dlrm_data::batch::Layout;
use dlrm_nn::{Combine, Error, QuotientRemainder, Result};
use serde::{Deserialize, Serialize};

/// Each table of R rows becomes two, of ⌈R / c⌉ and of c rows; the vector of an id is made of its quotient's
/// row and of its remainder's, and vectors are pooled then. The reference's `--qr-flag`, `--qr-operation`,
/// `--qr-collisions` and
/// `--qr-threshold`. Deviations: the reference combines pooled vectors; with `mult` the remainder's rows
/// start at 1, so that products start as the quotient's rows (of two small factors, as in the reference, they
/// start near zero and learn slowly).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotientRemainderConfig {
    /// How rows are combined: mult, add, concat.
    #[serde(with = "CombineName")]
    pub operation: Combine,
    /// c, the number of ids that share a row of the quotient's table; at least 2.
    pub collisions: u32,
    /// Tables with more rows are compressed.
    pub threshold: usize,
}

/// The names of combinations in configurations.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Combine", rename_all = "snake_case")]
enum CombineName {
    #[serde(rename = "mult")]
    Multiply,
    Add,
    /// D - ⌊D / 2⌋ columns of the quotient, then ⌊D / 2⌋ of the remainder.
    Concat,
}

impl Default for QuotientRemainderConfig {
    fn default() -> Self {
        QuotientRemainderConfig { operation: Combine::Multiply, collisions: 4, threshold: 200 }
    }
}

impl QuotientRemainderConfig {
    fn compression(&self) -> Result<QuotientRemainder> {
        if self.collisions < 2 {
            return Err(Error::new(
                "model.quotient_remainder.collisions",
                "at least 2",
                self.collisions.to_string(),
            ));
        }
        Ok(QuotientRemainder { combine: self.operation, collisions: self.collisions })
    }
}

/// A table's width falls with its number of rows n as D · (n₀ / n)^temperature, where n₀ are the rows of the
/// smallest table, which keeps D; narrower vectors are projected to D. The reference's `--md-flag`,
/// `--md-temperature`, `--md-threshold` and
/// `--md-round-dims`. Deviation: a width is never above D (where D is no power of two, rounding could take it
/// there).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixedDimsConfig {
    /// 0 keeps every width; the larger, the narrower large tables are.
    pub temperature: f64,
    /// Tables with more rows are narrowed.
    pub threshold: usize,
    /// Whether widths become powers of two.
    pub round: bool,
}

impl Default for MixedDimsConfig {
    fn default() -> Self {
        MixedDimsConfig { temperature: 0.3, threshold: 200, round: true }
    }
}

impl MixedDimsConfig {
    /// Width of a table of `rows` rows where the smallest has `smallest`: `alpha_power_rule` and
    /// `pow_2_round` of the reference, whose rounding is to even too.
    fn width(&self, dim: usize, rows: usize, smallest: usize) -> usize {
        if rows <= self.threshold.max(smallest) {
            return dim;
        }
        let exact = dim as f64 * libm::pow(smallest.max(1) as f64 / rows as f64, self.temperature);
        let width = exact.max(1.0).round_ties_even();
        let width = if self.round { libm::exp2(libm::log2(width).round_ties_even()) } else { width };
        (width as usize).min(dim)
    }
}

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableForm {
    /// Width of its vectors.
    pub dim: usize,
    /// Whether as two tables.
    pub compression: Option<QuotientRemainder>,
}

impl TableForm {
    /// One table of this width.
    pub fn whole(dim: usize) -> Self {
        TableForm { dim, compression: None }
    }
}

/// The form of each table of `layout` where vectors of width `dim` are wanted.
///
/// # Errors
/// If both options are given or one cannot be.
pub(crate) fn forms(
    layout: &Layout,
    dim: usize,
    (quotient_remainder, mixed_dims): (Option<QuotientRemainderConfig>, Option<MixedDimsConfig>),
) -> Result<Vec<TableForm>> {
    let free =
        |table: usize| layout.features.iter().filter(|f| f.table == table).all(|f| f.embedding_dim.is_none());
    let rows = || layout.tables.iter().map(|t| t.rows);
    let choose = |form: &dyn Fn(usize) -> TableForm| {
        let of = |(table, rows)| if free(table) { form(rows) } else { TableForm::whole(dim) };
        rows().enumerate().map(of).collect()
    };
    match (quotient_remainder, mixed_dims) {
        (None, None) => Ok(vec![TableForm::whole(dim); layout.tables.len()]),
        (Some(config), None) => {
            let compression = config.compression()?;
            Ok(choose(&|rows| TableForm {
                dim,
                compression: (rows > config.threshold).then_some(compression),
            }))
        }
        (None, Some(config)) => {
            if !(config.temperature >= 0.0 && config.temperature.is_finite()) {
                let found = config.temperature.to_string();
                return Err(Error::new("model.mixed_dims.temperature", "a number of at least 0", found));
            }
            // Crosses have no vectors.
            let of_columns =
                |&(table, _): &(usize, usize)| layout.features.iter().any(|f| f.table == table && !f.crossed);
            let smallest = rows().enumerate().filter(of_columns).map(|(_, rows)| rows).min().unwrap_or(0);
            Ok(choose(&|rows| TableForm::whole(config.width(dim, rows, smallest))))
        }
        (Some(_), Some(_)) => Err(Error::new(
            "compression of the tables",
            "one of model.quotient_remainder, model.mixed_dims",
            "both",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_the_references() {
        // Rows of the first twelve tables of Criteo Kaggle; widths by md_solver of the reference.
        let rows = [1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593];
        let widths = |dim, temperature, threshold, round| {
            rows.map(|n| MixedDimsConfig { temperature, threshold, round }.width(dim, n, 3))
        };
        assert_eq!(widths(16, 0.3, 0, true), [4, 4, 1, 1, 4, 8, 1, 4, 16, 1, 2, 1]);
        assert_eq!(widths(16, 0.3, 0, false), [3, 3, 1, 1, 4, 9, 1, 3, 16, 1, 2, 1]);
        assert_eq!(widths(64, 0.2, 0, true), [16, 16, 4, 4, 32, 32, 16, 16, 64, 8, 16, 4]);
        assert_eq!(widths(10, 0.1, 0, false), [5, 6, 2, 3, 6, 8, 4, 6, 10, 4, 5, 2]);
        // Small tables keep D.
        assert_eq!(widths(16, 0.3, 600, true), [4, 16, 1, 1, 16, 16, 1, 4, 16, 1, 2, 1]);
        // The reference would go to 16 of 12 here.
        assert_eq!(MixedDimsConfig { temperature: 0.02, threshold: 0, round: true }.width(12, 24, 3), 12);
    }
}
