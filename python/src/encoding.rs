//! Rows as the numbers and ids that models see.
use crate::error;
use crate::model::{Asked, CHUNK, Model, go_on};
use crate::rows::Rows;
use dlrm_data::Batch;
use dlrm_data::parse::Labels;
use dlrm_engine::{Predictor, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// The arrays of encoded rows, as bytes: the dense numbers (float32), and for each feature ids (uint32),
/// offsets (int64) and weights (float32; none where they are all 1).
pub(crate) type Arrays<'py> = (Bound<'py, PyBytes>, Vec<[Bound<'py, PyBytes>; 3]>);

/// Encoded rows, as bytes of arrays.
pub(crate) struct Encoded {
    dense: Vec<u8>,
    features: Vec<Feature>,
}

/// The ids of a feature: those of row b stand from offset b on.
#[derive(Default)]
struct Feature {
    ids: Vec<u8>,
    offsets: Vec<u8>,
    weights: Vec<u8>,
    count: u64,
}

/// Encodes rows.
#[pyfunction]
pub(crate) fn transform<'py>(
    py: Python<'py>,
    model: PyRef<'py, Model>,
    arguments: Bound<'py, PyDict>,
    rows: Option<PyRef<'py, Rows>>,
) -> PyResult<Arrays<'py>> {
    let predictor = model.predictor();
    let asked = Asked::of(py, predictor, (arguments, rows.as_deref()), Labels::Ignored)?;
    let encoded = py.detach(|| encode(predictor, &asked)).map_err(|error| error::of(py, error))?;
    Ok(encoded.arrays(py))
}

fn encode(predictor: &Predictor, asked: &Asked) -> Result<Encoded> {
    let mut scorer = asked.scorer(predictor, Labels::Ignored)?;
    let mut encoded = Encoded::new(predictor.encoder().layout().features.len());
    while !scorer.is_done() {
        go_on()?;
        encoded.add(scorer.encode(CHUNK)?);
    }
    Ok(encoded)
}

impl Encoded {
    /// No rows, of so many features.
    pub(crate) fn new(features: usize) -> Self {
        let feature = || Feature { offsets: 0i64.to_le_bytes().to_vec(), ..Feature::default() };
        Encoded { dense: Vec::new(), features: std::iter::repeat_with(feature).take(features).collect() }
    }

    /// As Python gets them.
    pub(crate) fn arrays<'py>(&self, py: Python<'py>) -> Arrays<'py> {
        let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
        let feature =
            |feature: &Feature| [&feature.ids, &feature.offsets, &feature.weights].map(|all| bytes(all));
        (bytes(&self.dense), self.features.iter().map(feature).collect())
    }

    /// Appends rows.
    pub(crate) fn add(&mut self, batch: &Batch) {
        self.dense.extend(batch.dense.iter().flat_map(|number| number.to_le_bytes()));
        for (feature, bags) in self.features.iter_mut().zip(&batch.bags) {
            feature.ids.extend(bags.ids.iter().flat_map(|id| id.to_le_bytes()));
            let (offsets, before) = (&bags.offsets[1..], feature.count);
            let after = offsets.iter().map(|&offset| (before + u64::from(offset)) as i64);
            feature.offsets.extend(after.flat_map(i64::to_le_bytes));
            feature.count += bags.ids.len() as u64;
            feature.weights.extend(bags.weights.iter().flatten().flat_map(|weight| weight.to_le_bytes()));
        }
    }
}
