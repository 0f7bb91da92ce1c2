//! Values that are hexadecimal integers, as Criteo's hashed ones are, brought into a range as the reference
//! implementation does.
use crate::schema::Encoding;

/// Digits of the text of an integer.
pub(crate) const DIGITS: usize = 8;

/// How the values of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Integers are taken modulo this; without it they have at most [`DIGITS`] digits.
    range: Option<u32>,
    /// Whether a missing value is the integer 0.
    pub missing_is_zero: bool,
}

impl Reading {
    /// How `encoding` reads values, if as integers.
    pub(crate) fn of(encoding: &Encoding) -> Option<Self> {
        match *encoding {
            Encoding::Vocabulary { max_ind_range: Some(range), .. } => {
                Some(Reading { range: Some(range), missing_is_zero: false })
            }
            Encoding::FirstSeen { max_ind_range } => {
                Some(Reading { range: max_ind_range, missing_is_zero: true })
            }
            _ => None,
        }
    }

    /// What a field should hold.
    pub(crate) fn expects(self) -> &'static str {
        if self.range.is_some() {
            "a hexadecimal integer"
        } else {
            "a hexadecimal integer of at most 8 digits"
        }
    }

    /// The integer that `text` stands for.
    pub(crate) fn integer(self, text: &str) -> Option<u32> {
        let most = if self.range.is_some() { 2 * DIGITS } else { DIGITS };
        // Parsing alone would also take a sign.
        let digits = text.len() <= most && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let integer = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
        Some(self.range.map_or(integer, |range| integer % u64::from(range)) as u32)
    }

    /// Appends the text of `integer`: what Criteo writes, so that values within the range stay as they are.
    pub(crate) fn push(self, integer: u32, out: &mut String) {
        let digit = |shift: u32| char::from(b"0123456789abcdef"[(integer >> shift) as usize & 15]);
        out.extend((0..DIGITS as u32).rev().map(|place| digit(4 * place)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_python_reads_them_and_written_as_criteo_does() {
        let free = Reading::of(&Encoding::FirstSeen { max_ind_range: None }).unwrap();
        let limited = Reading::of(&Encoding::Vocabulary { min_count: 1, max_ind_range: Some(1000) }).unwrap();
        assert_eq!(Reading::of(&Encoding::default()), None);
        for (text, all, some) in [
            ("0", Some(0), Some(0)),
            ("05db9164", Some(0x05db_9164), Some(0x05db_9164 % 1000)),
            ("FFFFffff", Some(u32::MAX), Some(u32::MAX % 1000)),
            ("ffffffffffffffff", None, Some((u64::MAX % 1000) as u32)),
            ("10000000000000000", None, None),
            ("", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("g", None, None),
            (" 1", None, None),
        ] {
            assert_eq!((free.integer(text), limited.integer(text)), (all, some), "{text:?}");
        }
        let mut out = String::new();
        [0, 0x05db_9164, u32::MAX].into_iter().for_each(|integer| free.push(integer, &mut out));
        assert_eq!(out, "0000000005db9164ffffffff");
    }
}
