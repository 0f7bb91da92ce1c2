//! From parsed rows to ids and scaled numbers: fitted once on the training rows, stored with the model, used
//! by training, evaluation, prediction and serving alike.
use crate::batch::{Arity, Bags, Batch, Feature, Layout, TableLayout};
use crate::counts::EncodedCounts;
use crate::dense::DenseScale;
use crate::error::{Error, Result, quoted};
use crate::ids::{Frame, Ids, MISSING};
use crate::parse::ParsedRow;
use crate::pass::Block;
use crate::rows::Picked;
use crate::schema::{CategoricalColumn, Encoding, Schema};
use crate::string_arena::StringArena;
use crate::vocabulary::{Twice, Vocabulary};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// A fitted encoder.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Encoder {
    schema: Schema,
    dense: Vec<DenseScale>,
    tables: Vec<(String, Ids)>,
    /// Table of each categorical column.
    table_of: Vec<usize>,
    crosses: Vec<Crossing>,
}

/// Bytes of the text of a value, where texts are not known.
const USUAL_TEXT: u64 = 10;

/// A cross, with its columns found.
#[derive(Debug, Clone)]
struct Crossing {
    columns: Vec<usize>,
    table: usize,
    buckets: u32,
    seed: u64,
}

/// The form of an encoder on disk.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    schema: Schema,
    dense: Vec<DenseScale>,
    /// Vocabularies by table name; other encodings follow from the schema.
    vocabularies: BTreeMap<String, StringArena>,
}

/// Values of a vocabulary that one round of encoding knows.
pub(crate) struct TablePiece {
    /// Their texts.
    pub texts: StringArena,
    /// The place of each among all values; `None` if these are all.
    pub places: Option<Vec<u32>>,
    /// Number of all values.
    pub values: usize,
}

/// Names of the tables in order of first use, and the table of each column.
pub(crate) fn tables(schema: &Schema) -> (Vec<&CategoricalColumn>, Vec<usize>) {
    let mut first: Vec<&CategoricalColumn> = Vec::new();
    let table_of = schema.categorical.iter().map(|column| {
        first.iter().position(|c| c.table_name() == column.table_name()).unwrap_or_else(|| {
            first.push(column);
            first.len() - 1
        })
    });
    let table_of = table_of.collect();
    (first, table_of)
}

impl TryFrom<Stored> for Encoder {
    type Error = Error;

    fn try_from(mut stored: Stored) -> Result<Self> {
        stored.schema.check("encoder")?;
        if stored.dense.len() != stored.schema.dense.len() {
            let found = stored.dense.len().to_string();
            return Err(Error::input(
                "encoder",
                format!("{} dense columns", stored.schema.dense.len()),
                found,
            ));
        }
        for (scale, column) in stored.dense.iter().zip(&stored.schema.dense) {
            scale.check(&column.name)?;
        }
        let (first, table_of) = tables(&stored.schema);
        let mut tables = Vec::with_capacity(first.len());
        for column in first {
            let name = column.table_name();
            let ids = match column.encoding {
                Encoding::Vocabulary { .. } | Encoding::FirstSeen { .. } => {
                    let values = vocabulary(name, stored.vocabularies.remove(name))?;
                    Ids::Vocabulary { frame: Frame::new(&column.encoding, values.texts().len()), values }
                }
                Encoding::Hash { buckets, seed } => Ids::Hash { buckets, seed },
                Encoding::Identity { bound } => Ids::Identity { bound },
            };
            tables.push((name.to_owned(), ids));
        }
        let place = |name: &String| {
            stored.schema.categorical.iter().position(|c| c.name == *name).expect("checked with the schema")
        };
        let mut crosses = Vec::with_capacity(stored.schema.crosses.len());
        for cross in &stored.schema.crosses {
            let (buckets, seed) = (cross.buckets, cross.seed);
            crosses.push(Crossing {
                columns: cross.columns.iter().map(place).collect(),
                table: tables.len(),
                buckets,
                seed,
            });
            tables.push((cross.name(), Ids::Hash { buckets, seed }));
        }
        Ok(Encoder { dense: stored.dense, tables, table_of, crosses, schema: stored.schema })
    }
}

