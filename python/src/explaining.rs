//! What a model's scores rest on.
use crate::error;
use crate::json;
use crate::model::{Asked, Model, go_on};
use crate::rows::Rows;
use dlrm_data::Batch;
use dlrm_data::parse::Labels;
use dlrm_engine::explain::{AskedRows, Explainer, Shuffles, columns, importance, orders};
use dlrm_engine::{Parallel, Predictor, Result, Workspace, learner};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};

/// How much is computed.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Effort {
    /// Rows that are measured on, or stand in the background.
    sample: usize,
    /// Times that a column is shuffled.
    repeats: usize,
    /// Orders of the columns for each background row.
    orders: usize,
    seed: u64,
    /// Rows to explain, from the first; none asks for the importance of columns.
    rows: Option<u64>,
}

/// The importance of the columns, or Shapley values of the first rows.
#[pyfunction]
pub(crate) fn explain<'py>(
    py: Python<'py>,
    model: PyRef<'py, Model>,
    arguments: Bound<'py, PyDict>,
    rows: Option<PyRef<'py, Rows>>,
    effort: Effort,
) -> PyResult<Bound<'py, PyAny>> {
    let labels = if effort.rows.is_some() { Labels::Ignored } else { Labels::Required };
    let predictor = model.predictor();
    let asked = Asked::of(py, predictor, (arguments, rows.as_deref()), labels)?;
    let found = py.detach(|| match effort.rows {
        None => important(predictor, &asked, &effort),
        Some(most) => shapley(predictor, &asked, &effort, most),
    });
    json::to_python(py, &found.map_err(|error| error::of(py, error))?)
}

fn read(
    predictor: &Predictor,
    asked: &Asked,
    effort: &Effort,
    labels: Labels,
    most: u64,
) -> Result<AskedRows> {
    let mut scorer = asked.scorer(predictor, labels)?;
    let (sample, encoder) = ((effort.sample, effort.seed), predictor.encoder());
    let read = AskedRows::read(encoder, &mut scorer, sample, &|number| number <= most, &mut go_on)?;
    if read.sample.is_empty() { Err(asked.none(scorer.columns())) } else { Ok(read) }
}

fn important(predictor: &Predictor, asked: &Asked, effort: &Effort) -> Result<Value> {
    let read = read(predictor, asked, effort, Labels::Required, 0)?;
    let (pool, mut workspace) = (learner::pool(asked.threads())?, Workspace::new());
    let mut score = |batch: &Batch| logits(predictor, batch, &mut workspace, Parallel::Pool(&pool));
    let shuffles = Shuffles { repeats: effort.repeats, seed: effort.seed };
    let columns = columns(predictor.encoder());
    let found = importance(&read.sample, &columns, predictor.task(), shuffles, &mut score)?;
    Ok(serde_json::to_value(found).expect("plain data"))
}

fn shapley(predictor: &Predictor, asked: &Asked, effort: &Effort, most: u64) -> Result<Value> {
    let read = read(predictor, asked, effort, Labels::Ignored, most)?;
    let (pool, mut workspace) = (learner::pool(asked.threads())?, Workspace::new());
    let mut score = |batch: &Batch| logits(predictor, batch, &mut workspace, Parallel::Pool(&pool));
    let columns = columns(predictor.encoder());
    let orders = orders(predictor.network(), &predictor.config().model, effort.orders, effort.seed);
    let explainer = Explainer::new(&columns, &read.sample, orders, &mut score);
    let mut rows = Vec::new();
    for (place, &number) in read.numbers.iter().enumerate() {
        go_on()?;
        let found = explainer.explain((&read.rows, place), number, &mut score);
        rows.push(json!({
            "logit": found.logit, "base": found.base, "values": found.values, "errors": found.errors,
            "texts": read.texts[place],
        }));
    }
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    Ok(json!({"columns": names, "rows": rows}))
}

fn logits(
    predictor: &Predictor,
    batch: &Batch,
    workspace: &mut Workspace,
    parallel: Parallel<'_>,
) -> Vec<f32> {
    let mut logits = vec![0.0; batch.len()];
    predictor.network().logits(batch, &mut logits, workspace, parallel);
    logits
}
