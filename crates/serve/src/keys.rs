//! Keys of those who may ask.
use std::fmt;

/// Keys; whoever has one may ask, and everybody if there are none.
#[derive(Clone, Default)]
pub struct Keys(Vec<Vec<u8>>);

impl fmt::Debug for Keys {
    /// How many there are: what they are belongs into no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    /// One key in each line; blank lines and lines that begin with # are none.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Keys(lines.map(|line| line.as_bytes().to_vec()).collect())
    }

    /// Whether none is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this may ask. All keys are compared, each to its end, so that the time tells nothing of them.
    pub(crate) fn admits(&self, key: Option<&[u8]>) -> bool {
        let Some(key) = key else { return self.0.is_empty() };
        let found = self.0.iter().fold(false, |found, known| found | same(known, key));
        found | self.0.is_empty()
    }
}

/// The key in the value of an `Authorization` header, whose scheme may be written in any case.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

/// Whether two texts are the same, in a time that depends on the length of `given` alone.
fn same(known: &[u8], given: &[u8]) -> bool {
    let differs = given
        .iter()
        .enumerate()
        .fold(0u8, |differs, (at, byte)| differs | (byte ^ known.get(at % known.len().max(1)).unwrap_or(&0)));
    std::hint::black_box(differs) == 0 && known.len() == given.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask() {
        let keys = Keys::parse("# mine\nsecret\n\n other \n");
        for (key, may) in
            [("secret", true), ("other", true), ("secre", false), ("secretsecret", false), ("", false)]
        {
            assert_eq!(keys.admits(Some(key.as_bytes())), may, "{key}");
        }
        assert!(!keys.admits(None) && format!("{keys:?}") == "2 keys");
        assert!(Keys::default().admits(None) && Keys::default().admits(Some(b"x")));
    }
}