fn vocabulary(name: &str, values: Option<StringArena>) -> Result<Vocabulary> {
    let what = || format!("encoder: vocabulary of \"{name}\"");
    let values = values.ok_or_else(|| Error::input(what(), "a list of values", "none"))?;
    if values.len() as u64 > u64::from(u32::MAX - 2) {
        return Err(Error::input(what(), "fewer than 2^32 - 2 values", values.len().to_string())
            .with_hint("raise min_count, or use a hash encoding"));
    }
    let twice = |Twice(value)| Error::input(what(), "each value once", format!("{} twice", quoted(&value)));
    Vocabulary::new(values).map_err(twice)
}

impl Serialize for Encoder {
    /// As it is stored, without copies of the vocabularies.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            schema: &'a Schema,
            dense: &'a [DenseScale],
            vocabularies: BTreeMap<&'a str, &'a StringArena>,
        }
        let vocabularies = self.vocabularies().map(|(name, values)| (name, values.texts())).collect();
        Written { schema: &self.schema, dense: &self.dense, vocabularies }.serialize(serializer)
    }
}

impl Encoder {
    /// Of what was fitted.
    ///
    /// # Errors
    /// If the parts do not fit each other.
    pub(crate) fn from_parts(
        schema: Schema,
        dense: Vec<DenseScale>,
        vocabularies: BTreeMap<String, StringArena>,
    ) -> Result<Self> {
        Encoder::try_from(Stored { schema, dense, vocabularies })
    }

    /// An encoder that was fitted to no rows, of columns whose ids follow from their texts.
    ///
    /// # Errors
    /// If the schema contradicts itself or has a column with a vocabulary, or the dense columns are not its
    /// own.
    pub fn unfitted(schema: Schema, dense: Vec<DenseScale>) -> Result<Self> {
        Encoder::from_parts(schema, dense, BTreeMap::new())
    }

    /// An encoder that knows pieces of the vocabularies: every other value is *unseen* to it, and all values
    /// of a table without any piece.
    pub(crate) fn from_pieces(
        schema: Schema,
        dense: Vec<DenseScale>,
        pieces: BTreeMap<String, TablePiece>,
    ) -> Result<Self> {
        let (mut whole, mut parts) = (BTreeMap::new(), BTreeMap::new());
        for (table, piece) in pieces {
            match piece.places {
                None => whole.insert(table, piece.texts),
                Some(places) => {
                    whole.insert(table.clone(), piece.texts);
                    parts.insert(table, (places, piece.values));
                    None
                }
            };
        }
        let mut encoder = Encoder::from_parts(schema, dense, whole)?;
        let (first, _) = tables(&encoder.schema);
        for ((name, ids), column) in encoder.tables.iter_mut().zip(first) {
            if let (Ids::Vocabulary { values, .. }, Some((places, all))) = (&mut *ids, parts.remove(name)) {
                *ids = Ids::Piece {
                    values: std::mem::take(values),
                    places,
                    frame: Frame::new(&column.encoding, all),
                };
            }
        }
        Ok(encoder)
    }

    /// How many ids each feature has in a row.
    pub fn arities(&self) -> Vec<Arity> {
        let columns = &self.schema.categorical;
        let of = |single: bool| if single { Arity::One } else { Arity::Any };
        let crosses =
            self.crosses.iter().map(|cross| of(cross.columns.iter().all(|&c| columns[c].multi.is_none())));
        columns.iter().map(|column| of(column.multi.is_none())).chain(crosses).collect()
    }

    /// Counts of the values of encoded rows, one per categorical column and cross.
    pub fn counts_of(&self, batch: &Batch) -> Vec<EncodedCounts> {
        let mut all = self.counts();
        for ((counts, bags), ids) in all.iter_mut().zip(&batch.bags).zip(self.ids()) {
            ids.count(&bags.ids, counts);
        }
        all
    }

