//! A model that answers requests.
use crate::inputs::inputs;
use crate::rows::{RowFormat, Texts};
use dlrm_data::Batch;
use dlrm_data::parse::Labels;
use dlrm_engine::explain::{Column, columns};
use dlrm_engine::{Predictor, Result, RowScorer};
use dlrm_kernels::Isa;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Letters of a version: enough that two of a lifetime differ.
const LETTERS: usize = 12;

/// A model, loaded and checked.
pub(crate) struct Loaded {
    /// The name that requests call it by.
    pub(crate) name: String,
    /// Its contents in a few letters: the same files have the same version, wherever and whenever.
    pub(crate) version: String,
    pub(crate) predictor: Predictor,
    pub(crate) format: RowFormat,
    /// What explanations speak of.
    pub(crate) columns: Vec<Column>,
    /// A row in which everything is missing, encoded.
    pub(crate) nothing: Batch,
}

impl Loaded {
    /// Loads the directory, with every check that it has: checksums, and golden rows scored again.
    pub(super) fn load(name: &str, dir: &Path, isa: Isa, limit: Option<u64>) -> Result<Self> {
        let predictor = Predictor::load_within(dir, isa, limit)?;
        let schema = predictor.encoder().schema();
        let own = [Some(&schema.label.column), schema.weight.as_ref(), schema.group.as_ref()];
        let ignored = own.into_iter().flatten().chain(schema.time.as_ref()).cloned().collect();
        let format = RowFormat::new(inputs(schema), ignored);
        let columns = columns(predictor.encoder());
        let nothing = {
            let mut scorer = predictor.row_scorer(&format.names())?;
            let row = Texts::missing(format.inputs.len());
            // A column that has no way to be missing is none that an encoder reads.
            let _ = scorer.push(row.fields.iter().map(String::as_str));
            scorer.encode().clone()
        };
        let version = version(&predictor);
        Ok(Loaded { name: name.to_owned(), version, predictor, format, columns, nothing })
    }

    /// A scorer of rows of its columns.
    pub(crate) fn scorer(&self) -> Result<RowScorer<'_>> {
        let (encoder, network) = (self.predictor.encoder(), self.predictor.network());
        RowScorer::new(encoder, network, &self.format.names(), Labels::Ignored, "rows")
    }
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
