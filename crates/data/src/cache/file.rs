//! The file of a cache: a head with the key, blocks of rows, an end with their number. Little-endian.
//!
//! ```text
//! head   "dlrmrows" version key        8 bytes each
//! block  rows words checksum           4, 4 and 8 bytes, then so many words of 4 bytes
//! end    "dlrm-end" rows checksum      8 bytes each
//! ```
//! A checksum (xxh3) also covers how many rows come before, so blocks cannot change places.
use super::block::{self, Block};
use crate::batch::{Batch, Layout};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const HEAD: [u8; 8] = *b"dlrmrows";
const END: [u8; 8] = *b"dlrm-end";
const VERSION: u64 = 1;
const ENDS: u64 = 24;
const BUFFER: usize = 1 << 20;

/// A cache in the making, beside its final place.
pub(super) struct Writer {
    file: BufWriter<File>,
    aside: PathBuf,
    place: PathBuf,
    key: u64,
    rows: u64,
    words: Vec<u32>,
}

impl Writer {
    /// What will become `place`; leftovers of an interrupted attempt are replaced.
    pub fn new(place: &Path, key: u64) -> io::Result<Self> {
        let aside = place.with_extension("partial");
        let file = BufWriter::with_capacity(BUFFER, File::create(&aside)?);
        let mut writer = Writer { file, aside, place: place.to_owned(), key, rows: 0, words: Vec::new() };
        writer.file.write_all(&HEAD)?;
        writer.file.write_all(&VERSION.to_le_bytes())?;
        writer.file.write_all(&key.to_le_bytes())?;
        Ok(writer)
    }

    /// Adds rows `rows` of `batch` as a block.
    pub fn push(&mut self, batch: &Batch, rows: Range<usize>) -> io::Result<()> {
        let count = rows.len();
        block::pack(&mut self.words, batch, rows);
        self.words.iter_mut().for_each(|word| *word = word.to_le());
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        self.file.write_all(&(count as u32).to_le_bytes())?;
        self.file.write_all(&(self.words.len() as u32).to_le_bytes())?;
        self.file.write_all(&checksum(bytes, self.key, self.rows, count).to_le_bytes())?;
        self.file.write_all(bytes)?;
        self.rows += count as u64;
        Ok(())
    }

    /// Puts the whole file in its place.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&END)?;
        self.file.write_all(&self.rows.to_le_bytes())?;
        self.file.write_all(&checksum(&END, self.key, self.rows, 0).to_le_bytes())?;
        self.file.flush()?;
        fs::rename(&self.aside, &self.place)
    }
}

impl Drop for Writer {
    /// Clears up after an attempt that was not finished; a file that was put in place is no longer aside.
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next attempt replaces the file.
        let _ = fs::remove_file(&self.aside);
    }
}

fn checksum(bytes: &[u8], key: u64, before: u64, rows: usize) -> u64 {
    xxh3_64_with_seed(bytes, key ^ before.rotate_left(32) ^ rows as u64)
}

/// A whole cache, read from the front.
pub(super) struct Reader {
    file: BufReader<File>,
    layout: Layout,
    key: u64,
    total: u64,
    /// Rows of the blocks read so far.
    read: u64,
    /// Bytes of the file that are not read yet.
    left: u64,
    block: Block,
    /// Rows of the block that have been handed out.
    at: usize,
}

impl Reader {
    /// Opens the cache at `place`, if there is one; what is wrong with one that is not whole or has another key.
    pub fn open(place: &Path, key: u64, layout: &Layout) -> Result<Option<Self>, String> {
        let file = match File::open(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| e.to_string())?,
        };
        let mut file = BufReader::with_capacity(BUFFER, file);
        let bytes = file.get_ref().metadata().map_err(|e| e.to_string())?.len();
        if bytes < 2 * ENDS {
            return Err(format!("expected at least {} bytes, found {bytes}", 2 * ENDS));
        }
        let [magic, version, found] = three(&mut file)?;
        if magic != u64::from_le_bytes(HEAD) || version != VERSION {
            return Err(format!("expected encoded rows of version {VERSION}, found something else"));
        }
        if found != key {
            return Err("expected the rows of this run, found others".into());
        }
        file.seek(SeekFrom::End(-(ENDS as i64))).map_err(|e| e.to_string())?;
        let [magic, total, sum] = three(&mut file)?;
        if magic != u64::from_le_bytes(END) || sum != checksum(&END, key, total, 0) {
            return Err(format!("expected its end at byte {bytes}, found none: the file was cut or changed"));
        }
        file.seek(SeekFrom::Start(ENDS)).map_err(|e| e.to_string())?;
        let left = bytes - 2 * ENDS;
        Ok(Some(Reader { file, layout: layout.clone(), key, total, read: 0, left, block: Block::default(), at: 0 }))
    }

    /// Appends up to `most` rows to `batch`; 0 at the end. Nothing is appended of a block that is not what was written.
    pub fn append(&mut self, batch: &mut Batch, most: usize) -> Result<usize, String> {
        let mut appended = 0;
        while appended < most && (self.at < self.block.rows() || self.next_block()?) {
            let end = self.block.rows().min(self.at + most - appended);
            self.block.append(batch, self.at..end);
            appended += end - self.at;
            self.at = end;
        }
        Ok(appended)
    }

    /// Reads and checks the next block; `false` at the end.
    fn next_block(&mut self) -> Result<bool, String> {
        if self.read == self.total && self.left == 0 {
            return Ok(false);
        }
        let damaged = || format!("expected checksums that hold, found a damaged block behind row {}", self.read);
        let (mut head, mut sum) = ([[0; 4]; 2], [0; 8]);
        for bytes in &mut head {
            self.file.read_exact(bytes).map_err(|e| e.to_string())?;
        }
        self.file.read_exact(&mut sum).map_err(|e| e.to_string())?;
        let [rows, words] = head.map(|bytes| u32::from_le_bytes(bytes) as usize);
        let left = self.left.checked_sub(16 + 4 * words as u64).filter(|_| rows > 0).ok_or_else(damaged)?;
        let buffer = self.block.words_mut();
        buffer.resize(words, 0);
        self.file.read_exact(bytemuck::cast_slice_mut(buffer)).map_err(|e| e.to_string())?;
        if checksum(bytemuck::cast_slice(buffer), self.key, self.read, rows) != u64::from_le_bytes(sum) {
            return Err(damaged());
        }
        buffer.iter_mut().for_each(|word| *word = u32::from_le(*word));
        self.block.unpack(&self.layout, rows).ok_or_else(damaged)?;
        (self.at, self.left, self.read) = (0, left, self.read + rows as u64);
        Ok(true)
    }
}

fn three(file: &mut impl Read) -> Result<[u64; 3], String> {
    let mut bytes = [[0; 8]; 3];
    for number in &mut bytes {
        file.read_exact(number).map_err(|e| e.to_string())?;
    }
    Ok(bytes.map(u64::from_le_bytes))
}
