//! Encoded rows as an Arrow file: one record batch, a column for each part of a row, memory laid out as it is
//! computed with.
//!
//! | column | type | |
//! |---|---|---|
//! | `label` | float32 | |
//! | `sample_weight` | float32 | where rows have weights |
//! | `group` | uint64 | where rows have groups |
//! | `dense` | fixed-size list of float32 | where there are dense inputs |
//! | `ids.NAME` | uint32, or list of uint32 | one id per row, or any number |
//! | `weights.NAME` | list of float32 | of weighted ids |
mod errors;
#[cfg(test)]
mod tests;

pub(crate) use errors::into_io;

use crate::batch::{Arity, Batch, Layout};
use crate::encoder::Encoder;
use crate::error::{Error, Hint, Result};
use crate::guard::guarded;
use crate::map::{map, map_file};
use crate::split::Part;
use crate::sum::{FileSum, Summed};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, UInt32Array, UInt64Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{Block, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use errors::{gone, too_many, torn};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Alignment of columns in the file, so that mapped ones can be computed with.
const ALIGNMENT: usize = 64;

/// A file of encoded rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardFile {
    /// Name in the directory.
    pub name: String,
    /// Which rows it holds.
    pub part: Part,
    /// Number of rows.
    pub rows: usize,
    /// Length and checksum.
    pub sum: FileSum,
}

impl ShardFile {
    /// Makes sure that it lies in `dir` with the length that is known of it.
    pub(super) fn check_length(&self, dir: &Path) -> Result<()> {
        let path = dir.join(&self.name);
        let found = fs::metadata(&path).map_err(|error| gone(&path, error))?.len();
        if found == self.sum.bytes {
            return Ok(());
        }
        Err(torn(&path, &format!("{} bytes", self.sum.bytes), &found.to_string()))
    }
}

/// The columns of a data set.
#[derive(Debug, Clone)]
pub(super) struct Form {
    layout: Layout,
    arities: Vec<Arity>,
}

impl Form {
    /// Of rows that `encoder` encodes.
    pub(super) fn new(encoder: &Encoder) -> Self {
        Form { layout: encoder.layout(), arities: encoder.arities() }
    }

    /// Of rows of some columns of `layout`, whose bags are as `arities` says.
    pub(super) fn of(layout: Layout, arities: Vec<Arity>) -> Self {
        Form { layout, arities }
    }

    /// No rows.
    pub(super) fn batch(&self) -> Batch {
        Batch::new(&self.layout)
    }

    /// Appends these rows of `other` to `batch`.
    pub(super) fn extend(&self, batch: &mut Batch, other: &Batch, rows: &[u32]) {
        batch.push_rows_of(other, rows, &self.arities);
    }

    /// Bytes of the rows of `batch`.
    pub(super) fn bytes(&self, batch: &Batch) -> usize {
        let bags = batch.bags.iter().zip(&self.arities).map(|(bags, arity)| {
            let weights = bags.weights.as_ref().map_or(0, Vec::len);
            bags.ids.len() + weights + if *arity == Arity::Any { bags.len() } else { 0 }
        });
        let rest = batch.weights.as_ref().map_or(0, Vec::len) + 2 * batch.groups.as_ref().map_or(0, Vec::len);
        4 * (bags.sum::<usize>() + batch.dense.len() + batch.len() + rest)
    }

    fn schema(&self) -> Schema {
        let plain = |name: &str, data_type| Field::new(name, data_type, false);
        let list = |data_type| DataType::List(Arc::new(Field::new("item", data_type, false)));
        let mut fields = vec![plain("label", DataType::Float32)];
        fields.extend(self.layout.sample_weights.then(|| plain("sample_weight", DataType::Float32)));
        fields.extend(self.layout.groups.then(|| plain("group", DataType::UInt64)));
        if !self.layout.dense.is_empty() {
            fields.push(plain("dense", DataType::FixedSizeList(item(), self.layout.dense.len() as i32)));
        }
        for (feature, arity) in self.layout.features.iter().zip(&self.arities) {
            let ids = if *arity == Arity::One { DataType::UInt32 } else { list(DataType::UInt32) };
            fields.push(plain(&format!("ids.{}", feature.name), ids));
            fields.extend(
                feature
                    .weighted
                    .then(|| plain(&format!("weights.{}", feature.name), list(DataType::Float32))),
            );
        }
        Schema::new(fields)
    }

