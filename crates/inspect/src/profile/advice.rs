//! Suggestions and warnings in plain words.
use super::column::ColumnProfile;
use super::kind::Kind;
use super::leak::Leak;
use super::sentinels::Sentinel;
use super::suggested;
use dlrm_data::error::quoted;
use dlrm_data::format::{count, number, percent};
use dlrm_data::schema::Encoding;

/// What one could do with a column.
pub(super) fn suggestions(column: &ColumnProfile, stray: Option<&[&str]>) -> Vec<String> {
    let mut out = Vec::new();
    let unusual: Vec<String> = suggested::unusual_missing(column).map(quoted).collect();
    if !unusual.is_empty() && column.kind != Kind::Empty {
        out.push(format!("{} taken as missing", unusual.join(" and ")));
    }
    match column.kind {
        Kind::Dense => dense(column, &mut out),
        Kind::Categorical | Kind::MultiValued { .. } => categorical(column, stray, &mut out),
        Kind::Timestamp { .. } => timestamp(column, &mut out),
        Kind::Constant | Kind::Empty | Kind::Identifier | Kind::Text | Kind::Ignored | Kind::Weight => {}
    }
    out
}

fn timestamp(column: &ColumnProfile, out: &mut Vec<String>) {
    let order = "orders the rows for a split by time";
    let unknown = "moments with missing values: cannot order the rows";
    out.push(if column.missing == 0 { order } else { unknown }.to_owned());
    let parts = suggested::times(column);
    if !parts.is_empty() {
        out.push(format!(
            "{} as inputs",
            parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(" and ")
        ));
    }
}

fn dense(column: &ColumnProfile, out: &mut Vec<String>) {
    let dense = suggested::dense(column);
    let skew = column.numbers.map_or(0.0, |n| n.skewness);
    if skew.abs() > suggested::SKEWED {
        out.push(format!("skew {skew:.1}: taken in pieces, whose bins follow the quantiles"));
    }
    if dense.missing_indicator {
        out.push(format!("missing in {}: missing_indicator", percent(column.missing_share)));
    }
    if column.head_share > 0.99 {
        out.push(format!("{} of the values are the same", percent(column.head_share)));
    }
}

fn categorical(column: &ColumnProfile, stray: Option<&[&str]>, out: &mut Vec<String>) {
    if column.numbers.is_some_and(|n| n.integers) && column.distinct > 2 {
        out.push(format!("integer with {} distinct values: categorical", count(column.distinct)));
    }
    if let Some(texts) = stray {
        let listed: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        out.push(format!(
            "numbers but for {}: list it under `missing` and make the column dense",
            listed.join(", ")
        ));
    }
    let (distinct, singles) =
        column.tokens.map_or((column.distinct, column.singleton_share), |t| (t.distinct, t.singleton_share));
    if let (Kind::MultiValued { separator, weight_separator }, Some(tokens)) = (column.kind, column.tokens) {
        let weights =
            weight_separator.map_or(String::new(), |w| format!(", weights after {}", quoted(&w.to_string())));
        let (mean, separator) = (tokens.mean, quoted(&separator.to_string()));
        out.push(format!(
            "{mean:.1} values per row, split at {separator}{weights}; {} distinct",
            count(distinct)
        ));
    }
    match suggested::encoding(column) {
        Encoding::Hash { buckets, .. } => out.push(format!(
            "hash into {} buckets: about {} distinct values",
            count(buckets.into()),
            count(distinct)
        )),
        Encoding::Vocabulary { min_count, .. } if min_count > 1 => {
            out.push(format!(
                "hash or min_count = {min_count}: {} of the values occur once",
                percent(singles)
            ));
        }
        _ => {}
    }
    if column.missing_share > 0.5 {
        out.push(format!("missing in {}", percent(column.missing_share)));
    }
    if column.head_share > 0.99 && column.distinct > 1 {
        out.push(format!("{} of the rows hold the same value", percent(column.head_share)));
    }
}

/// How warnings of sentinels go on after the number.
const SENTINEL: &str = "may stand for a missing value: ";

/// A number that probably stands for a missing value.
pub(super) fn sentinel(sentinel: &Sentinel, rows: u64) -> String {
    let Sentinel { value, rows: own, others: [least, most] } = *sentinel;
    format!(
        "{value} {SENTINEL}it is in {} rows ({}), all other numbers lie between {} and {}; if it does, \
            list it under `sentinels` of the column in the schema (and set missing_indicator)",
        count(own),
        percent(own as f64 / rows.max(1) as f64),
        number(least),
        number(most)
    )
}

/// Whether a warning is of a sentinel.
pub(crate) fn is_of_sentinel(warning: &str) -> bool {
    warning.contains(SENTINEL)
}

/// How warnings of leaks begin.
pub(crate) const LEAK: &str = "looks like a leak: ";

/// How a column gives the label away; `tested` says what of it was tested.
pub(super) fn leak(leak: &Leak, label: &str, tested: &str) -> String {
    match leak {
        Leak::EqualsLabel => format!("{LEAK}equal to the label \"{label}\" in every row"),
        Leak::Missing { auc } => format!("{LEAK}whether it is missing gives {tested} away (AUC {auc:.4})"),
        Leak::Values { auc } => format!("{LEAK}alone it predicts {tested} with an AUC of {auc:.4}"),
    }
}
