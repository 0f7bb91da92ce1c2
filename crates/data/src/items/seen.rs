//! What users have had of the items of a table, in an Arrow file that is mapped.
//!
//! | column | type | |
//! |---|---|---|
//! | `user` | uint64 | hash of the text that tells users apart, rising |
//! | `items` | list of uint32 | places in the table, rising |
use crate::arrow_file::{self, ArrowFileWriter, Contents, Format};
use crate::durable::nameless;
use crate::error::{Error, Result};
use crate::map::map_file;
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, ListArray, RecordBatch, UInt32Array, UInt64Array};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const FORMAT: Format =
    Format { name: "dlrm seen items", version: 1, what: "items that users have had", hint: "make it anew" };
/// Pairs that are sorted at once, at least.
const LEAST: usize = 1 << 20;
/// Pairs of a batch, about.
const BATCH: usize = 1 << 22;
/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Collects who has had what.
#[derive(Debug, Clone, Default)]
pub struct SeenBuilder {
    pairs: Vec<(u64, u32)>,
    /// The first of them, which are sorted and each there once.
    sorted: usize,
}

impl SeenBuilder {
    /// Notes that a user has had an item.
    pub fn push(&mut self, user: &str, item: u32) {
        if self.pairs.len() >= 2 * self.sorted.max(LEAST) {
            self.sort();
        }
        self.pairs.push((xxh3_64(user.as_bytes()), item));
    }

    fn sort(&mut self) {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        self.sorted = self.pairs.len();
    }

    /// What was noted, in a file without a name in `directory`, which goes with it. `place` says where an
    /// item stands that was noted under a number.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(mut self, directory: &Path, place: impl Fn(u32) -> u32) -> Result<SeenItems> {
        self.pairs.iter_mut().for_each(|(_, item)| *item = place(*item));
        self.sort();
        let file = nameless(directory)?;
        self.write(&file, directory)?;
        let bytes = map_file(&file).map_err(Error::io("map a file in", directory))?;
        SeenItems::of(&bytes, file, directory)
    }

    fn write(&self, file: &File, path: &Path) -> Result<()> {
        let out = BufWriter::with_capacity(PIECE, file);
        let fields = vec![
            Field::new("user", DataType::UInt64, false),
            Field::new("items", DataType::List(item()), false),
        ];
        let mut writer = ArrowFileWriter::new(out, path, &FORMAT, fields, &[])?;
        let mut rest = &self.pairs[..];
        while !rest.is_empty() {
            // No user in two batches.
            let last = rest[rest.len().min(BATCH) - 1].0;
            let (own, others) = rest.split_at(rest.partition_point(|&(user, _)| user <= last));
            rest = others;
            let of_users = own.chunk_by(|a, b| a.0 == b.0);
            let (users, lengths): (Vec<u64>, Vec<usize>) = of_users.map(|own| (own[0].0, own.len())).unzip();
            let items = UInt32Array::from(own.iter().map(|&(_, item)| item).collect::<Vec<_>>());
            let lists = ListArray::new(item(), OffsetBuffer::from_lengths(lengths), Arc::new(items), None);
            writer.write(vec![Arc::new(UInt64Array::from(users)) as ArrayRef, Arc::new(lists)])?;
        }
        writer.finish()
    }
}

/// What a list holds.
fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::UInt32, false))
}

/// What users have had.
#[derive(Debug)]
pub struct SeenItems {
    batches: Vec<(UInt64Array, ListArray)>,
    /// Which has no name, and is there as long as this is.
    _file: File,
}

impl SeenItems {
    fn of(bytes: &Buffer, file: File, path: &Path) -> Result<Self> {
        let Contents { batches, .. } = arrow_file::read(bytes, path, &FORMAT)?;
        let columns = |batch: &RecordBatch| {
            let (users, lists) = (batch.columns().first()?, batch.columns().get(1)?);
            let lists = lists.as_list_opt::<i32>()?;
            lists.values().as_primitive_opt::<UInt32Type>()?;
            Some((users.as_primitive_opt::<UInt64Type>()?.clone(), lists.clone()))
        };
        let batches: Option<Vec<_>> = batches.iter().map(columns).collect();
        let wrong = || Error::input(path.display().to_string(), FORMAT.what, "other columns");
        Ok(SeenItems { batches: batches.ok_or_else(wrong)?, _file: file })
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.batches.iter().map(|(users, _)| users.len()).sum()
    }

    /// Places of the items that a user has had, rising.
    pub fn of_user(&self, user: &str) -> Vec<u32> {
        let hash = xxh3_64(user.as_bytes());
        for (users, lists) in &self.batches {
            if let Ok(at) = users.values().binary_search(&hash) {
                return lists.value(at).as_primitive::<UInt32Type>().values().to_vec();
            }
        }
        Vec::new()
    }
}