    /// Writes `batch`, which has rows, into `dir`: aside first, as `stem`, then under the name that `name`
    /// makes of its sum.
    pub(super) fn write(
        &self,
        dir: &Path,
        stem: &str,
        batch: Batch,
        name: impl FnOnce(&FileSum) -> String,
    ) -> Result<(String, FileSum)> {
        let aside = dir.join(format!("{stem}.partial"));
        let put = |sum: FileSum| {
            let name = name(&sum);
            fs::rename(&aside, dir.join(&name)).map_err(Error::io("rename", &aside))?;
            Ok((name, sum))
        };
        self.write_aside(&aside, batch).and_then(put).inspect_err(|_| drop(fs::remove_file(&aside)))
    }

    fn write_aside(&self, aside: &Path, batch: Batch) -> Result<FileSum> {
        let file = File::create(aside).map_err(Error::io("create", aside))?;
        self.write_into(&file, aside, batch)
    }

    /// Writes `batch`, which has rows, into an open file that messages call `path`.
    fn write_into(&self, file: &File, path: &Path, batch: Batch) -> Result<FileSum> {
        if batch.bags.iter().any(|bags| i32::try_from(bags.ids.len()).is_err()) {
            let expected = "fewer than 2^31 values of a column in a file";
            return Err(too_many(&path.display().to_string(), expected));
        }
        let failed = |error: ArrowError| Error::io("write", path)(into_io(error));
        let options =
            IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).expect("a valid alignment");
        let schema = Arc::new(self.schema());
        let rows = RecordBatch::try_new(schema.clone(), self.columns(batch)).expect("columns of the schema");
        let out = Summed::new(BufWriter::with_capacity(1 << 20, file));
        let mut writer = FileWriter::try_new_with_options(out, &schema, options).map_err(failed)?;
        writer.write(&rows).map_err(failed)?;
        let mut out = writer.into_inner().map_err(failed)?;
        out.flush().map_err(Error::io("write", path))?;
        Ok(out.sum())
    }

    /// Writes `batch`, which has rows, into an open file that messages call `path`, and maps it.
    pub(super) fn map_into(&self, file: File, path: &Path, batch: Batch) -> Result<Shard> {
        let sum = self.write_into(&file, path, batch)?;
        let bytes = map_file(&file).map_err(Error::io("map", path))?;
        self.decoded(&bytes, Origin { path: path.to_owned(), file, bytes: sum.bytes })
    }

    fn columns(&self, batch: Batch) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Float32Array::from(batch.labels))];
        columns.extend(batch.weights.map(|weights| Arc::new(Float32Array::from(weights)) as ArrayRef));
        columns.extend(batch.groups.map(|groups| Arc::new(UInt64Array::from(groups)) as ArrayRef));
        if !self.layout.dense.is_empty() {
            let values = Arc::new(Float32Array::from(batch.dense));
            columns.push(Arc::new(FixedSizeListArray::new(
                item(),
                self.layout.dense.len() as i32,
                values,
                None,
            )));
        }
        for (bags, arity) in batch.bags.into_iter().zip(&self.arities) {
            let ids: ArrayRef = Arc::new(UInt32Array::from(bags.ids));
            if *arity == Arity::One {
                columns.push(ids);
                continue;
            }
            let ends: Vec<i32> = bags.offsets.iter().map(|&end| end as i32).collect();
            let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
            let list = |values: ArrayRef| {
                let field = Arc::new(Field::new("item", values.data_type().clone(), false));
                Arc::new(ListArray::new(field, ends.clone(), values, None)) as ArrayRef
            };
            columns.push(list(ids));
            columns.extend(bags.weights.map(|weights| list(Arc::new(Float32Array::from(weights)))));
        }
        columns
    }

    /// Maps a file of a data set in `dir`, or of rows that are kept there.
    pub(super) fn open_rows(&self, dir: &Path, file: &ShardFile) -> Result<Shard> {
        let path = dir.join(&file.name);
        let shard = self.open(&path, &file.sum)?;
        if shard.rows() == file.rows {
            Ok(shard)
        } else {
            Err(torn(&path, &format!("{} rows", file.rows), &shard.rows().to_string()))
        }
    }

    /// Maps the file `path`, whose length and checksum are known.
    pub(super) fn open(&self, path: &Path, sum: &FileSum) -> Result<Shard> {
        let (bytes, file) = map(path).map_err(|error| gone(path, error))?;
        if bytes.len() as u64 != sum.bytes {
            return Err(torn(path, &format!("{} bytes", sum.bytes), &format!("{}", bytes.len())));
        }
        let found = FileSum::of(&bytes).xxh3;
        if found != sum.xxh3 {
            return Err(torn(path, &format!("the checksum {}", sum.xxh3), &found));
        }
        self.decoded(&bytes, Origin { path: path.to_owned(), file, bytes: sum.bytes })
    }

    /// The rows of a file whose checksum is right.
    fn decoded(&self, bytes: &Buffer, origin: Origin) -> Result<Shard> {
        let path = origin.path.clone();
        let contradictory = || Err(ArrowError::ParseError("lengths that contradict each other".to_owned()));
        let decoded = guarded(|| self.decode(bytes)).unwrap_or_else(contradictory);
        let batch = decoded
            .map_err(|e| Error::input(path.display().to_string(), "rows of this data set", e.to_string()))?;
        Shard::of(&batch, &self.layout, &self.arities, origin)
            .ok_or_else(|| torn(&path, "ids within their tables", "one beyond them"))
    }

    fn decode(&self, bytes: &Buffer) -> Result<RecordBatch, ArrowError> {
        let parse = |text: &str| ArrowError::ParseError(text.to_owned());
        let trailer = bytes.len().checked_sub(10).ok_or_else(|| parse("a file too short for Arrow"))?;
        let length = read_footer_length(bytes[trailer..].try_into().expect("ten bytes"))?;
        let start = trailer.checked_sub(length).ok_or_else(|| parse("a footer longer than the file"))?;
        let footer = root_as_footer(&bytes[start..trailer]).map_err(|e| parse(&e.to_string()))?;
        let schema = try_fb_to_schema(footer.schema().ok_or_else(|| parse("no schema"))?)?;
        if schema.fields() != self.schema().fields() {
            return Err(ArrowError::SchemaError("columns of another data set".into()));
        }
        let decoder = FileDecoder::new(Arc::new(schema), footer.version());
        let blocks = footer
            .recordBatches()
            .filter(|blocks| blocks.len() == 1)
            .ok_or_else(|| parse("not one record batch"))?;
        let block = blocks.get(0);
        let data = rows_of(block, bytes).ok_or_else(|| parse("columns beyond the file"))?;
        decoder.read_record_batch(block, &data)?.ok_or_else(|| parse("no record batch"))
    }
}

