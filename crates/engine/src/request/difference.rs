//! In what two configurations differ.
use toml::{Table, Value};

/// A key whose values differ.
pub(super) struct Difference {
    /// The key, with those of the tables that it stands in.
    pub(super) key: String,
    /// Its value in the first configuration, as text.
    pub(super) old: String,
    /// That in the second.
    pub(super) new: String,
}

/// The first of the keys that count in which two configurations differ.
pub(super) fn difference(old: &Table, new: &Table, counts: &dyn Fn(&str) -> bool) -> Option<Difference> {
    let (key, [old, new]) = within("", old, new, counts)?;
    let text = |value: Option<Value>| value.map_or_else(|| "none".to_owned(), |value| shortened(&value));
    Some(Difference { key, old: text(old), new: text(new) })
}

fn within(
    path: &str,
    old: &Table,
    new: &Table,
    counts: &dyn Fn(&str) -> bool,
) -> Option<(String, [Option<Value>; 2])> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    // Of another kind, all else differs too; and what is a label is no input.
    keys.sort_by_key(|key| (*key != "kind", *key != "label"));
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).find_map(|key| {
        let own = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => within(&own, old, new, counts),
            _ if !counts(&own) => None,
            (old, new) => Some((own, [old.cloned(), new.cloned()])),
        }
    })
}

/// What fits into a message: the columns of a schema may be hundreds.
fn shortened(value: &Value) -> String {
    const MOST: usize = 200;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}
