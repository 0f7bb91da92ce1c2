//! What a model's scores rest on, measured by asking it about rows whose values were exchanged. Nothing here
//! knows a model: columns of encoded rows go in, logits come out of the one forward pass.
//!
//! * `columns`: which encoded inputs a column stands for.
//! * `importance`: what the loss rises by when a column is shuffled.
//! * `shapley`: how the columns of one row move its logit from that of a typical row.
//! * `asked`: the rows of an input that are explained, and those behind them.
//! * `sample`: a bounded number of the rows of a stream.
mod asked;
pub mod columns;
pub mod importance;
mod of_run;
pub mod sample;
pub mod shapley;

pub use asked::AskedRows;
pub use columns::{Column, ColumnKind, columns};
pub use importance::{ColumnImportance, Importance, Shuffles, importance};
pub(crate) use of_run::of_run;
pub use sample::RowSample;
pub use shapley::{Explained, Explainer, Orders, orders};