/// The bytes of a record batch, if all that it says of its columns lies within them: the decoder takes that
/// for granted.
fn rows_of(block: &Block, file: &Buffer) -> Option<Buffer> {
    let [offset, head] = [block.offset(), i64::from(block.metaDataLength())].map(|n| usize::try_from(n).ok());
    let (offset, head, body) = (offset?, head?, usize::try_from(block.bodyLength()).ok()?);
    let length = head.checked_add(body)?;
    offset.checked_add(length).filter(|&end| end <= file.len())?;
    let data = file.slice_with_length(offset, length);
    // Behind a mark of four bytes and a length of four.
    let message = root_as_message(data.get(8..head)?).ok()?;
    let rows = message.header_as_record_batch()?;
    let has_rows = |n: i64| (0..=i64::from(i32::MAX)).contains(&n);
    let within = |start: i64, length: i64| {
        start >= 0 && length >= 0 && start.checked_add(length).is_some_and(|end| end <= body as i64)
    };
    let whole = has_rows(rows.length())
        && rows.compression().is_none()
        && rows.nodes()?.iter().all(|node| has_rows(node.length()) && node.null_count() == 0)
        && rows.buffers()?.iter().all(|buffer| within(buffer.offset(), buffer.length()));
    whole.then_some(data)
}

/// What a list of dense inputs holds.
fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}

/// Where mapped rows are.
struct Origin {
    path: PathBuf,
    file: File,
    /// Its length.
    bytes: u64,
}

impl Origin {
    /// Refuses a file that another process has cut short since it was opened, whose pages are gone.
    fn check_length(&self) -> Result<()> {
        let found = self.file.metadata().map_err(|error| gone(&self.path, error))?.len();
        if found == self.bytes {
            return Ok(());
        }
        Err(torn(&self.path, &format!("{} bytes", self.bytes), &format!("{found} since it was opened")))
    }
}

/// Mapped rows.
pub(super) struct Shard {
    origin: Origin,
    rows: usize,
    labels: ScalarBuffer<f32>,
    weights: Option<ScalarBuffer<f32>>,
    groups: Option<ScalarBuffer<u64>>,
    dense: Option<ScalarBuffer<f32>>,
    columns: Vec<Column>,
}

struct Column {
    ids: ScalarBuffer<u32>,
    ends: Option<OffsetBuffer<i32>>,
    weights: Option<ScalarBuffer<f32>>,
}

