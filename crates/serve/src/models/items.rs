//! Items of a catalogue as a model reads them.
use super::parts::Parts;
use crate::catalogue::{Catalogue, Wanted};
use crate::inputs::InputKind;
use crate::rows::{OwnTexts, RowFormat, Texts};
use dlrm_data::Batch;
use dlrm_data::batch::{Arity, Layout};
use dlrm_data::prepared::MappedRows;
use dlrm_engine::explain::Column;
use dlrm_engine::{Error, Predictor, Result};
use std::ops::Range;
use std::sync::Arc;

/// Items that are encoded at once.
const PIECE: usize = 4096;

/// Items of a catalogue as a model reads them.
pub(crate) struct Items {
    pub(crate) catalogue: Arc<Catalogue>,
    /// Its columns among those of the catalogue: place there, and here.
    pub(crate) columns: Vec<(usize, usize)>,
    /// Between the values of columns with several.
    separators: Vec<Option<char>>,
    /// Encoded, unless some input is made of the context and the item together.
    encoded: Option<Encoded>,
}

/// The inputs that items decide, encoded.
struct Encoded {
    rows: MappedRows,
    own: Own,
}

/// Inputs that items decide among those of the model.
struct Own {
    /// All inputs of the model.
    layout: Layout,
    /// Places of numbers.
    dense: Vec<usize>,
    /// Places of features.
    bags: Vec<usize>,
}

impl Items {
    pub(super) fn new(
        catalogue: &Arc<Catalogue>,
        predictor: &Predictor,
        format: &RowFormat,
        inputs: &[Column],
    ) -> Result<Self> {
        let places = catalogue.columns().iter().enumerate();
        let columns: Vec<(usize, usize)> =
            places.filter_map(|(there, name)| Some((there, format.input(name)?))).collect();
        if columns.is_empty() {
            let found = catalogue.columns().join(", ");
            return Err(Error::config("items", "a column that the model reads", found));
        }
        let separator = |name: &String| match format.inputs()[format.input(name)?].kind {
            InputKind::MultiValued { separator, .. } => Some(separator),
            _ => None,
        };
        let separators = catalogue.columns().iter().map(separator).collect();
        let here: Vec<usize> = columns.iter().map(|&(_, here)| here).collect();
        let parts = Parts::of(predictor.encoder().schema(), format, inputs, &here);
        let mut items = Items { catalogue: catalogue.clone(), columns, separators, encoded: None };
        let (own, arities) = Own::of(predictor, &parts);
        let rows = MappedRows::new(catalogue.scratch(), own.part(), arities);
        // Items that cannot be read come to light now, also where they are read anew for each context.
        let encoded = items.encode(predictor, format, (!parts.is_mixed).then_some(rows), &own)?;
        items.encoded = encoded.map(|rows| Encoded { rows, own });
        Ok(items)
    }

    /// Reads all items, and puts what they decide into `rows`, if that is wanted.
    fn encode(
        &self,
        predictor: &Predictor,
        format: &RowFormat,
        mut rows: Option<MappedRows>,
        own: &Own,
    ) -> Result<Option<MappedRows>> {
        let mut scorer = predictor.row_scorer(&format.names())?;
        let mut texts = format.missing();
        for first in (0..self.catalogue.len()).step_by(PIECE) {
            for place in first..self.catalogue.len().min(first + PIECE) {
                self.put(place, &mut texts);
                scorer.push(format.read_of(&texts).fields()).map_err(|bad| {
                    let what = format!("items: the item {}", self.catalogue.key_of(place));
                    Error::config(what, bad.expected.clone(), bad.found.clone())
                })?;
            }
            let encoded = scorer.encode();
            if let Some(rows) = &mut rows {
                rows.push(&own.take(encoded))?;
            }
        }
        Ok(rows.map(MappedRows::finish).transpose()?)
    }

    /// Puts the columns of an item in their places.
    fn put(&self, place: usize, row: &mut Texts) {
        for &(there, here) in &self.columns {
            let field = &mut row.fields[here];
            field.clear();
            field.push_str(self.catalogue.field(place, there));
        }
    }

    /// What an item says of its own.
    pub(crate) fn own(&self, place: usize) -> OwnTexts {
        let mut own = OwnTexts::default();
        self.columns.iter().for_each(|&(there, here)| own.add(here, self.catalogue.field(place, there)));
        own
    }

    /// Those in `places` that are wanted.
    pub(crate) fn admitted(&self, wanted: &Wanted, places: Range<u32>) -> Vec<u32> {
        self.catalogue.admitted(wanted, &self.separators, places)
    }

    /// The `admitted` among the items in `places`, encoded with everything open that they do not decide;
    /// `None` where they have to be read together with their context.
    ///
    /// # Errors
    /// If a file was cut short.
    pub(crate) fn encoded(&self, places: Range<u32>, admitted: &[u32]) -> Result<Option<Batch>> {
        let Some(Encoded { rows, own }) = &self.encoded else { return Ok(None) };
        let (first, mut block) = (places.start, Batch::default());
        rows.read(first as usize..places.end as usize, &mut block)?;
        if admitted.len() < block.len() {
            let picks: Vec<u32> = admitted.iter().map(|place| place - first).collect();
            let mut picked = Batch::default();
            rows.pick(&block, &picks, &mut picked);
            block = picked;
        }
        Ok(Some(own.put(block)))
    }
}

impl Own {
    fn of(predictor: &Predictor, parts: &Parts) -> (Self, Vec<Arity>) {
        let (layout, all) = (predictor.encoder().layout(), predictor.encoder().arities());
        let dense = (0..layout.dense.len()).filter(|place| !parts.dense.contains(place)).collect();
        let bags: Vec<usize> =
            (0..layout.features.len()).filter(|place| !parts.bags.contains(place)).collect();
        let arities = bags.iter().map(|&place| all[place]).collect();
        (Own { layout, dense, bags }, arities)
    }

    /// The layout of these inputs alone.
    fn part(&self) -> Layout {
        Layout {
            dense: self.dense.iter().map(|&place| self.layout.dense[place].clone()).collect(),
            features: self.bags.iter().map(|&place| self.layout.features[place].clone()).collect(),
            tables: self.layout.tables.clone(),
            ..Layout::default()
        }
    }

    /// These inputs of rows that have all.
    fn take(&self, all: &Batch) -> Batch {
        let width = self.layout.dense.len().max(1);
        let rows = all.dense.chunks_exact(width);
        Batch {
            dense: rows.flat_map(|row| self.dense.iter().map(|&place| row[place])).collect(),
            bags: self.bags.iter().map(|&place| all.bags[place].clone()).collect(),
            labels: all.labels.clone(),
            ..Batch::default()
        }
    }

    /// Rows of all inputs, where these are in their places.
    fn put(&self, part: Batch) -> Batch {
        let (mut all, rows, width) = (Batch::new(&self.layout), part.len(), self.layout.dense.len());
        all.dense.resize(rows * width, 0.0);
        for (row, own) in
            all.dense.chunks_exact_mut(width.max(1)).zip(part.dense.chunks(self.dense.len().max(1)))
        {
            self.dense.iter().zip(own).for_each(|(&place, &value)| row[place] = value);
        }
        for bags in &mut all.bags {
            bags.offsets.resize(rows + 1, 0);
        }
        self.bags.iter().zip(part.bags).for_each(|(&place, bags)| all.bags[place] = bags);
        all.labels = part.labels;
        all.weights.iter_mut().for_each(|weights| weights.resize(rows, 1.0));
        all.groups.iter_mut().for_each(|groups| groups.resize(rows, 0));
        all
    }
}
