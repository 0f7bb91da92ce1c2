//! Prepared data sets, batch by batch.
use crate::arguments::{Arguments, Order};
use crate::encoding::{Arrays, Encoded};
use crate::error;
use crate::json;
use dlrm_data::batches::{MemoryBatches, OrderedBatches, StreamBatches};
use dlrm_data::prepared::Prepared;
use dlrm_data::rng::Rng;
use dlrm_data::split::Part;
use dlrm_data::{Batch, BatchSource};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A part of a prepared data set.
#[pyclass(module = "dlrm._dlrm", frozen)]
pub(crate) struct PreparedSet {
    prepared: Prepared,
    part: Part,
    order: Order,
    /// Its rows, once they were wanted in memory.
    rows: Mutex<Option<Arc<Batch>>>,
}

#[pymethods]
impl PreparedSet {
    /// Opens the part of a data set that the arguments name, whose rows come in the order that they say.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, arguments: Bound<'_, PyDict>) -> PyResult<Self> {
        let arguments = Arguments(arguments);
        let (part, order) = (arguments.part()?, arguments.order()?);
        let prepared = Prepared::open(&path).map_err(|error| error::of(py, error))?;
        Ok(PreparedSet { prepared, part, order, rows: Mutex::new(None) })
    }

    /// Its number of rows, and what they consist of.
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let layout = self.prepared.encoder().layout();
        json::to_python(py, &json!({"rows": self.prepared.rows(self.part), "layout": layout}))
    }

    /// One pass over its rows, in the order of this epoch.
    fn batches(&self, py: Python<'_>, epoch: u64) -> PyResult<Batches> {
        let source = py.detach(|| self.source(epoch)).map_err(|error| error::of(py, error))?;
        let layout = self.prepared.encoder().layout();
        Ok(Batches { source: Mutex::new((source, Batch::new(&layout))) })
    }
}

impl PreparedSet {
    fn source(&self, epoch: u64) -> dlrm_data::Result<Box<dyn BatchSource>> {
        let Order { batch_size: size, seed, shuffle, window } = self.order;
        let stream = || Box::new(self.prepared.stream(self.part));
        Ok(match (shuffle, window) {
            (false, _) => Box::new(OrderedBatches::new(stream(), size)),
            (true, None) => Box::new(MemoryBatches::new(self.loaded()?, size, seed, epoch, 0)),
            (true, Some(window)) => {
                let (layout, rng) = (self.prepared.encoder().layout(), Rng::new(seed, epoch));
                Box::new(StreamBatches::new(stream(), &layout, size, window, rng))
            }
        })
    }

    /// All its rows in memory.
    fn loaded(&self) -> dlrm_data::Result<Arc<Batch>> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = &*rows {
            return Ok(rows.clone());
        }
        let mut parts = self.prepared.load(|part| part == self.part)?.parts;
        let loaded = Arc::new(std::mem::take(&mut parts[self.part]));
        *rows = Some(loaded.clone());
        Ok(loaded)
    }
}

/// One pass over rows.
#[pyclass(module = "dlrm._dlrm", frozen)]
pub(crate) struct Batches {
    source: Mutex<(Box<dyn BatchSource>, Batch)>,
}

/// Encoded rows with labels and weights (float32, none where rows have none).
type Labelled<'py> = (Arrays<'py>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl Batches {
    /// The batch behind the next `skip` ones; None at the end.
    fn next<'py>(&self, py: Python<'py>, skip: usize) -> PyResult<Option<Labelled<'py>>> {
        let read = || {
            let (source, batch) = &mut *self.source.lock().unwrap_or_else(PoisonError::into_inner);
            for _ in 0..=skip {
                if !source.next_batch(batch)? {
                    return Ok(None);
                }
            }
            let mut encoded = Encoded::new(batch.bags.len());
            encoded.add(batch);
            let bytes = |numbers: &[f32]| bytemuck::cast_slice(numbers).to_vec();
            Ok(Some((encoded, bytes(&batch.labels), batch.weights.as_deref().map(bytes).unwrap_or_default())))
        };
        let found: dlrm_data::Result<_> = py.detach(read);
        let found = found.map_err(|error| error::of(py, error))?;
        Ok(found.map(|(encoded, labels, weights): (Encoded, Vec<u8>, Vec<u8>)| {
            (encoded.arrays(py), PyBytes::new(py, &labels), PyBytes::new(py, &weights))
        }))
    }
}