impl Shard {
    /// `None` if there is no row or an id is beyond its table. The columns are those of the layout.
    fn of(batch: &RecordBatch, layout: &Layout, arities: &[Arity], origin: Origin) -> Option<Self> {
        let mut columns = batch.columns().iter();
        let mut next = || columns.next().expect("as many columns as the schema has");
        let labels = next().as_primitive::<Float32Type>().values().clone();
        let weights = layout.sample_weights.then(|| next().as_primitive::<Float32Type>().values().clone());
        let groups = layout.groups.then(|| next().as_primitive::<UInt64Type>().values().clone());
        let dense = (!layout.dense.is_empty())
            .then(|| next().as_fixed_size_list().values().as_primitive::<Float32Type>().values().clone());
        let mut features = Vec::new();
        for (feature, arity) in layout.features.iter().zip(arities) {
            let column = next();
            let list = (*arity == Arity::Any).then(|| column.as_list::<i32>());
            let ids = list.map_or(column, |list| list.values()).as_primitive::<UInt32Type>().values().clone();
            if ids.iter().max().is_some_and(|&id| id as usize >= layout.tables[feature.table].rows) {
                return None;
            }
            let ends = list.map(|list| list.offsets().clone());
            let weights = feature
                .weighted
                .then(|| next().as_list::<i32>().values().as_primitive::<Float32Type>().values().clone());
            if weights.as_ref().is_some_and(|weights| weights.len() != ids.len()) {
                return None;
            }
            features.push(Column { ids, ends, weights });
        }
        let rows = batch.num_rows();
        if rows == 0 || dense.as_ref().is_some_and(|dense| dense.len() != rows * layout.dense.len()) {
            return None;
        }
        Some(Shard { origin, rows, labels, weights, groups, dense, columns: features })
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends rows `rows` to `batch`.
    ///
    /// # Errors
    /// If it would hold more values of a column than it can count, or the file was cut short; it is of no use
    /// then.
    pub(super) fn append(&self, batch: &mut Batch, rows: Range<usize>) -> Result<()> {
        self.append_without(batch, rows, &[])
    }

    /// Without the ids of these features, whose rows get empty bags.
    ///
    /// # Errors
    /// As [`Shard::append`].
    pub(super) fn append_without(
        &self,
        batch: &mut Batch,
        rows: Range<usize>,
        without: &[usize],
    ) -> Result<()> {
        self.origin.check_length()?;
        self.append_within(batch, rows, without, u32::MAX as usize)
    }

    /// With at most so many values of a column.
    fn append_within(
        &self,
        batch: &mut Batch,
        rows: Range<usize>,
        without: &[usize],
        most: usize,
    ) -> Result<()> {
        for (feature, (bags, column)) in batch.bags.iter_mut().zip(&self.columns).enumerate() {
            if without.contains(&feature) {
                bags.offsets.resize(bags.offsets.len() + rows.len(), bags.ids.len() as u32);
                continue;
            }
            let ids = match &column.ends {
                None => rows.clone(),
                Some(ends) => ends[rows.start] as usize..ends[rows.end] as usize,
            };
            let before = bags.ids.len();
            if before + ids.len() > most {
                let error = too_many("a prepared data set", "fewer than 2^32 values of a column in memory");
                return Err(error.with_hint(Hint::from("train with ").set("data.loading", "stream")));
            }
            let before = before as u32;
            match &column.ends {
                None => bags.offsets.extend(before + 1..=before + rows.len() as u32),
                Some(ends) => {
                    let first = ends[rows.start];
                    let of_rows = ends[rows.start + 1..=rows.end].iter();
                    bags.offsets.extend(of_rows.map(|end| before + (end - first) as u32));
                }
            }
            bags.ids.extend_from_slice(&column.ids[ids.clone()]);
            if let (Some(to), Some(from)) = (&mut bags.weights, &column.weights) {
                to.extend_from_slice(&from[ids]);
            }
        }
        if let Some(dense) = &self.dense {
            let n = dense.len() / self.rows;
            batch.dense.extend_from_slice(&dense[rows.start * n..rows.end * n]);
        }
        batch.labels.extend_from_slice(&self.labels[rows.clone()]);
        if let (Some(to), Some(from)) = (&mut batch.weights, &self.weights) {
            to.extend_from_slice(&from[rows.clone()]);
        }
        if let (Some(to), Some(from)) = (&mut batch.groups, &self.groups) {
            to.extend_from_slice(&from[rows]);
        }
        Ok(())
    }
}
