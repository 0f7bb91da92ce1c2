//! What other ranks hold of a model's tables, as the first one asks for it: pooled vectors, and the bytes of
//! tensors. The others answer wherever they wait for it; nothing of this happens in a step.
use crate::error::Result;
use crate::ranks::Ranks;
use dlrm_data::Batch;
use dlrm_nn::{GatheredVectors, LocalTables};
use std::ops::Range;

/// The other ranks, seen from the first one.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    ranks: Ranks,
}

/// Whose tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those of the weights, by their place among them.
    Weights,
    /// Those of the optimiser.
    Optimizer,
}

/// What is asked.
pub(crate) const VECTORS: u8 = 0;
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;
pub(crate) const REPACK: u8 = 3;

impl Elsewhere {
    /// The others, where there are any and this is the first rank.
    pub(crate) fn of(ranks: &Ranks) -> Option<Self> {
        (ranks.size() > 1 && ranks.is_first()).then(|| Elsewhere { ranks: ranks.clone() })
    }

    /// Number of ranks, the first one included.
    pub(crate) fn ranks(&self) -> usize {
        self.ranks.size()
    }

    /// Pooled vectors of runs of rows of a batch, which lie one behind the other.
    ///
    /// # Panics
    /// If another rank is gone: none can go on without the others.
    pub(crate) fn vectors<'a>(
        &self,
        tables: &'a LocalTables,
        batch: &Batch,
        runs: impl Iterator<Item = Range<usize>> + Clone,
    ) -> GatheredVectors<'a> {
        let start = runs.clone().next().map_or(0, |run| run.start);
        let ends: Vec<usize> = runs.clone().map(|run| run.end - start).collect();
        let rows = start..start + ends.last().copied().unwrap_or(0);
        let question = |rank: usize| match rank {
            0 => Vec::new(),
            _ => vectors_question(batch, rows.clone(), &ends, &tables.features_of(rank)),
        };
        let asked = self.ranks.ask((0..self.ranks.size()).map(question).collect());
        let mut vectors = asked.unwrap_or_else(|error| panic!("rows are scored by all ranks: {error}"));
        vectors[0].clear();
        GatheredVectors::new(tables, batch, runs, vectors).expect("ranks run one program on one model")
    }

    /// Bytes of a tensor: of one other rank's part of it, or of that of each, by rank.
    ///
    /// # Errors
    /// If another rank cannot go on.
    pub(crate) fn read(
        &self,
        of: Option<usize>,
        tensor: (Whose, usize),
        bytes: Range<usize>,
    ) -> Result<Vec<Vec<u8>>> {
        let mut question = vec![READ];
        put_place(&mut question, tensor, bytes.start);
        question.extend((bytes.end as u64).to_le_bytes());
        let asked = |rank: usize| rank > 0 && of.is_none_or(|of| of == rank);
        self.ranks.ask(self.to(asked, |_| question.clone()))
    }

    /// Writes bytes into a tensor: into that of one other rank or of all.
    ///
    /// # Errors
    /// If another rank cannot go on.
    pub(crate) fn write(
        &self,
        to: Option<usize>,
        tensor: (Whose, usize),
        start: usize,
        bytes: &dyn Fn(usize) -> Vec<u8>,
    ) -> Result<()> {
        let asked = |rank: usize| rank > 0 && to.is_none_or(|to| to == rank);
        let question = |rank: usize| {
            let mut question = vec![WRITE];
            put_place(&mut question, tensor, start);
            question.extend(bytes(rank));
            question
        };
        self.ranks.ask(self.to(asked, question)).map(drop)
    }

    /// Lets the others renew the packed forms of weights that were written.
    ///
    /// # Errors
    /// If another rank cannot go on.
    pub(crate) fn repack(&self) -> Result<()> {
        self.ranks.ask(self.to(|rank| rank > 0, |_| vec![REPACK])).map(drop)
    }

    fn to(&self, asked: impl Fn(usize) -> bool, question: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
        let of = |rank: usize| if asked(rank) { question(rank) } else { Vec::new() };
        (0..self.ranks.size()).map(of).collect()
    }
}

fn put_place(question: &mut Vec<u8>, (whose, index): (Whose, usize), start: usize) {
    question.push(u8::from(whose == Whose::Optimizer));
    question.extend((index as u64).to_le_bytes());
    question.extend((start as u64).to_le_bytes());
}

/// The ids of some rows and features.
fn vectors_question(batch: &Batch, rows: Range<usize>, ends: &[usize], features: &[usize]) -> Vec<u8> {
    let mut question = vec![VECTORS];
    let mut number = |n: usize| question.extend((n as u32).to_le_bytes());
    number(batch.bags.len());
    number(ends.len());
    ends.iter().for_each(|&end| number(end));
    number(features.len());
    for &feature in features {
        let bags = &batch.bags[feature];
        let offsets = &bags.offsets[rows.start..=rows.end];
        let ids = offsets[0] as usize..offsets[rows.len()] as usize;
        for n in [feature, usize::from(bags.weights.is_some()), ids.len()] {
            question.extend((n as u32).to_le_bytes());
        }
        offsets.iter().for_each(|offset| question.extend((offset - offsets[0]).to_le_bytes()));
        question.extend_from_slice(bytemuck::cast_slice(&bags.ids[ids.clone()]));
        if let Some(weights) = &bags.weights {
            question.extend_from_slice(bytemuck::cast_slice(&weights[ids]));
        }
    }
    question
}
