//! Columns that an inferred schema leaves out.
use super::column::ColumnProfile;
use super::counts::EXACT_DISTINCT;
use super::kind::Kind;
use dlrm_data::error::quoted;
use dlrm_data::format::count;

/// Why a column is left out of the inferred schema, if it is.
pub(crate) fn left_out(column: &ColumnProfile) -> Option<String> {
    match column.kind {
        Kind::Constant => Some(format!(
            "constant ({}): left out",
            quoted(column.examples.first().map_or("", String::as_str))
        )),
        Kind::Empty => Some("empty: left out".to_owned()),
        Kind::Identifier => Some(format!("identifier, {} distinct values: left out", about(column))),
        Kind::Text => Some("free text: left out".to_owned()),
        _ => None,
    }
}

/// The number of distinct values, which beyond a number of them is estimated.
pub(super) fn about(column: &ColumnProfile) -> String {
    let about = if column.distinct > EXACT_DISTINCT as u64 { "about " } else { "" };
    format!("{about}{}", count(column.distinct))
}