    /// The ids of each feature.
    fn ids(&self) -> impl Iterator<Item = &Ids> {
        let tables = self.table_of.iter().copied().chain(self.crosses.iter().map(|cross| cross.table));
        tables.map(|table| &self.tables[table].1)
    }

    /// Takes over what the round before has found of the values of the same rows: a value is known to one
    /// round at most.
    pub(crate) fn join_rounds(&self, batch: &mut Batch, before: &Batch) {
        for ((bags, before), ids) in batch.bags.iter_mut().zip(&before.bags).zip(self.ids()) {
            ids.join(&mut bags.ids, &before.ids);
        }
    }

    /// The values of a table that has a vocabulary.
    pub(crate) fn vocabulary(&self, table: &str) -> Option<&Vocabulary> {
        self.tables.iter().find(|(name, _)| name == table).and_then(|(_, ids)| ids.vocabulary())
    }

    /// The whole vocabularies, by table.
    fn vocabularies(&self) -> impl Iterator<Item = (&str, &Vocabulary)> {
        self.tables.iter().filter_map(|(name, ids)| Some((name.as_str(), ids.vocabulary()?)))
    }

    /// Bytes of memory that its vocabularies take.
    pub fn vocabulary_bytes(&self) -> u64 {
        let of = |values: &Vocabulary| {
            Vocabulary::heap_bytes(values.texts().len() as u64, values.texts().text_bytes() as u64)
        };
        self.vocabularies().map(|(_, values)| of(values)).sum()
    }

