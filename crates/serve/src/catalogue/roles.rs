//! Which columns of events are the user's, and which may tell items apart: what a configuration says, and
//! else what their names say.
use dlrm_data::schema::Schema;
use dlrm_engine::RunConfig;
use dlrm_models::ModelConfig;

/// Words of names of columns that are a user's.
const USERS: [&str; 14] = [
    "user", "uid", "customer", "client", "visitor", "viewer", "reader", "listener", "player", "buyer",
    "member", "person", "session", "account",
];
/// Words of names of columns that tell items apart.
const ITEMS: [&str; 24] = [
    "item",
    "product",
    "sku",
    "asin",
    "article",
    "movie",
    "film",
    "book",
    "song",
    "track",
    "artist",
    "video",
    "game",
    "recipe",
    "listing",
    "offer",
    "ad",
    "post",
    "news",
    "page",
    "course",
    "hotel",
    "restaurant",
    "job",
];

/// What the columns of events are to a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// Columns that the model reads, but for the user's.
    pub others: Vec<String>,
    /// Those of them that may tell items apart.
    pub keys: Vec<String>,
    /// The column that tells users apart, if any does.
    pub user: Option<String>,
}

impl Roles {
    /// Of the events that a model was trained on. `key` tells items apart, where that is said; `said` are
    /// columns of the user.
    pub fn of(config: &RunConfig, schema: &Schema, key: Option<&str>, said: &[String]) -> Self {
        let single = |name: &&str| {
            let mut columns = schema.categorical.iter();
            columns.any(|c| c.source() == *name && c.name == *name && c.time.is_none() && c.multi.is_none())
        };
        let (user, item) = pair(config, schema);
        let of_user = |name: &str| {
            key != Some(name)
                && (said.iter().any(|said| said == name)
                    || user.as_deref() == Some(name)
                    || schema.group.as_deref() == Some(name)
                    || item.as_deref() != Some(name) && says(name, &USERS))
        };
        let inputs = schema.inputs();
        let others: Vec<&str> = inputs.iter().copied().filter(|name| !of_user(name)).collect();
        let named = || inputs.iter().copied().filter(single).find(|name| of_user(name)).map(str::to_owned);
        let told = user.clone().or_else(|| schema.group.clone());
        let user = told.filter(|user| inputs.contains(&user.as_str())).or_else(named);
        let keys = match key.map(str::to_owned).or_else(|| item.clone()) {
            Some(key) => vec![key],
            None => keys(&others, &others.iter().copied().filter(single).collect::<Vec<_>>()),
        };
        Roles { others: others.into_iter().map(str::to_owned).collect(), keys, user }
    }
}

/// Those that may tell items apart: those whose names say so, or else any of one value, or any at all.
fn keys(others: &[&str], single: &[&str]) -> Vec<String> {
    let named: Vec<&str> = single.iter().copied().filter(|name| says(name, &ITEMS)).collect();
    let chosen = [&named[..], single, others].into_iter().find(|some| !some.is_empty());
    chosen.unwrap_or_default().iter().map(|&name| name.to_owned()).collect()
}

/// The columns of users and items that the configuration names.
fn pair(config: &RunConfig, schema: &Schema) -> (Option<String>, Option<String>) {
    if let Some(negatives) = &config.data.negatives {
        return (Some(negatives.user.clone()), Some(negatives.item.clone()));
    }
    let (user, item) = match &config.model {
        ModelConfig::Mf(mf) => (&mf.user, &mf.item),
        ModelConfig::Ncf(ncf) => (&ncf.user, &ncf.item),
        _ => return (None, None),
    };
    // What is not named is the first column, and the second.
    let column = |place: usize| schema.categorical.get(place).map(|column| column.name.clone());
    (user.clone().or_else(|| column(0)), item.clone().or_else(|| column(1)))
}

/// Whether one of the words of a name (`user_id`, `userId`, `UserID`, `userid`) is among these.
fn says(name: &str, words: &[&str]) -> bool {
    let mut own = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || before.is_lowercase() && c.is_uppercase() {
            own.push(String::new());
        }
        if c.is_alphanumeric() {
            own.last_mut().expect("a word").extend(c.to_lowercase());
        }
        before = c;
    }
    let stem = |word: &str| word.strip_suffix("id").filter(|stem| !stem.is_empty()).map(str::to_owned);
    own.iter().any(|word| words.contains(&&**word) || stem(word).is_some_and(|stem| words.contains(&&*stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_say() {
        for name in ["user_id", "userId", "UserID", "userid", "user", "the.user.age", "UID", "customer_no"] {
            assert!(says(name, &USERS) && !says(name, &ITEMS), "{name}");
        }
        for name in ["item_id", "itemId", "movieid", "ad_id", "ad", "product-code"] {
            assert!(says(name, &ITEMS) && !says(name, &USERS), "{name}");
        }
        for name in ["abuser", "adult", "uses", "id", "C14", "tem", ""] {
            assert!(!says(name, &USERS) && !says(name, &ITEMS), "{name}");
        }
    }
}
