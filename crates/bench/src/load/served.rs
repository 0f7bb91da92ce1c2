//! What a server says of a model.
use super::address::Address;
use super::connection::{Connection, request};
use super::error::LoadError;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

/// A model behind a server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedModel {
    /// What requests call it.
    pub name: String,
    /// Its version when it was asked for.
    pub version: String,
    /// The raw columns that it reads.
    pub columns: Vec<ServedColumn>,
    /// Those of them that the server's catalogue of items has; none without a catalogue.
    pub item_columns: Vec<String>,
    /// A row that it can score.
    pub example: BTreeMap<String, String>,
}

/// A raw column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedColumn {
    /// Its name.
    pub name: String,
    /// What its values are, in the server's words: `categorical`, `numeric`, `multi_valued`, `moment`.
    pub kind: String,
}

impl ServedModel {
    /// Asks a server about the model `name`, or the first that it has.
    ///
    /// # Errors
    /// If nobody listens, somebody else does, or there is no such model.
    pub fn ask(address: &Address, key: Option<&str>, name: Option<&str>) -> Result<Self, LoadError> {
        let other = |found: String| LoadError::Other { address: address.to_string(), found };
        let (status, body) = get(address, key, "/v1/models").map_err(|source| {
            if matches!(source.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) {
                return other(source.to_string());
            }
            LoadError::Unreachable { address: address.to_string(), source }
        })?;
        match status {
            200 => {}
            401 => {
                let found = if key.is_some() { "one that it refuses" } else { "none" };
                return Err(LoadError::Key { address: address.to_string(), found });
            }
            _ => return Err(other(format!("status {status} at /v1/models"))),
        }
        let listed: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(listed) = listed["models"].as_array() else {
            return Err(other("something else than a list of models at /v1/models".into()));
        };
        let names: Vec<&str> = listed.iter().filter_map(|model| model["name"].as_str()).collect();
        let found = listed.iter().find(|model| name.is_none_or(|name| model["name"] == name));
        let unknown = |expected: String| LoadError::Unknown {
            what: address.to_string(),
            expected,
            found: name.map_or_else(|| "none".to_owned(), |name| format!("\"{name}\"")),
        };
        let found = found.ok_or_else(|| unknown(format!("one of its models, {}", names.join(", "))))?;
        if found["current"].is_null() {
            let failed = found["failed"].as_str().map_or_else(String::new, |why| format!(": {why}"));
            return Err(unknown(format!("a model that is loaded{failed}")));
        }
        ServedModel::read(found).ok_or_else(|| other("a model without columns at /v1/models".into()))
    }

    fn read(model: &Value) -> Option<Self> {
        let current = &model["current"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let column =
            |input: &Value| Some(ServedColumn { name: text(&input["name"])?, kind: text(&input["kind"])? });
        let columns: Vec<ServedColumn> =
            current["inputs"].as_array()?.iter().map(column).collect::<Option<_>>()?;
        let items = current["items"]["columns"].as_array().into_iter().flatten().filter_map(text);
        let item_columns = items.filter(|name| columns.iter().any(|column| column.name == *name)).collect();
        let example = current["example"].as_object()?.iter();
        let example = example.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
        let (name, version) = (text(&model["name"])?, text(&current["version"])?);
        Some(ServedModel { name, version, columns, item_columns, example })
    }
}

/// Status and body of what is at a path.
pub(super) fn get(address: &Address, key: Option<&str>, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut connection = Connection::open(address)?;
    let answer = connection.ask(&request(address, ("GET", path), key, b""))?;
    Ok((answer.status, answer.body.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_server_says() {
        let model = serde_json::json!({ "name": "m", "current": {
            "version": "0123", "inputs": [
                { "name": "user", "kind": "categorical" },
                { "name": "item", "kind": "categorical" },
                { "name": "tags", "kind": "multi_valued", "separator": "|" },
            ],
            "example": { "user": "u1", "item": "i2" },
            "items": { "columns": ["item", "title"], "key": "item", "count": 3 },
        } });
        let found = ServedModel::read(&model).unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("m", "0123"));
        assert_eq!(found.columns[2], ServedColumn { name: "tags".into(), kind: "multi_valued".into() });
        assert_eq!((found.item_columns, found.example.len()), (vec!["item".to_owned()], 2));
        assert_eq!(ServedModel::read(&serde_json::json!({ "name": "m", "current": {} })), None);
    }
}
