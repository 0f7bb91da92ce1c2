//! Texts, one behind another in one piece of memory: what is left of a large vocabulary's texts is the texts.
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A sequence of texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringArena {
    bytes: String,
    ends: Vec<usize>,
}

impl StringArena {
    /// Text number `place`.
    ///
    /// # Panics
    /// If there is none.
    pub fn text(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..self.ends[place]]
    }

    /// Text number `place`, or `None` if there are not so many.
    pub fn get(&self, place: usize) -> Option<&str> {
        (place < self.len()).then(|| self.text(place))
    }

    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|place| self.text(place))
    }

    /// Bytes of all texts.
    pub fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory in use: what is kept for more texts has not been touched.
    pub fn used_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    /// Bytes of memory taken.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

impl<T: AsRef<str>> FromIterator<T> for StringArena {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut all = StringArena::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}

impl fmt::Debug for StringArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for StringArena {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for StringArena {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = StringArena;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<StringArena, A::Error> {
                let mut texts = StringArena::default();
                while let Some(text) = list.next_element::<Text<'de>>()? {
                    texts.push(&text.0);
                }
                Ok(texts)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One text, borrowed where it stands as it is.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_was_pushed() {
        let texts: StringArena = ["a", "", "ßx", "\"\n"].into_iter().collect();
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "", "ßx", "\"\n"]);
        assert_eq!((texts.get(1), texts.get(4)), (Some(""), None));
        let json = serde_json::to_string(&texts).expect("json");
        assert_eq!(json, r#"["a","","ßx","\"\n"]"#);
        assert_eq!(serde_json::from_str::<StringArena>(&json).expect("texts"), texts);
        assert_eq!(serde_json::from_reader::<_, StringArena>(json.as_bytes()).expect("texts"), texts);
    }
}
