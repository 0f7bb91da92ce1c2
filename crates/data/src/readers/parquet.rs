//! Parquet files, column chunk by column chunk in batches of rows.
//!
//! Every value becomes text exactly: integers and decimals digit by digit, floats as the shortest text that
//! reads back as the same bits, booleans as 0 and 1, dates and moments as `YYYY-MM-DD HH:MM:SS`, times of day
//! as integers in the unit of their column, null as an empty field. A list of values becomes `a|b|c`; nulls
//! within it are left out.
use super::names::check_names;
use super::parquet_chunks::{BATCH, Chunk, TextColumn, Typed, chunk, guarded};
use super::parquet_pages::{ALL_PAGES, MOST_EXPANDED, largest_page};
use super::stream::Place;
use super::value_text::{Kind, MOST_DECIMALS};
use crate::error::{Error, Result, nearest, quoted};
use crate::guard;
use crate::row::{RawRow, RowSource};
use crate::schema::MultiValued;
use arrow_schema::{DataType, FieldRef, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{ConvertedType, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::{SchemaDescriptor, Type};
use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::Arc;

/// Reader of one Parquet file.
pub(super) struct Parquet {
    reader: SerializedFileReader<Shared>,
    /// The file again, for columns of text and headers of pages.
    opened: Shared,
    /// The types of its columns in Arrow, if all have one.
    texts: Option<ArrowReaderMetadata>,
    file: Arc<str>,
    columns: Vec<String>,
    /// Leaf column of the file and its kind, for each of `columns`.
    leaves: Vec<(usize, Kind)>,
    chunks: Vec<Box<dyn Chunk>>,
    next_group: usize,
    /// Decoded rows not given out yet.
    ready: usize,
    rows: u64,
}

impl Parquet {
    /// Opens `place`, to read all columns or those that `columns` names.
    pub(super) fn open(place: Place<'_>, columns: Option<&[String]>) -> Result<Self> {
        let path = place.file("Parquet")?;
        let file: Arc<str> = path.display().to_string().into();
        let opened = match place.bytes() {
            Some(bytes) => Shared::Bytes(bytes),
            None => Shared::File(Arc::new(File::open(path).map_err(Error::io("open", path))?)),
        };
        let reader = guarded(|| SerializedFileReader::new(opened.clone()))
            .map_err(|error| damaged(&file, &error.to_string()))?;
        check_offsets(&reader, &file)?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let roots = schema.root_schema().get_fields();
        let all: Vec<String> = roots.iter().map(|field| field.name().to_owned()).collect();
        if all.is_empty() {
            return Err(Error::input(&*file, "columns", "a Parquet file without any"));
        }
        check_names(&all, &file)?;
        let columns = columns.map_or_else(|| all.clone(), <[String]>::to_vec);
        let mut leaves = Vec::new();
        for name in &columns {
            let Some(root) = all.iter().position(|other| other == name) else {
                let near = nearest(name, all.iter().map(String::as_str));
                let hint = near.map_or(format!("there are: {}", all.join(", ")), |near| {
                    format!("did you mean \"{near}\"?")
                });
                return Err(
                    Error::input(&*file, format!("a column \"{name}\""), "none of that name").with_hint(hint)
                );
            };
            leaves.push(leaf(schema, root).map_err(|found| {
                let error = Error::input(
                    format!("{file}: column \"{name}\""),
                    "single values or a list of \
                    them",
                    found,
                );
                error.with_hint(
                    "flatten it when the file is written, or leave it out by naming the other \
                    columns in `columns`",
                )
            })?);
        }
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let texts = guarded(|| views(Arc::new(reader.metadata().clone()), options)).ok();
        Ok(Parquet {
            reader,
            opened,
            texts,
            file,
            columns,
            leaves,
            chunks: Vec::new(),
            next_group: 0,
            ready: 0,
            rows: 0,
        })
    }

    /// Decodes the next batch of rows; `false` at the end.
    fn decode(&mut self) -> Result<bool> {
        loop {
            let mut counts = Vec::with_capacity(self.chunks.len());
            for (chunk, name) in self.chunks.iter_mut().zip(&self.columns) {
                let count = guarded(|| chunk.decode());
                counts.push(count.map_err(|error| {
                    damaged(&self.file, &format!("{error} (column \"{name}\" behind row {})", self.rows))
                })?);
            }
            if counts.iter().any(|&count| count != counts[0]) {
                return Err(damaged(
                    &self.file,
                    &format!("columns of different lengths behind row {}", self.rows),
                ));
            }
            match counts.first() {
                Some(&count) if count > 0 => {
                    self.ready = count;
                    return Ok(true);
                }
                _ if self.next_group == self.reader.num_row_groups() => return Ok(false),
                _ => self.open_group()?,
            }
        }
    }

    /// Refuses columns whose pages would take more memory than such files do.
    fn check_pages(&self) -> Result<()> {
        let group = self.reader.metadata().row_group(self.next_group);
        let (mut all, mut on_disk) = (0u64, 0u64);
        for (&(leaf, _), name) in self.leaves.iter().zip(&self.columns) {
            let chunk = group.column(leaf);
            let largest = guard::guarded(|| self.opened.largest_page(chunk))
                .unwrap_or_else(|| Err("contradictory contents".to_owned()))
                .map_err(|found| damaged(&self.file, &format!("{found} (column \"{name}\")")))?;
            all = all.saturating_add(largest);
            on_disk = on_disk.saturating_add(chunk.byte_range().1);
        }
        let most = ALL_PAGES.max(on_disk.saturating_mul(MOST_EXPANDED));
        if all > most {
            let found = format!("pages that unpack to {all} bytes at a time, of which {most} are read");
            return Err(damaged(&self.file, &found));
        }
        Ok(())
    }

    fn open_group(&mut self) -> Result<()> {
        self.check_pages()?;
        let damaged = |error: ParquetError| damaged(&self.file, &error.to_string());
        let group = guarded(|| self.reader.get_row_group(self.next_group)).map_err(damaged)?;
        self.chunks.clear();
        for &(leaf, kind) in &self.leaves {
            let column = self.reader.metadata().file_metadata().schema_descr().column(leaf);
            let reader = guarded(|| group.get_column_reader(leaf)).map_err(damaged)?;
            let texts = self.texts.as_ref().and_then(|texts| {
                guarded(|| text_reader(&self.opened, texts, self.next_group, leaf)).ok().flatten()
            });
            self.chunks.push(match texts {
                Some(fast) => Box::new(TextColumn::new(fast, Typed::new(column, kind, reader))),
                None => chunk(column, kind, reader),
            });
        }
        self.next_group += 1;
        Ok(())
    }
}

impl RowSource for Parquet {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn lists(&self) -> Vec<(usize, MultiValued)> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let is_list = |leaf: usize| schema.column(leaf).max_rep_level() > 0;
        let lists = self.leaves.iter().enumerate().filter(|(_, (leaf, _))| is_list(*leaf));
        lists.map(|(column, _)| (column, MultiValued::separated())).collect()
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        if self.ready == 0 && !self.decode()? {
            return Ok(false);
        }
        self.ready -= 1;
        self.rows += 1;
        row.clear();
        row.line = self.rows;
        if !Arc::ptr_eq(&row.file, &self.file) {
            row.file = Arc::clone(&self.file);
        }
        let mut unfit = None;
        for (i, chunk) in self.chunks.iter_mut().enumerate() {
            let mut result = Ok(());
            row.push_with(|out| result = chunk.show(out));
            if let Err(expected) = result {
                unfit.get_or_insert((i, expected));
            }
        }
        match unfit {
            None => Ok(true),
            Some((i, expected)) => {
                let found =
                    if row.field(i).is_empty() { "other bytes".to_owned() } else { quoted(row.field(i)) };
                Err(Error::row(row.position(Some((i, &self.columns[i]))), expected, found))
            }
        }
    }
}

/// A file that the readers of several columns read, or the bytes of one.
#[derive(Clone)]
enum Shared {
    File(Arc<File>),
    Bytes(Bytes),
}

impl Shared {
    fn largest_page(&self, chunk: &ColumnChunkMetaData) -> Result<u64, String> {
        match self {
            Shared::File(file) => largest_page(&**file, chunk),
            Shared::Bytes(bytes) => largest_page(Cursor::new(bytes), chunk),
        }
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        match self {
            Shared::File(file) => file.len(),
            Shared::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Shared {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Shared::File(file) => Box::new(file.get_read(start)?),
            Shared::Bytes(bytes) => Box::new(bytes.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Shared::File(file) => file.get_bytes(start, length),
            Shared::Bytes(bytes) => bytes.get_bytes(start, length),
        }
    }
}

/// The types of columns in Arrow, texts as views.
fn views(
    metadata: Arc<ParquetMetaData>,
    options: ArrowReaderOptions,
) -> Result<ArrowReaderMetadata, ParquetError> {
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options.clone())?;
    let view = |field: &FieldRef| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    };
    let schema = Schema::new(plain.schema().fields().iter().map(view).collect::<Vec<_>>());
    ArrowReaderMetadata::try_new(metadata, options.with_schema(Arc::new(schema)))
}

/// Reader of leaf column `leaf` in row group `group` alone, if it holds texts.
fn text_reader(
    file: &Shared,
    texts: &ArrowReaderMetadata,
    group: usize,
    leaf: usize,
) -> Result<Option<ParquetRecordBatchReader>, ParquetError> {
    let root = texts.parquet_schema().get_column_root_idx(leaf);
    if texts.schema().field(root).data_type() != &DataType::Utf8View {
        return Ok(None);
    }
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), texts.clone());
    let column = ProjectionMask::leaves(texts.parquet_schema(), [leaf]);
    reader.with_projection(column).with_row_groups(vec![group]).with_batch_size(BATCH).build().map(Some)
}

