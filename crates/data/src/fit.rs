//! An encoder in the making: statistics of dense columns, counts of categorical values, on disk where memory
//! is short.
use crate::dense::{DenseFit, DenseScale};
use crate::encoder::{Encoder, tables};
use crate::error::{Error, Result};
use crate::rows::Picked;
use crate::schema::{Encoding, Schema};
use crate::spill::{Runs, SavedRuns};
use crate::string_arena::StringArena;
use crate::vocabulary::{Rank, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What training rows have shown so far.
pub struct EncoderFit {
    schema: Schema,
    dense: Vec<DenseFit>,
    /// Of each table that has a vocabulary.
    tallies: Vec<Option<Tally>>,
    table_of: Vec<usize>,
    spill: Option<Spill>,
}

/// Where counts go that memory has no room for.
struct Spill {
    /// Bytes that counts may take.
    limit: usize,
    runs: Vec<Runs>,
}

/// An encoder in the making as a later attempt resumes it; its counts are in files.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SavedFit {
    dense: Vec<DenseFit>,
    /// Of each table that has a vocabulary: number of values seen, and where they are.
    tallies: Vec<Option<(u64, SavedRuns)>>,
}

/// How large a fitted vocabulary is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VocabularySize {
    /// Name of the table.
    pub table: String,
    /// Number of values.
    pub values: u64,
    /// Bytes of their texts.
    pub bytes: u64,
}

impl EncoderFit {
    /// Nothing seen yet.
    pub fn new(schema: &Schema) -> Self {
        let (first, table_of) = tables(schema);
        let tally = |encoding: &Encoding| match encoding {
            Encoding::Vocabulary { .. } => Some(Tally::new(Rank::Count)),
            Encoding::FirstSeen { .. } => Some(Tally::new(Rank::FirstSeen)),
            _ => None,
        };
        let tallies = first.iter().map(|column| tally(&column.encoding)).collect();
        EncoderFit {
            schema: schema.clone(),
            dense: schema.dense.iter().map(DenseFit::new).collect(),
            tallies,
            table_of,
            spill: None,
        }
    }

    /// This fit, with counts beyond `limit` bytes in files of `dir`.
    #[must_use]
    pub fn with_spill(self, dir: &Path, limit: usize) -> Self {
        let runs = (0..self.tallies.len()).map(|table| Runs::new(dir, format!("table-{table}"))).collect();
        EncoderFit { spill: Some(Spill { limit, runs }), ..self }
    }

    /// Puts all counts on disk and says where they are; without a directory for them there is nothing to say.
    pub(crate) fn save(&mut self) -> Result<Option<SavedFit>> {
        let Some(spill) = &mut self.spill else { return Ok(None) };
        let mut tallies = Vec::new();
        for (tally, runs) in self.tallies.iter_mut().zip(&mut spill.runs) {
            tallies.push(match tally {
                Some(tally) => {
                    runs.spill(tally)?;
                    Some((tally.seen(), runs.saved()?))
                }
                None => None,
            });
        }
        Ok(Some(SavedFit { dense: self.dense.clone(), tallies }))
    }

    /// Goes on with what was saved; `false` if a part of it is not what it was.
    pub(crate) fn restore(&mut self, saved: SavedFit) -> bool {
        let Some(spill) = &mut self.spill else { return false };
        if saved.tallies.len() != self.tallies.len() || saved.dense.len() != self.dense.len() {
            return false;
        }
        self.dense = saved.dense;
        let all = self.tallies.iter_mut().zip(&mut spill.runs).zip(saved.tallies);
        all.fold(true, |whole, ((tally, runs), saved)| match (tally, saved) {
            (Some(tally), Some((seen, saved))) => {
                *tally = Tally::behind(tally.rank(), seen);
                runs.restore(&saved) && whole
            }
            (None, None) => whole,
            _ => false,
        })
    }

    /// Takes in training rows.
    ///
    /// # Errors
    /// If counts cannot be written to disk.
    pub fn observe(&mut self, rows: Picked<'_>) -> Result<()> {
        for row in rows.iter() {
            for (fit, &value) in self.dense.iter_mut().zip(&row.parsed.dense) {
                fit.observe(value);
            }
        }
        self.tally(rows, Rank::Count)
    }

    /// Whether rows to validate and to test are looked at too.
    pub fn needs_all_rows(&self) -> bool {
        self.tallies.iter().flatten().any(|tally| tally.rank() == Rank::FirstSeen)
    }

    /// Takes in rows of all parts, for vocabularies in the order of the rows.
    ///
    /// # Errors
    /// If they cannot be written to disk.
    pub fn observe_all(&mut self, rows: Picked<'_>) -> Result<()> {
        self.tally(rows, Rank::FirstSeen)
    }

    fn tally(&mut self, rows: Picked<'_>, rank: Rank) -> Result<()> {
        for (c, &table) in self.table_of.iter().enumerate() {
            let Some(tally) = self.tallies[table].as_mut().filter(|tally| tally.rank() == rank) else {
                continue;
            };
            tally.add(rows.iter().flat_map(|row| {
                let text = rows.text(row, c);
                row.parsed.values(c).iter().map(move |value| value.of(text))
            }));
        }
        self.spill_beyond_limit()
    }

