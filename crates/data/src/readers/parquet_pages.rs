//! What the pages of a Parquet file may become: known from their headers, before any of them is unpacked.
//!
//! A page of a few megabytes can unpack to thousands of times as much, and the decoder unpacks a whole page
//! at once. So the headers (Thrift, compact protocol) are read first, and a page that would become too
//! large is an error.
use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Bytes that a page may become. Writers make pages of one megabyte.
pub(super) const LARGEST_PAGE: u64 = 256 << 20;
/// Bytes that the largest pages of all columns may become together, or so many times their bytes on disk if
/// that is more: each column holds one page at a time.
pub(super) const ALL_PAGES: u64 = 512 << 20;
pub(super) const MOST_EXPANDED: u64 = 64;
/// Values of a page of lists, a single row of which may hold them all.
const MOST_LISTED: u64 = 1 << 24;
/// Deflate makes one byte of at most so many (zlib's technical notes).
const MOST_INFLATED: u64 = 1032;
/// Structs within structs of a header.
const DEEPEST: u32 = 64;

/// Bytes of the largest page of a column chunk.
///
/// # Errors
/// What is wrong with a page.
pub(super) fn largest_page(file: impl Read + Seek, chunk: &ColumnChunkMetaData) -> Result<u64, String> {
    let (mut at, length) = chunk.byte_range();
    let end = at.saturating_add(length);
    let is_list = chunk.column_descr().max_rep_level() > 0;
    let (mut largest, mut input) = (0, BufReader::with_capacity(512, file));
    while at < end {
        let header = header_at(&mut input, at, end).map_err(|error| format!("a page header ({error})"))?;
        let unpacked = header.size(header.unpacked).max(header.size(header.packed));
        if unpacked > LARGEST_PAGE {
            return Err(format!(
                "a page that unpacks to {unpacked} bytes, of which at most {LARGEST_PAGE} are read"
            ));
        }
        if is_list && header.size(header.values) > MOST_LISTED {
            return Err(format!("a page of {} values of lists", header.values));
        }
        at = at.saturating_add(header.length);
        let packed = header.size(header.packed);
        if matches!(chunk.compression(), Compression::GZIP(_)) && packed * MOST_INFLATED > LARGEST_PAGE {
            // The decoder goes on to the end of the data, whatever the header has announced.
            check_inflated(&mut input, at, packed, unpacked)?;
        }
        largest = largest.max(unpacked);
        at = at.saturating_add(packed);
    }
    Ok(largest)
}

/// Refuses gzip data that becomes more than it should, in constant memory.
fn check_inflated(mut data: impl Read + Seek, at: u64, packed: u64, unpacked: u64) -> Result<(), String> {
    let found = data.seek(SeekFrom::Start(at)).and_then(|_| {
        let unpacking = MultiGzDecoder::new(BufReader::new(data.take(packed)));
        io::copy(&mut unpacking.take(unpacked + 1), &mut io::sink())
    });
    match found {
        Ok(found) if found > unpacked => Err("a page that unpacks to more than its header says".into()),
        // Damaged data is for the decoder to tell; it stops at the same byte.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What is read of a page header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Header {
    unpacked: i64,
    packed: i64,
    values: i64,
    /// Bytes of the header itself.
    length: u64,
}

impl Header {
    /// A size that a damaged header gives as negative is the decoder's to refuse.
    fn size(self, number: i64) -> u64 {
        u64::try_from(number).unwrap_or(0)
    }
}

fn header_at(input: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<Header> {
    input.seek(SeekFrom::Start(at))?;
    Thrift { input: input.by_ref().take(end - at), read: 0 }.page_header()
}

/// The compact protocol of Thrift, as far as a page header needs it.
struct Thrift<R> {
    input: R,
    read: u64,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl<R: Read> Thrift<R> {
    fn page_header(&mut self) -> io::Result<Header> {
        let (mut header, mut id) = (Header::default(), 0);
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                (2, 4..=6) => header.unpacked = self.integer()?,
                (3, 4..=6) => header.packed = self.integer()?,
                // Headers of data pages, of either version.
                (5 | 8, 12) => header.values = self.first_number()?,
                _ => self.skip(kind, 0)?,
            }
        }
        header.length = self.read;
        Ok(header)
    }

    /// The first field of a struct, an integer, and the rest of the struct skipped.
    fn first_number(&mut self) -> io::Result<i64> {
        let (mut number, mut id) = (0, 0);
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                (1, 4..=6) => number = self.integer()?,
                _ => self.skip(kind, 1)?,
            }
        }
        Ok(number)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(wrong("a number of more than 64 bits"))
    }

    fn integer(&mut self) -> io::Result<i64> {
        let zigzag = self.number()?;
        let number = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        // All numbers of a header have 32 bits: the decoder looks at no others.
        Ok(i64::from(number as i32))
    }

    /// Type of the next field, whose number `id` becomes; `None` at the end of the struct.
    fn field(&mut self, id: &mut i64) -> io::Result<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        *id = if head >> 4 == 0 { self.integer()? } else { id.wrapping_add(i64::from(head >> 4)) };
        Ok(Some(head & 0x0f))
    }

    fn bytes(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(length), &mut io::sink())?;
        self.read += skipped;
        if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(wrong("structs within structs"));
        }
        match kind {
            // In a struct, truth is in the type itself.
            1 | 2 => Ok(()),
            3 => self.bytes(1),
            4..=6 => self.number().map(|_| ()),
            7 => self.bytes(8),
            8 => {
                let length = self.number()?;
                self.bytes(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let length = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                (0..length).try_for_each(|_| self.skip_element(head & 0x0f, depth))
            }
            11 => {
                let length = self.number()?;
                let kinds = if length > 0 { self.byte()? } else { 0 };
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            12 => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(wrong("a type that there is not")),
        }
    }

    /// In a list, truth takes a byte.
    fn skip_element(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        if matches!(kind, 1 | 2) { self.bytes(1) } else { self.skip(kind, depth + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> io::Result<Header> {
        Thrift { input: bytes, read: 0 }.page_header()
    }

    #[test]
    fn headers_are_read_and_what_follows_is_not() {
        // type 0, unpacked 300, packed 20, data page of 7 values with encodings and a statistic, then the
        // page.
        let bytes = [
            0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x2c, 0x15, 0x0e, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06,
            0x1c, 0x18, 0x02, b'a', b'b', 0x00, 0x00, 0x00, 0xff, 0xff,
        ];
        let expected = Header { unpacked: 300, packed: 20, values: 7, length: 24 };
        assert_eq!(header(&bytes).expect("a header"), expected);
        for cut in 0..24 {
            assert!(header(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(header(&[0xff; 40]).is_err());
        assert!(header(&[0x1c; 4096]).is_err(), "structs without end");
    }
}