/// The decoder takes for granted that no offset or size is negative.
fn check_offsets(reader: &SerializedFileReader<Shared>, file: &str) -> Result<()> {
    let chunks = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
    for chunk in chunks {
        let numbers = [
            chunk.data_page_offset(),
            chunk.dictionary_page_offset().unwrap_or(0),
            chunk.compressed_size(),
            chunk.num_values(),
        ];
        if let Some(negative) = numbers.into_iter().find(|&number| number < 0) {
            return Err(damaged(
                file,
                &format!("{negative} as offset or size of column \"{}\"", chunk.column_path()),
            ));
        }
    }
    Ok(())
}

fn damaged(file: &str, found: &str) -> Error {
    if found.contains("Disabled feature at compile time") {
        let codec = found.rsplit(' ').next().unwrap_or(found);
        let error = Error::input(
            file,
            "a Parquet file packed by snappy, gzip or zstd, or not at all",
            format!("one packed by {codec}"),
        );
        return error.with_hint("write it again with one of these codecs, e.g. zstd");
    }
    let error = Error::input(file, "a Parquet file", format!("something unreadable: {found}"));
    error.with_hint("if it is one, it is damaged or cut off: copy or write it again")
}

/// The one leaf below top-level field `root`, or what is there instead.
fn leaf(schema: &SchemaDescriptor, root: usize) -> Result<(usize, Kind), String> {
    let field: &Type = &schema.root_schema().get_fields()[root];
    let mut leaves = (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == root);
    let info = field.get_basic_info();
    let is_list =
        info.converted_type() == ConvertedType::LIST || info.logical_type_ref() == Some(&LogicalType::List);
    let (Some(leaf), None) = (leaves.next(), leaves.next()) else {
        return Err("a struct or a map".to_owned());
    };
    let column = schema.column(leaf);
    if field.is_group() && (!is_list || column.max_rep_level() != 1 || column.path().parts().len() > 3) {
        return Err(if is_list { "a list of lists or structs" } else { "a struct or a map" }.to_owned());
    }
    match Kind::of(&column) {
        Some(kind) => Ok((leaf, kind)),
        None if column.type_scale() > MOST_DECIMALS => {
            Err(format!("decimals with {} digits behind the point", column.type_scale()))
        }
        None => Err(format!("values of type {} ({})", column.physical_type(), column.converted_type())),
    }
}
