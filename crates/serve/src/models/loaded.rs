//! A model that answers requests.
use crate::catalogue::Catalogue;
use crate::inputs::inputs;
use crate::rows::{RowFormat, Texts};
use dlrm_data::Batch;
use dlrm_data::parse::Labels;
use dlrm_engine::explain::{Column, columns};
use dlrm_engine::{Error, Predictor, Result, RowScorer};
use dlrm_kernels::Isa;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::Xxh3;

/// Letters of a version: enough that two of a lifetime differ.
const LETTERS: usize = 12;

/// A model, loaded and checked.
pub(crate) struct Loaded {
    /// The name that requests call it by.
    pub(crate) name: String,
    /// Its contents in a few letters: the same files have the same version, wherever and whenever.
    pub(crate) version: String,
    /// Seconds since 1970 when it was loaded.
    pub(crate) since: u64,
    pub(crate) predictor: Predictor,
    pub(crate) format: RowFormat,
    /// What explanations speak of.
    pub(crate) columns: Vec<Column>,
    /// A row in which everything is missing, encoded.
    pub(crate) nothing: Batch,
    /// A row that can be scored, by column.
    pub(crate) example: Vec<(String, String)>,
    /// The items that can be recommended, as it reads them.
    pub(crate) items: Option<Items>,
    /// The report of its training.
    pub(crate) report: Option<PathBuf>,
}

/// Items of a catalogue as a model reads them.
pub(crate) struct Items {
    pub(crate) catalogue: Arc<Catalogue>,
    /// Its columns among those of the catalogue: place there, and here.
    pub(crate) columns: Vec<(usize, usize)>,
    /// Encoded, with everything else missing.
    pub(crate) rows: Batch,
}

impl Loaded {
    /// Loads the directory, with every check that it has: checksums, and golden rows scored again. Its rows
    /// may have `keys` that it does not read.
    pub(crate) fn load(
        name: &str,
        dir: &Path,
        (isa, limit): (Isa, Option<u64>),
        (catalogue, keys): (Option<&Arc<Catalogue>>, &[String]),
    ) -> Result<Self> {
        let predictor = Predictor::load_within(dir, isa, limit)?;
        let schema = predictor.encoder().schema();
        let own = [Some(&schema.label.column), schema.weight.as_ref(), schema.group.as_ref()];
        let ignored = own.into_iter().flatten().chain(schema.time.as_ref()).cloned().collect();
        let format = RowFormat::new(inputs(schema), keys, ignored);
        let columns = columns(predictor.encoder());
        let nothing = {
            let mut scorer = predictor.row_scorer(&format.names())?;
            // A column that has no way to be missing is none that an encoder reads.
            let _ = scorer.push(format.read_of(&format.missing()).fields());
            scorer.encode().clone()
        };
        let version = version(&predictor);
        let example = example(&predictor, &format);
        let items = catalogue.map(|catalogue| Items::new(catalogue, &predictor, &format)).transpose()?;
        let report = Some(dir.join("report.html")).filter(|path| path.is_file());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (name, since) = (name.to_owned(), now.as_secs());
        Ok(Loaded { name, version, since, predictor, format, columns, nothing, example, items, report })
    }

    /// A scorer of rows of its columns.
    pub(crate) fn scorer(&self) -> Result<RowScorer<'_>> {
        let (encoder, network) = (self.predictor.encoder(), self.predictor.network());
        RowScorer::new(encoder, network, &self.format.names(), Labels::Ignored, "rows")
    }
}

impl Items {
    /// The context with the columns of one item in their places.
    pub(crate) fn joined(&self, context: &Texts, place: usize) -> Texts {
        let (mut row, item) = (context.clone(), &self.catalogue.items()[place]);
        self.columns.iter().for_each(|&(there, here)| row.fields[here].clone_from(&item[there]));
        row
    }

    fn new(catalogue: &Arc<Catalogue>, predictor: &Predictor, format: &RowFormat) -> Result<Self> {
        let columns: Vec<(usize, usize)> = catalogue
            .columns()
            .iter()
            .enumerate()
            .filter_map(|(place, name)| Some((place, format.input(name)?)))
            .collect();
        if columns.is_empty() {
            let found = catalogue.columns().join(", ");
            return Err(Error::config("items", "a column that the model reads", found));
        }
        let mut scorer = predictor.row_scorer(&format.names())?;
        let mut row = format.missing();
        for item in catalogue.items() {
            for &(there, here) in &columns {
                row.fields[here].clone_from(&item[there]);
            }
            let read = format.read_of(&row);
            let key = &item[catalogue.key_place()];
            scorer.push(read.fields()).map_err(|bad| {
                Error::config(format!("items: the item {key}"), bad.expected.clone(), bad.found.clone())
            })?;
        }
        Ok(Items { catalogue: catalogue.clone(), columns, rows: scorer.encode().clone() })
    }
}

/// The first golden row, as far as it says anything.
fn example(predictor: &Predictor, format: &RowFormat) -> Vec<(String, String)> {
    let golden = predictor.golden();
    let Some(row) = golden.rows.first() else { return Vec::new() };
    let known = golden.columns.iter().zip(row).filter(|(name, _)| format.input(name).is_some());
    known.map(|(name, text)| (name.clone(), text.clone())).collect()
}

fn version(predictor: &Predictor) -> String {
    let mut hash = Xxh3::new();
    for (name, file) in &predictor.manifest().files {
        hash.update(name.as_bytes());
        hash.update(file.xxh3.as_bytes());
    }
    let text = format!("{:016x}", hash.digest());
    text[..LETTERS].to_owned()
}