    /// Bytes of the texts of its vocabularies.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.vocabularies().map(|(_, values)| values.texts().used_bytes() as u64).sum()
    }

    /// Bytes of memory that the vocabularies of `schema` would take where their tables have as many rows as
    /// those of `layout`.
    pub fn expected_vocabulary_bytes(schema: &Schema, layout: &Layout) -> u64 {
        let (first, _) = tables(schema);
        let with_vocabulary = first.iter().zip(&layout.tables).filter(|(c, _)| c.encoding.has_vocabulary());
        let values = with_vocabulary.map(|(_, table)| table.rows as u64);
        values.map(|values| Vocabulary::heap_bytes(values, USUAL_TEXT * values)).sum()
    }

    /// The schema it was fitted for.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The fitted dense columns, in the order of the schema.
    pub fn dense(&self) -> &[DenseScale] {
        &self.dense
    }

    /// The shape of encoded rows.
    pub fn layout(&self) -> Layout {
        let (mut dense, mut bins) = (Vec::new(), Vec::new());
        for (column, scale) in self.schema.dense.iter().zip(&self.dense) {
            let first = dense.len() + 1;
            bins.extend(first..first + scale.pieces.as_ref().map_or(0, |pieces| pieces.len()));
            dense.extend(scale.names(&column.name));
        }
        let features = self.schema.categorical.iter().zip(&self.table_of).map(|(column, &table)| Feature {
            name: column.name.clone(),
            table,
            weighted: weighted(column),
            embedding_dim: column.embedding_dim,
            pooling: column.pooling,
            crossed: false,
        });
        let crosses = self.schema.crosses.iter().zip(&self.crosses).map(|(cross, found)| Feature {
            name: cross.name(),
            table: found.table,
            weighted: found.columns.iter().any(|&c| weighted(&self.schema.categorical[c])),
            embedding_dim: None,
            pooling: None,
            crossed: true,
        });
        let tables =
            self.tables.iter().map(|(name, ids)| TableLayout { name: name.clone(), rows: ids.rows() });
        Layout {
            dense,
            bins,
            features: features.chain(crosses).collect(),
            tables: tables.collect(),
            sample_weights: self.schema.weight.is_some(),
            groups: self.schema.group.is_some(),
        }
    }

    /// The text of an id, where the encoding can be undone.
    pub fn decode(&self, table: usize, id: u32) -> Option<String> {
        self.tables[table].1.decode(id)
    }

    /// Appends rows to `batch`, which has this encoder's layout; `counts` has one entry per categorical
    /// column and cross.
    ///
    /// It goes column by column: the lookups of many rows wait for memory together.
    pub fn encode(&self, rows: Picked<'_>, batch: &mut Batch, counts: &mut [EncodedCounts]) {
        for row in rows.iter() {
            for (scale, &value) in self.dense.iter().zip(&row.parsed.dense) {
                scale.push(value, &mut batch.dense);
            }
        }
        for ((c, &table), column) in self.table_of.iter().enumerate().zip(&self.schema.categorical) {
            let ids = &self.tables[table].1;
            match column.multi {
                None => ids.encode_single(rows, c, &mut batch.bags[c], &mut counts[c]),
                Some(_) => ids.encode_multi(rows, c, &mut batch.bags[c], &mut counts[c]),
            }
        }
        let first = self.table_of.len();
        for ((cross, bags), counts) in
            self.crosses.iter().zip(&mut batch.bags[first..]).zip(&mut counts[first..])
        {
            rows.iter().for_each(|row| cross.encode(&row.parsed, |c| rows.text(row, c), bags, counts));
        }
        for row in rows.iter() {
            batch.labels.push(row.parsed.label);
            if let Some(weights) = &mut batch.weights {
                weights.push(row.parsed.weight);
            }
            if let Some(groups) = &mut batch.groups {
                groups.push(row.parsed.group);
            }
        }
    }

    /// The rows of a block, encoded.
    pub(crate) fn encode_block(&self, block: &Block) -> Batch {
        let (mut batch, picks) =
            (Batch::new(&self.layout()), (0..block.rows().len() as u32).collect::<Vec<_>>());
        self.encode(block.picked(&picks), &mut batch, &mut self.counts());
        batch
    }

    /// Zeroed counts, one per categorical column and cross.
    pub fn counts(&self) -> Vec<EncodedCounts> {
        let zero = |column: &CategoricalColumn| EncodedCounts {
            unseen: column.encoding.has_vocabulary().then_some(0),
            ..EncodedCounts::default()
        };
        self.schema
            .categorical
            .iter()
            .map(zero)
            .chain(self.crosses.iter().map(|_| EncodedCounts::default()))
            .collect()
    }
}

/// Whether the column's values carry weights.
fn weighted(column: &CategoricalColumn) -> bool {
    column.multi.as_ref().is_some_and(|m| m.weight_separator.is_some())
}

impl Crossing {
    /// Appends every combination of the columns' values, its weight being the product of theirs.
    fn encode<'r>(
        &self,
        row: &ParsedRow,
        text: impl Fn(usize) -> &'r str,
        bags: &mut Bags,
        counts: &mut EncodedCounts,
    ) {
        let mut push = |id, weight| {
            counts.values += 1;
            bags.ids.push(id);
            if let Some(weights) = &mut bags.weights {
                weights.push(weight);
            }
        };
        let combinations: usize = self.columns.iter().map(|&c| row.values(c).len()).product();
        for number in 0..combinations {
            let (mut rest, mut weight, mut hash) = (number, 1.0, Xxh3::with_seed(self.seed));
            for &c in &self.columns {
                let values = row.values(c);
                let value = &values[rest % values.len()];
                rest /= values.len();
                weight *= value.weight;
                let text = value.of(text(c));
                // With its length before it, "a" and "bc" are not "ab" and "c".
                hash.update(&(text.len() as u32).to_le_bytes());
                hash.update(text.as_bytes());
            }
            push(1 + (hash.digest() % u64::from(self.buckets)) as u32, weight);
        }
        if combinations == 0 {
            push(MISSING, 1.0);
            counts.missing += 1;
        }
        bags.offsets.push(bags.ids.len() as u32);
    }
}