    fn spill_beyond_limit(&mut self) -> Result<()> {
        let Some(spill) = &mut self.spill else { return Ok(()) };
        let taken: usize = self.tallies.iter().flatten().map(Tally::heap_bytes).sum();
        if taken <= spill.limit {
            return Ok(());
        }
        // Small tallies stay: they would only grow back. What is left is at most half of the limit.
        let fair = spill.limit / (2 * self.tallies.len());
        for (tally, runs) in self.tallies.iter_mut().zip(&mut spill.runs) {
            if let Some(tally) = tally.as_mut().filter(|tally| tally.heap_bytes() > fair) {
                runs.spill(tally)?;
            }
        }
        Ok(())
    }

    /// Calls `each` with the values of table `table`: by falling count, ties by text, so that the order of
    /// the rows does not matter (or in the order of the rows, where that is asked for).
    fn values(&mut self, table: usize, least: u64, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let Some(mut tally) = self.tallies[table].take() else { return Ok(()) };
        if let Some(spill) = self.spill.as_mut().filter(|spill| !spill.runs[table].is_empty()) {
            let mut runs = std::mem::replace(&mut spill.runs[table], Runs::new(Path::new(""), String::new()));
            runs.spill(&mut tally)?;
            return runs.by_rank(least, spill.limit / 2, each);
        }
        tally.by_rank(least).into_iter().try_for_each(|(text, _)| each(text))
    }

    /// Tables that have a vocabulary, by name: (name, table, least count).
    fn vocabularies(&self) -> Vec<(String, usize, u64)> {
        let (first, _) = tables(&self.schema);
        let named = first.iter().enumerate().filter_map(|(table, column)| match column.encoding {
            Encoding::Vocabulary { min_count, .. } => {
                Some((column.table_name().to_owned(), table, min_count))
            }
            Encoding::FirstSeen { .. } => Some((column.table_name().to_owned(), table, 0)),
            _ => None,
        });
        let mut named: Vec<_> = named.collect();
        named.sort_unstable();
        named
    }

    /// Bytes of memory that counts take, and what putting the values of the largest table in order takes
    /// besides.
    pub(crate) fn counting_bytes(&self) -> u64 {
        let tallies = || self.tallies.iter().flatten();
        let ordering = |tally: &Tally| tally.len() * size_of::<(&str, u64)>();
        let used: usize = tallies().map(Tally::used_bytes).sum();
        (used + tallies().map(ordering).max().unwrap_or(0)) as u64
    }

    fn scales(&mut self) -> Vec<DenseScale> {
        std::mem::take(&mut self.dense).into_iter().map(DenseFit::finish).collect()
    }

    /// The fitted encoder.
    ///
    /// # Errors
    /// If a vocabulary has more values than ids.
    pub fn finish(mut self) -> Result<Encoder> {
        let mut vocabularies = BTreeMap::new();
        for (name, table, least) in self.vocabularies() {
            let mut texts = StringArena::default();
            self.values(table, least, &mut |text| {
                texts.push(text);
                Ok(())
            })?;
            vocabularies.insert(name, texts);
        }
        let dense = self.scales();
        Encoder::from_parts(self.schema, dense, vocabularies)
    }

    /// The encoder `base`, grown by the values of these rows that are frequent enough and new to it: they get
    /// ids behind its own, by falling count, ties by text. All else stays: ids of old values, hashes, scales.
    /// It must be able to grow for this schema.
    ///
    /// # Errors
    /// If a vocabulary has more values than ids.
    pub(crate) fn grow(mut self, base: &Encoder) -> Result<Encoder> {
        let mut vocabularies = BTreeMap::new();
        for (name, table, least) in self.vocabularies() {
            let known = base.vocabulary(&name);
            let mut texts = known.map_or_else(StringArena::default, |known| known.texts().clone());
            self.values(table, least, &mut |text| {
                if known.is_none_or(|known| known.place(text).is_none()) {
                    texts.push(text);
                }
                Ok(())
            })?;
            vocabularies.insert(name, texts);
        }
        Encoder::from_parts(self.schema, base.dense().to_vec(), vocabularies)
    }

    /// Writes the fitted encoder to `path` as JSON, byte for byte what serializing [`EncoderFit::finish`]
    /// would give, without holding a vocabulary in memory.
    ///
    /// # Errors
    /// If the file system refuses; the error names the file and what was tried.
    pub fn finish_to(mut self, path: &Path) -> Result<Vec<VocabularySize>> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut out = JsonFile { out: BufWriter::with_capacity(1 << 20, file), path: path.to_owned() };
        let dense = self.scales();
        out.raw("{\"schema\":")?;
        out.value(&self.schema)?;
        out.raw(",\"dense\":")?;
        out.value(&dense)?;
        out.raw(",\"vocabularies\":{")?;
        let mut sizes = Vec::new();
        for (name, table, least) in self.vocabularies() {
            out.raw(if sizes.is_empty() { "" } else { "," })?;
            out.value(&name)?;
            out.raw(":[")?;
            let mut size = VocabularySize { table: name, values: 0, bytes: 0 };
            self.values(table, least, &mut |text| {
                out.raw(if size.values == 0 { "" } else { "," })?;
                size.values += 1;
                size.bytes += text.len() as u64;
                out.value(text)
            })?;
            out.raw("]")?;
            sizes.push(size);
        }
        out.raw("}}")?;
        out.out.flush().map_err(Error::io("write", path))?;
        Ok(sizes)
    }
}

struct JsonFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl JsonFile {
    fn raw(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(Error::io("write", &self.path))
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(|e| Error::io("write", &self.path)(e.into()))
    }
}
