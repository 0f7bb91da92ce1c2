//! The ids of one table: which row of it a value has.
use crate::batch::Bags;
use crate::counts::EncodedCounts;
use crate::rows::Picked;
use crate::schema::Encoding;
use crate::vocabulary::{Found, Vocabulary};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Row of a missing value in hash encodings and most vocabularies.
pub(crate) const MISSING: u32 = 0;
/// An id that no table has.
const NONE: u32 = u32::MAX;

/// Ids of one table.
#[derive(Debug, Clone)]
pub(crate) enum Ids {
    /// Values in the order of their ids.
    Vocabulary { values: Vocabulary, frame: Frame },
    /// Some of the values of a table that has so many, and the place of each among all.
    Piece { values: Vocabulary, places: Vec<u32>, frame: Frame },
    /// 1 + hash modulo so many.
    Hash { buckets: u32, seed: u64 },
    /// The value itself.
    Identity { bound: u32 },
}

/// What is around the values in a table that has a vocabulary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Row of a missing value.
    missing: u32,
    /// Row of a value that the vocabulary does not have.
    unseen: u32,
    /// Row of the first value.
    first: u32,
    rows: usize,
}

impl Frame {
    /// Of a table of `encoding` with so many values.
    pub(crate) fn new(encoding: &Encoding, values: usize) -> Self {
        match encoding {
            // Missing values are the value 0; the rows begin with the values, as in the reference.
            Encoding::FirstSeen { .. } => {
                Frame { missing: NONE, unseen: values as u32, first: 0, rows: values + 1 }
            }
            _ => Frame { missing: MISSING, unseen: 1, first: 2, rows: values + 2 },
        }
    }

    fn id(self, found: Found, place_of: impl Fn(u32) -> u32) -> u32 {
        match found {
            Found::Missing => self.missing,
            Found::Unknown => self.unseen,
            Found::Place(place) => place_of(place) + self.first,
        }
    }
}

impl Ids {
    /// Rows of the table.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Ids::Vocabulary { frame, .. } | Ids::Piece { frame, .. } => frame.rows,
            Ids::Hash { buckets, .. } => *buckets as usize + 1,
            Ids::Identity { bound } => *bound as usize + 1,
        }
    }

    /// The text of an id, where the encoding can be undone.
    pub(crate) fn decode(&self, id: u32) -> Option<String> {
        match self {
            Ids::Vocabulary { values, frame } => match id {
                id if id == frame.missing => Some("(missing)".into()),
                id if id == frame.unseen => Some("(unseen)".into()),
                _ => values.texts().get((id - frame.first) as usize).map(str::to_owned),
            },
            Ids::Piece { .. } => None,
            Ids::Hash { .. } => (id == MISSING).then(|| "(missing)".into()),
            Ids::Identity { bound } if id == *bound => Some("(missing)".into()),
            Ids::Identity { .. } => Some(id.to_string()),
        }
    }

    /// A whole vocabulary.
    pub(crate) fn vocabulary(&self) -> Option<&Vocabulary> {
        match self {
            Ids::Vocabulary { values, .. } => Some(values),
            _ => None,
        }
    }

    /// Counts of the values of encoded ids; whether *unseen* is counted is known to `counts`.
    pub(crate) fn count(&self, ids: &[u32], counts: &mut EncodedCounts) {
        counts.values += ids.len() as u64;
        counts.missing += how_many(ids, self.missing());
        counts.unseen.iter_mut().for_each(|unseen| *unseen += how_many(ids, self.unseen()));
    }

    /// Takes over what the round before has found of the same values.
    pub(crate) fn join(&self, ids: &mut [u32], before: &[u32]) {
        let unseen = self.unseen();
        ids.iter_mut().zip(before).filter(|(id, _)| **id == unseen).for_each(|(id, &before)| *id = before);
    }

    /// Appends the ids of column `c`, which has one value or none in a row.
    pub(crate) fn encode_single(
        &self,
        rows: Picked<'_>,
        c: usize,
        bags: &mut Bags,
        counts: &mut EncodedCounts,
    ) {
        let first = bags.ids.len();
        let texts = rows.iter().map(|row| {
            let value = row.parsed.values(c).first()?;
            Some(value.of(rows.text(row, c)))
        });
        self.push(texts, &mut bags.ids);
        self.count(&bags.ids[first..], counts);
        bags.offsets.extend(first as u32 + 1..=bags.ids.len() as u32);
    }

    /// Appends the ids of column `c`, which has any number of values in a row.
    pub(crate) fn encode_multi(
        &self,
        rows: Picked<'_>,
        c: usize,
        bags: &mut Bags,
        counts: &mut EncodedCounts,
    ) {
        let texts = rows.iter().flat_map(|row| {
            let text = rows.text(row, c);
            row.parsed.values(c).iter().map(move |value| Some(value.of(text)))
        });
        let first = bags.ids.len();
        self.push(texts, &mut bags.ids);
        let ids = &bags.ids[first..];
        counts.values += ids.len() as u64;
        counts.unseen.iter_mut().for_each(|unseen| *unseen += how_many(ids, self.unseen()));
        if let Some(weights) = &mut bags.weights {
            weights.extend(rows.iter().flat_map(|row| row.parsed.values(c)).map(|value| value.weight));
        }
        let lengths = rows.iter().map(|row| row.parsed.values(c).len());
        let missing = bags.close_rows(first, lengths, self.missing());
        counts.values += missing;
        counts.missing += missing;
    }

    fn push<'t>(&self, texts: impl Iterator<Item = Option<&'t str>>, ids: &mut Vec<u32>) {
        match self {
            Ids::Vocabulary { values, frame } => {
                values.places(texts, |found| ids.push(frame.id(found, |place| place)))
            }
            Ids::Piece { values, places, frame } => {
                values.places(texts, |found| ids.push(frame.id(found, |place| places[place as usize])));
            }
            Ids::Hash { buckets, seed } => {
                ids.extend(texts.map(|text| text.map_or(MISSING, |text| hashed(text, *buckets, *seed))))
            }
            // The parser has checked it.
            Ids::Identity { bound } => {
                ids.extend(texts.map(|text| text.and_then(|text| text.parse().ok()).unwrap_or(*bound)))
            }
        }
    }

    fn missing(&self) -> u32 {
        match self {
            Ids::Vocabulary { frame, .. } | Ids::Piece { frame, .. } => frame.missing,
            Ids::Hash { .. } => MISSING,
            Ids::Identity { bound } => *bound,
        }
    }

    fn unseen(&self) -> u32 {
        match self {
            Ids::Vocabulary { frame, .. } | Ids::Piece { frame, .. } => frame.unseen,
            Ids::Hash { .. } | Ids::Identity { .. } => NONE,
        }
    }
}

fn how_many(ids: &[u32], wanted: u32) -> u64 {
    ids.iter().filter(|&&id| id == wanted).count() as u64
}

fn hashed(text: &str, buckets: u32, seed: u64) -> u32 {
    1 + (xxh3_64_with_seed(text.as_bytes(), seed) % u64::from(buckets)) as u32
}
