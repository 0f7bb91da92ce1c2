//! Which of several models answers whom.
use dlrm_data::readers::append_json;
use serde_json::value::RawValue;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Shares of the requests by model. Who asks decides, so the same one is always answered by the same model.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Models with the share up to which each answers.
    upto: Vec<(String, f64)>,
    /// The column that tells who asks.
    by: String,
}

impl Split {
    /// Shares are made to add up to 1. `None` without a share above 0, or with one below.
    pub fn new(shares: Vec<(String, f64)>, by: String) -> Option<Self> {
        let total: f64 = shares.iter().map(|(_, share)| share).sum();
        if !(total > 0.0 && total.is_finite()) || shares.iter().any(|(_, share)| *share < 0.0) {
            return None;
        }
        let mut sum = 0.0;
        let upto = shares.into_iter().map(|(model, share)| {
            sum += share / total;
            (model, sum)
        });
        Some(Split { upto: upto.collect(), by })
    }

    /// The column that tells who asks.
    pub(crate) fn by(&self) -> &str {
        &self.by
    }

    /// The model for who asks so.
    pub(crate) fn choose(&self, object: Option<&RawValue>) -> Option<&str> {
        let fields: HashMap<String, &RawValue> = serde_json::from_str(object?.get()).ok()?;
        let mut text = String::new();
        append_json(fields.get(&self.by)?.get(), None, &mut text).ok()?;
        Some(self.of(&text))
    }

    fn of(&self, text: &str) -> &str {
        let at = xxh3_64(text.as_bytes()) as f64 / u64::MAX as f64;
        let found = self.upto.iter().find(|(_, upto)| at < *upto);
        found.or(self.upto.last()).map_or("", |(model, _)| model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_that_were_asked_for_and_stick() {
        let split = Split::new(vec![("a".into(), 9.0), ("b".into(), 1.0)], "user".into()).unwrap();
        let of = |user: u32| split.of(&user.to_string()).to_owned();
        let b = (0..10_000).filter(|&user| of(user) == "b").count();
        assert!((850..1150).contains(&b), "{b}");
        assert!((0..100).all(|user| of(user) == of(user)));
        let object = RawValue::from_string("{\"user\": 7, \"x\": [1]}".into()).unwrap();
        assert_eq!(split.choose(Some(&object)), Some(of(7).as_str()));
        assert_eq!(split.choose(None), None);
        assert!(Split::new(vec![("a".into(), -1.0)], "x".into()).is_none());
    }
}
