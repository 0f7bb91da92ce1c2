//! What the name of a column suggests.

/// What a column probably is, by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// A moment: `timestamp`, `created_at`.
    Time,
    /// A name of something, even if written in digits: `user_id`, `zip`, `C14`.
    Id,
    /// An amount: `price`, `education_num`, `I3`.
    Number,
    /// Nothing.
    None,
}

const TIME: [&str; 11] =
    ["time", "timestamp", "date", "datetime", "ts", "day", "hour", "created", "updated", "unixtime", "epoch"];
const ID: [&str; 41] = [
    "id",
    "ids",
    "code",
    "zip",
    "zipcode",
    "postcode",
    "postal",
    "uuid",
    "guid",
    "hash",
    "key",
    "sku",
    "ip",
    "type",
    "category",
    "cat",
    "class",
    "gender",
    "sex",
    "device",
    "model",
    "country",
    "city",
    "region",
    "state",
    "lang",
    "language",
    "domain",
    "site",
    "os",
    "browser",
    "user",
    "item",
    "movie",
    "product",
    "campaign",
    "advertiser",
    "publisher",
    "brand",
    "genre",
    "occupation",
];
const NUMBER: [&str; 36] = [
    "age",
    "price",
    "cost",
    "amount",
    "count",
    "cnt",
    "num",
    "number",
    "qty",
    "quantity",
    "total",
    "sum",
    "duration",
    "income",
    "salary",
    "gain",
    "loss",
    "weight",
    "height",
    "width",
    "length",
    "size",
    "score",
    "rate",
    "ratio",
    "avg",
    "mean",
    "hours",
    "distance",
    "balance",
    "budget",
    "views",
    "impressions",
    "ctr",
    "revenue",
    "seconds",
];

/// Lower-case words of a name: parts between other signs than letters and digits, and within camelCase.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Letters and digits of a name that is letters and then digits: `C14`.
fn numbered(name: &str) -> Option<(&str, &str)> {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (letters.len() < name.len()).then(|| name.split_at(letters.len()))
}

/// The hints of all columns. Names that only number the columns (`c1`, `c2`, … of a file without header) say
/// nothing.
pub(super) fn hints(names: &[String]) -> Vec<Hint> {
    let prefix = |name: &String| numbered(name).map(|(letters, _)| letters.to_owned());
    let first = names.first().and_then(prefix);
    let generic = names.len() > 1 && first.is_some() && names.iter().all(|name| prefix(name) == first);
    names.iter().map(|name| if generic { Hint::None } else { hint(name) }).collect()
}

fn hint(name: &str) -> Hint {
    let lower = name.to_lowercase();
    match numbered(&lower) {
        Some(("c" | "cat" | "cat_" | "category_" | "categorical_", _)) => return Hint::Id,
        Some(("i" | "int" | "int_" | "num" | "num_" | "n" | "dense" | "dense_" | "float" | "float_", _)) => {
            return Hint::Number;
        }
        _ => {}
    }
    let words = words(name);
    let Some(last) = words.last().map(String::as_str) else { return Hint::None };
    let joined = last.strip_suffix("id").is_some_and(|what| ID.contains(&what));
    if ID.contains(&last) || joined {
        Hint::Id
    } else if NUMBER.contains(&last) || words.iter().any(|w| w == "num" || w == "count") {
        Hint::Number
    } else if words.iter().any(|w| TIME.contains(&w.as_str())) {
        Hint::Time
    } else {
        Hint::None
    }
}

/// Names of labels, the most telling first.
const LABELS: [&str; 29] = [
    "label",
    "click",
    "clicked",
    "isclick",
    "isclicked",
    "clk",
    "target",
    "y",
    "conversion",
    "converted",
    "isconversion",
    "isattributed",
    "installed",
    "isinstalled",
    "purchased",
    "purchase",
    "bought",
    "buy",
    "liked",
    "like",
    "response",
    "outcome",
    "income",
    "survived",
    "churn",
    "rating",
    "stars",
    "score",
    "class",
];

/// How well a name suits a label: smaller is better.
pub(super) fn label_rank(name: &str) -> Option<usize> {
    let words = words(name);
    let whole = words.concat();
    let exact = LABELS.iter().position(|label| *label == whole);
    // "ad_click" and the like, after all exact names; short names only as a whole.
    let ending = || {
        let last = words.last()?;
        LABELS
            .iter()
            .take_while(|label| **label != "response")
            .position(|label| label.len() > 2 && label == last)
            .map(|rank| rank + LABELS.len())
    };
    exact.or_else(ending)
}

/// Whether a label of this name may be a number to predict as it is.
pub(super) fn may_be_rating(name: &str) -> bool {
    matches!(words(name).concat().as_str(), "rating" | "stars" | "score" | "label" | "target" | "y")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_by_name() {
        let names = [
            "user_id",
            "userId",
            "userid",
            "movieId",
            "ZIP",
            "C14",
            "I3",
            "education_num",
            "price",
            "age",
            "timestamp",
            "created_at",
            "x",
            "",
            "β",
        ];
        let names: Vec<String> = names.map(str::to_owned).into();
        use Hint::{Id, None, Number, Time};
        assert_eq!(
            hints(&names),
            [Id, Id, Id, Id, Id, Id, Number, Number, Number, Number, Time, Time, None, None, None]
        );
        let generic: Vec<String> = (1..4).map(|i| format!("c{i}")).collect();
        assert_eq!(hints(&generic), [None; 3]);
    }

    #[test]
    fn labels_by_name() {
        assert!(label_rank("click") < label_rank("rating"));
        assert!(
            label_rank("is_click").is_some()
                && label_rank("isClick").is_some()
                && label_rank("ad_click").is_some()
        );
        assert_eq!(label_rank("clicks"), Option::None);
        assert_eq!(label_rank("device_type"), Option::None);
    }
}
