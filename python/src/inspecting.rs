//! `dlrm.inspect`: what the columns of rows are, and what is wrong with them.
use crate::arguments::Arguments;
use crate::json;
use crate::training::PythonRows;
use crate::watch::Raised;
use crate::words;
use dlrm_data::Stop;
use dlrm_data::readers::Input;
use dlrm_engine::config::DataConfig;
use dlrm_engine::inspection::FirstPass;
use dlrm_engine::request::{
    ColumnsRequest, InputRequest, LabelRequest, PartsRequest, Said, check_time, read_schema, split_of,
    usual_split,
};
use dlrm_engine::rows::{GivenRows, with_raw_rows};
use dlrm_engine::{Error, RunConfig};
use dlrm_inspect::findings::Inspection;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Width of tables of text.
const WIDTH: usize = 120;

/// Looks at rows: profile, schema, findings, and all of it as text.
#[pyfunction]
pub(crate) fn inspect<'py>(
    py: Python<'py>,
    arguments: Bound<'py, PyDict>,
    rows: Option<PythonRows<'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (arguments, raised) = (Arguments(arguments), Raised::default());
    let asked = Asked {
        rows: rows.map(|rows| rows.given(py)).transpose()?,
        input: arguments.input()?,
        schema: arguments.schema()?,
        label: arguments.label()?,
        columns: arguments.columns()?,
        parts: arguments.parts()?,
        memory: arguments.memory_limit()?,
        threads: arguments.resources()?.threads,
        stop: raised.stop(),
    };
    match py.detach(|| asked.look()) {
        Ok(found) => json::to_python(py, &found),
        Err(error) => Err(raised.error_of(py, error)),
    }
}

/// What was asked for.
struct Asked {
    rows: Option<GivenRows>,
    input: InputRequest,
    schema: Option<PathBuf>,
    label: LabelRequest,
    columns: ColumnsRequest,
    parts: PartsRequest,
    memory: Option<u64>,
    threads: usize,
    stop: Stop,
}

impl Asked {
    fn look(self) -> Result<Value, Error> {
        let input = match &self.rows {
            Some(_) => Input::default(),
            None => self.input.apply(Input::default())?.resolve()?,
        };
        let given = self.schema.as_deref().map(read_schema).transpose()?;
        let said = Said { label: &self.label, columns: &self.columns, memory: self.memory, stop: &self.stop };
        let first = match &self.rows {
            Some(rows) => FirstPass::over_rows(&*rows.main, given, said)?,
            None => FirstPass::over_files(&input, given, said)?,
        };
        let inspection =
            first.schema.as_ref().ok().map(|schema| self.second(&input, schema, &first)).transpose()?;
        let mut text = first.profile.headline();
        if let Some(inspection) = &inspection {
            text.push_str(&inspection.findings_text(WIDTH));
        }
        text.push_str(&format!("\n{}{}", first.profile.facts(WIDTH), first.profile.suggestions(WIDTH)));
        let comments = inspection.as_ref().map_or_else(Vec::new, Inspection::comments);
        let schema_toml =
            first.schema.as_ref().ok().map(|schema| first.profile.annotate_with(schema, &comments));
        Ok(json!({
            "profile": first.profile,
            "schema": first.schema.as_ref().ok(),
            "schema_toml": schema_toml,
            "doctor": inspection,
            "text": words::in_text(&text),
        }))
    }

    /// A pass over all parts, by the schema.
    fn second(
        &self,
        input: &Input,
        schema: &dlrm_data::Schema,
        first: &FirstPass,
    ) -> Result<Inspection, Error> {
        let split = match &self.parts.split {
            Some(kind) => split_of(kind, 0)?,
            None => usual_split(input),
        };
        check_time(&split, schema)?;
        let (validation, test) = (self.parts.validation.clone(), self.parts.test.clone());
        let data = DataConfig { validation, test, split, max_bad_rows: u64::MAX, ..DataConfig::default() };
        let config = RunConfig { input: input.clone(), data, ..RunConfig::default() };
        let inspected = with_raw_rows(&config, self.rows.as_ref(), (self.threads, &self.stop), |sources| {
            Inspection::of(sources, schema, &first.profile, &first.sample)
        });
        let mut inspection = inspected?;
        inspection.findings.iter_mut().for_each(|finding| finding.fix = words::in_text(&finding.fix));
        Ok(inspection)
    }
}
