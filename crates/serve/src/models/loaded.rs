//! A model that answers requests.
use super::items::Items;
use crate::catalogue::{Catalogue, Origin};
use crate::inputs::inputs;
use crate::rows::RowFormat;
use dlrm_data::Batch;
use dlrm_data::parse::Labels;
use dlrm_engine::explain::{Column, columns};
use dlrm_engine::{Predictor, Result, RowScorer};
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
    /// Why it cannot use the catalogue that was made of the events of some model.
    pub(crate) without_items: Option<String>,
    /// The report of its training.
    pub(crate) report: Option<PathBuf>,
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
        let (items, without_items) = items(catalogue, &predictor, &format, &columns)?;
        let report = Some(dir.join("report.html")).filter(|path| path.is_file());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (name, since) = (name.to_owned(), now.as_secs());
        Ok(Loaded {
            name,
            version,
            since,
            predictor,
            format,
            columns,
            nothing,
            example,
            items,
            without_items,
            report,
        })
    }

    /// A scorer of rows of its columns.
    pub(crate) fn scorer(&self) -> Result<RowScorer<'_>> {
        let (encoder, network) = (self.predictor.encoder(), self.predictor.network());
        RowScorer::new(encoder, network, &self.format.names(), Labels::Ignored, "rows")
    }
}

/// The items of the catalogue, or why it has none for the model. A table that someone has given must fit.
fn items(
    catalogue: Option<&Arc<Catalogue>>,
    predictor: &Predictor,
    format: &RowFormat,
    columns: &[Column],
) -> Result<(Option<Items>, Option<String>)> {
    let Some(catalogue) = catalogue else { return Ok((None, None)) };
    match Items::new(catalogue, predictor, format, columns) {
        Ok(items) => Ok((Some(items), None)),
        Err(error) if catalogue.origin() == Origin::Events => Ok((None, Some(error.to_string()))),
        Err(error) => Err(error),
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
