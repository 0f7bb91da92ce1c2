//! Rounds of encoding: which vocabularies are looked up in the same pass over the rows.
//!
//! Each round gives a column the ids that its vocabularies know, where the round before has not: a value is
//! known to one piece of one vocabulary at most, and *unseen* to all others.
use crate::dense::DenseScale;
use crate::encoder::{Encoder, TablePiece};
use crate::error::{Error, Result};
use crate::fit::VocabularySize;
use crate::schema::Schema;
use crate::string_arena::StringArena;
use crate::vocabulary::Vocabulary;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// A share of a vocabulary: the values whose hash leaves `part` when divided by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    part: u64,
    of: u64,
}

/// The vocabularies of one round, by table.
pub(super) type Round = BTreeMap<String, Share>;

impl Share {
    fn holds(self, text: &str) -> bool {
        self.of == 1 || xxh3_64(text.as_bytes()) % self.of == self.part
    }
}

/// Bytes of a share of a vocabulary with the ids of its values. Shares by hash differ a little in size.
fn bytes(size: &VocabularySize, of: u64) -> u64 {
    let share = |n: u64| if of == 1 { n } else { n / of + n / of / 16 + 1024 };
    Vocabulary::heap_bytes(share(size.values), share(size.bytes)) + 4 * share(size.values)
}

/// As few rounds as `budget` bytes of memory allow, in order.
pub(super) fn plan(sizes: &[VocabularySize], budget: Option<u64>) -> Vec<Round> {
    let budget = budget.unwrap_or(u64::MAX);
    let mut rounds: Vec<(u64, Round)> = vec![(0, Round::new())];
    for size in sizes {
        // The smallest share that can be had is that of a thousand values.
        let of = (1..=size.values / 1024 + 1)
            .find(|&of| bytes(size, of) <= budget)
            .unwrap_or(size.values / 1024 + 1);
        for part in 0..of {
            let needed = bytes(size, of);
            let fits = |(taken, round): &&mut (u64, Round)| {
                taken.saturating_add(needed) <= budget && !round.contains_key(&size.table)
            };
            let share = Share { part, of };
            match rounds.iter_mut().find(|round| fits(round)) {
                Some((taken, round)) => {
                    *taken += needed;
                    round.insert(size.table.clone(), share);
                }
                None => rounds.push((needed, Round::from([(size.table.clone(), share)]))),
            }
        }
    }
    rounds.retain(|(_, round)| !round.is_empty());
    if rounds.is_empty() {
        rounds.push((0, Round::new()));
    }
    rounds.into_iter().map(|(_, round)| round).collect()
}

/// The encoder of a round, from the file of the whole one.
pub(super) fn encoder(path: &Path, round: &Round, sizes: &[VocabularySize]) -> Result<Encoder> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 20, file));
    let stored = Stored { round }.deserialize(&mut json);
    let (schema, dense, mut pieces) =
        stored.map_err(|e| Error::input(path.display().to_string(), "an encoder", e.to_string()))?;
    for size in sizes {
        pieces
            .entry(size.table.clone())
            .or_insert(TablePiece { texts: StringArena::default(), places: Some(Vec::new()), values: 0 })
            .values = size.values as usize;
    }
    Encoder::from_pieces(schema, dense, pieces)
}

/// Reads a stored encoder but for the values that a round has no use for.
struct Stored<'a> {
    round: &'a Round,
}

type Pieces = (Schema, Vec<DenseScale>, BTreeMap<String, TablePiece>);

impl<'de> DeserializeSeed<'de> for Stored<'_> {
    type Value = Pieces;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Pieces, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Stored<'_> {
    type Value = Pieces;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an encoder")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pieces, A::Error> {
        let (mut schema, mut dense, mut pieces) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "schema" => schema = Some(map.next_value()?),
                "dense" => dense = Some(map.next_value()?),
                "vocabularies" => pieces = Some(map.next_value_seed(Tables { round: self.round })?),
                other => {
                    return Err(serde::de::Error::unknown_field(other, &["schema", "dense", "vocabularies"]));
                }
            }
        }
        let missing = serde::de::Error::missing_field;
        let schema = schema.ok_or_else(|| missing("schema"))?;
        Ok((schema, dense.ok_or_else(|| missing("dense"))?, pieces.ok_or_else(|| missing("vocabularies"))?))
    }
}

struct Tables<'a> {
    round: &'a Round,
}

impl<'de> DeserializeSeed<'de> for Tables<'_> {
    type Value = BTreeMap<String, TablePiece>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tables<'_> {
    type Value = BTreeMap<String, TablePiece>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("vocabularies by table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pieces = BTreeMap::new();
        while let Some(table) = map.next_key::<String>()? {
            match self.round.get(&table) {
                Some(&share) => {
                    let piece = map.next_value_seed(Values { share })?;
                    pieces.insert(table, piece);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(pieces)
    }
}

struct Values {
    share: Share,
}

impl<'de> DeserializeSeed<'de> for Values {
    type Value = TablePiece;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<TablePiece, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = TablePiece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TablePiece, A::Error> {
        let (mut texts, mut places, mut values) = (StringArena::default(), Vec::new(), 0);
        while let Some(text) = list.next_element::<String>()? {
            if self.share.holds(&text) {
                texts.push(&text);
                let place = u32::try_from(values);
                places.push(place.map_err(|_| serde::de::Error::custom("more than 2^32 values"))?);
            }
            values += 1;
        }
        Ok(TablePiece { texts, places: (self.share.of > 1).then_some(places), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(table: &str, values: u64) -> VocabularySize {
        VocabularySize { table: table.into(), values, bytes: 8 * values }
    }

    #[test]
    fn rounds_hold_every_share_once_and_what_fits() {
        let sizes = [size("a", 100_000), size("b", 1_000_000), size("c", 20_000), size("d", 50_000)];
        assert_eq!(plan(&sizes, None).len(), 1);
        let budget = 8 << 20;
        let rounds = plan(&sizes, Some(budget));
        let mut shares = BTreeMap::<&str, Vec<u64>>::new();
        for round in &rounds {
            let taken: u64 = round
                .iter()
                .map(|(t, s)| bytes(sizes.iter().find(|size| size.table == *t).unwrap(), s.of))
                .sum();
            assert!(taken <= budget, "{taken}");
            round.iter().for_each(|(table, share)| shares.entry(table).or_default().push(share.part));
        }
        assert_eq!((shares["a"].len(), shares["c"].len()), (1, 1));
        assert!(shares["b"].len() > 2 && shares["b"].iter().copied().eq(0..shares["b"].len() as u64));
        assert_eq!(plan(&[], Some(1)).len(), 1, "the rows are encoded in any case");
    }
}
