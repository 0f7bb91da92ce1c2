//! Protocol Buffers for files of other programs: numbers, texts, bytes and messages in messages
//! (<https://protobuf.dev/programming-guides/encoding>). Large bytes are borrowed until they are written,
//! where generated types would hold each a second time.
use std::borrow::Cow;
use std::io::{self, Write};

/// Numbers of wire types.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// A message that is being made.
#[derive(Debug, Default, Clone)]
pub struct Message<'a> {
    pieces: Vec<Cow<'a, [u8]>>,
    len: usize,
}

impl<'a> Message<'a> {
    /// An empty one.
    pub fn new() -> Self {
        Message::default()
    }

    /// Bytes of the whole message.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no field.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An integer; a negative one is its two's complement in 64 bits.
    #[must_use]
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(value as u64);
        self
    }

    /// Each of these integers.
    #[must_use]
    pub fn ints(self, field: u64, values: &[i64]) -> Self {
        values.iter().fold(self, |message, &value| message.int(field, value))
    }

    /// A number in 64 bits.
    #[must_use]
    pub fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | FIXED_64);
        self.push(&value.to_le_bytes());
        self
    }

    /// A number in 32 bits.
    #[must_use]
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | FIXED_32);
        self.push(&value.to_le_bytes());
        self
    }

    /// A text.
    #[must_use]
    pub fn text(mut self, field: u64, text: &str) -> Self {
        self.head(field, text.len());
        self.push(text.as_bytes());
        self
    }

    /// Each of these texts.
    #[must_use]
    pub fn texts<T: AsRef<str>>(self, field: u64, texts: &[T]) -> Self {
        texts.iter().fold(self, |message, text| message.text(field, text.as_ref()))
    }

    /// Bytes, which are not copied where they are borrowed.
    #[must_use]
    pub fn bytes(mut self, field: u64, bytes: Cow<'a, [u8]>) -> Self {
        self.head(field, bytes.len());
        self.len += bytes.len();
        self.pieces.push(bytes);
        self
    }

    /// A message within this one.
    #[must_use]
    pub fn message(mut self, field: u64, inner: Message<'a>) -> Self {
        self.head(field, inner.len);
        self.len += inner.len;
        self.pieces.extend(inner.pieces);
        self
    }

    /// Each of these messages.
    #[must_use]
    pub fn messages(self, field: u64, inner: impl IntoIterator<Item = Message<'a>>) -> Self {
        inner.into_iter().fold(self, |message, inner| message.message(field, inner))
    }

    /// Writes it.
    ///
    /// # Errors
    /// If that fails.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| out.write_all(piece))
    }

    fn head(&mut self, field: u64, len: usize) {
        self.varint(field << 3 | BYTES);
        self.varint(len as u64);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.push(&[value as u8]);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        match self.pieces.last_mut() {
            Some(Cow::Owned(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Cow::Owned(bytes.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &Message<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.write(&mut out).expect("memory");
        assert_eq!(out.len(), message.len());
        out
    }

    /// The examples of the specification, and what it says of negative numbers.
    #[test]
    fn fields_are_written_as_specified() {
        assert_eq!(written(&Message::new().int(1, 150)), [0x08, 0x96, 0x01]);
        let testing = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(written(&Message::new().text(2, "testing")), testing);
        let inner = Message::new().int(1, 150);
        assert_eq!(written(&Message::new().message(3, inner)), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(written(&Message::new().int(1, -2)), minus_two);
        assert_eq!(written(&Message::new().float(2, 1.0)), [0x15, 0, 0, 0x80, 0x3f]);
        let one = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
        assert_eq!(written(&Message::new().double(1, 1.0)), one);
        let large = vec![7; 300];
        let bytes = written(&Message::new().bytes(15, Cow::Borrowed(&large)).int(16, 1));
        assert_eq!((&bytes[..3], &bytes[303..]), (&[0x7a, 0xac, 0x02][..], &[0x80, 0x01, 0x01][..]));
    }
}
