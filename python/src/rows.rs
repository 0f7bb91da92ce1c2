//! Rows that live in Python: data frames, tables, dictionaries of columns.
use crate::columns;
use crate::error;
use arrow_array::ffi_stream::RecordBatchStreamReader;
use arrow_array::{ArrayRef, RecordBatchReader};
use arrow_pyarrow::FromPyArrow;
use dlrm_data::readers::{ArrowColumn, ArrowRows};
use dlrm_data::schema::MultiValued;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyList;

/// Columns that are collected one by one, and then read as rows.
#[pyclass(module = "dlrm._dlrm")]
pub(crate) struct Rows {
    name: String,
    columns: Vec<ArrowColumn>,
}

impl Rows {
    /// As the engine reads them.
    pub(crate) fn open(&self, py: Python<'_>) -> PyResult<ArrowRows> {
        ArrowRows::new(&self.name, self.columns.clone()).map_err(|error| error::of(py, error))
    }

    fn push(&mut self, name: &str, chunks: Vec<ArrayRef>, lists: Option<MultiValued>) {
        self.columns.push(ArrowColumn { name: name.to_owned(), chunks, lists });
    }
}

#[pymethods]
impl Rows {
    /// Rows that messages call `name`.
    #[new]
    fn new(name: &str) -> Self {
        Rows { name: name.to_owned(), columns: Vec::new() }
    }

    /// Adds the columns of an object with an Arrow C stream; their memory is shared.
    fn add_stream(&mut self, py: Python<'_>, stream: &Bound<'_, PyAny>) -> PyResult<()> {
        let unreadable = |found: String| {
            let message =
                format!("{}: expected a readable stream of Arrow batches, found: {found}", self.name);
            error::exception(py, "DataError", &message, Some("convert it to a pyarrow table or a data frame"))
        };
        let reader = RecordBatchStreamReader::from_pyarrow_bound(stream)?;
        let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut chunks: Vec<Vec<ArrayRef>> = vec![Vec::new(); names.len()];
        // Whoever makes the batches may run Python for it.
        let batches = py.detach(|| reader.collect::<Result<Vec<_>, _>>());
        for batch in batches.map_err(|error| unreadable(error.to_string()))? {
            chunks.iter_mut().zip(batch.columns()).for_each(|(all, array)| all.push(array.clone()));
        }
        names.iter().zip(chunks).for_each(|(name, chunks)| self.push(name, chunks, None));
        Ok(())
    }

    /// Adds a column of NumPy's numbers; False if their type is not known.
    fn add_numbers(&mut self, name: &str, kind: &str, numbers: PyBackedBytes) -> bool {
        let array = columns::of_numbers(kind, numbers);
        array.map(|array| self.push(name, vec![array], None)).is_some()
    }

    /// Adds a column of Python objects.
    fn add_objects(&mut self, py: Python<'_>, name: &str, objects: &Bound<'_, PyList>) -> PyResult<()> {
        let place = format!("{}: column \"{name}\"", self.name);
        let (array, lists) = columns::of_objects(py, &place, objects)?;
        self.push(name, vec![array], lists);
        Ok(())
    }

    /// Adds a column of so many rows of one value.
    fn add_constant(
        &mut self,
        py: Python<'_>,
        name: &str,
        value: &Bound<'_, PyAny>,
        rows: usize,
    ) -> PyResult<()> {
        let place = format!("{}: \"{name}\"", self.name);
        let array = columns::constant(py, &place, value, rows)?;
        self.push(name, vec![array], None);
        Ok(())
    }

    /// What messages call them.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Names of the columns.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// Number of rows.
    fn __len__(&self) -> usize {
        self.columns.first().map_or(0, ArrowColumn::rows)
    }
}
