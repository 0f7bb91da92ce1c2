//! What may be amiss where a column is not found, or a number is none.
use crate::error::{Error, Hint, nearest};
use crate::schema::Schema;

/// The error of `columns` without the column `name` of the schema.
pub(super) fn missing_column(schema: &Schema, name: &str, columns: &[String], input: &str) -> Error {
    let what = if name == schema.label.column { "the label column" } else { "a column" };
    let found = format!("columns {}", columns.join(", "));
    let error = Error::input(input, format!("{what} \"{name}\""), found);
    if let Some(near) = nearest(name, columns.iter().map(String::as_str)) {
        return error.with_hint(format!("did you mean \"{near}\"?"));
    }
    let check =
        "the columns must be those of the schema (`dlrm inspect` writes one): check delimiter and header";
    let hint = match columns {
        [only] if only.contains(name) => match only.chars().find(|c| matches!(c, ',' | ';' | '|' | '\t')) {
            Some('\t') => Hint::from("is the delimiter another? Try ").set("input.delimiter", "tab"),
            Some(c) => Hint::from("is the delimiter another? Try ").set("input.delimiter", c.to_string()),
            None => check.into(),
        },
        _ if name == schema.label.column => {
            Hint::from(check).say("; rows without labels can be scored, but neither measured nor trained on")
        }
        _ => check.into(),
    };
    error.with_hint(hint)
}

/// Whether `trimmed` is a number with a decimal comma, as 508,46 or 1.508,46.
pub fn has_decimal_comma(trimmed: &str) -> bool {
    let Some((whole, fraction)) = trimmed.rsplit_once(',') else { return false };
    let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split('.');
    let grouped = groups.next().is_some_and(digits) && groups.all(|group| group.len() == 3 && digits(group));
    grouped && digits(fraction)
}
