//! JSON files that carry a checksum of themselves, so that a changed byte is an error and never another
//! number.
//!
//! ```text
//! {
//!   …,
//!   "checksum": "xxh3 (128 bits, hexadecimal) of all bytes before this field"
//! }
//! ```
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// Name of the last field of a sealed file.
pub const CHECKSUM: &str = "checksum";

/// What the seal of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The file is as it was written.
    Whole,
    /// It is not.
    Broken,
    /// It has none.
    Absent,
}

/// A value in a file of its own.
#[derive(Serialize, Deserialize)]
struct Alone<T> {
    value: T,
}

/// The text of a JSON object with a checksum as its last field.
pub fn seal(json: &str) -> String {
    let body = json.trim_end().strip_suffix('}').unwrap_or(json).trim_end();
    with_checksum(body)
}

/// Whether `text`, which [`seal`] may have made, is as it was.
pub fn check(text: &[u8]) -> Seal {
    let field = format!(",\n  \"{CHECKSUM}\": \"");
    let Some(at) = memchr::memmem::rfind(text, field.as_bytes()) else { return Seal::Absent };
    let whole = std::str::from_utf8(&text[..at]).is_ok_and(|body| with_checksum(body).as_bytes() == text);
    if whole { Seal::Whole } else { Seal::Broken }
}

fn with_checksum(body: &str) -> String {
    format!("{body},\n  \"{CHECKSUM}\": \"{:032x}\"\n}}\n", xxh3_128(body.as_bytes()))
}

/// The contents of a file that holds `value` alone, sealed.
pub(crate) fn alone(value: &impl Serialize) -> String {
    seal(&serde_json::to_string(&Alone { value }).expect("plain data"))
}

/// The value of a file whose contents [`alone`] has made.
///
/// # Errors
/// If they were changed, or are something else.
pub(crate) fn read_alone<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T> {
    if check(text) != Seal::Whole {
        return Err(broken(path));
    }
    let alone: Alone<T> = serde_json::from_slice(text)
        .map_err(|e| Error::input(path.display().to_string(), "valid contents", e.to_string()))?;
    Ok(alone.value)
}

/// The error of a file whose seal is broken.
pub(crate) fn broken(path: &Path) -> Error {
    let error = Error::input(path.display().to_string(), "the bytes of its checksum", "others");
    error.with_hint("the file is torn or was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        for json in ["{\"a\": 1.5, \"b\": [\"x\"]}", "{\n  \"a\": 1.5\n}\n"] {
            let sealed = seal(json);
            assert_eq!(check(sealed.as_bytes()), Seal::Whole, "{sealed}");
            assert!(serde_json::from_str::<serde_json::Value>(&sealed).is_ok(), "{sealed}");
            for at in 0..sealed.len() {
                for bit in 0..8 {
                    let mut bytes = sealed.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    // Where the name of the field was changed, there is none.
                    assert_ne!(check(&bytes), Seal::Whole, "{at} {bit}");
                }
                assert_ne!(check(&sealed.as_bytes()[..at]), Seal::Whole);
            }
            assert_eq!(check(json.as_bytes()), Seal::Absent);
        }
        let path = Path::new("x.json");
        let text = alone(&vec![1, 2, 3]);
        assert_eq!(read_alone::<Vec<u32>>(path, text.as_bytes()).expect("whole"), [1, 2, 3]);
        let error = read_alone::<Vec<u32>>(path, text.replace('2', "4").as_bytes()).expect_err("changed");
        assert!(error.to_string().contains("x.json"), "{error}");
    }
}
