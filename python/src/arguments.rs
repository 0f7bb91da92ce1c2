//! Keyword arguments of Python's functions, as requests of the engine.
use crate::error;
use dlrm_bench::memory;
use dlrm_data::schema::Task;
use dlrm_data::split::Part;
use dlrm_engine::config::{Baseline, Loading};
use dlrm_engine::reference::{IdsPerRow, ReferenceColumns};
use dlrm_engine::request::{ColumnsRequest, InputRequest, LabelRequest, PartsRequest};
use dlrm_engine::rows::GivenRows;
use dlrm_engine::training::AUTO;
use dlrm_engine::{Resources, RunRequest, Start};
use dlrm_kernels::isa::Isa;
use dlrm_models::Interaction;
use dlrm_onnx::{Bags, Placement};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::path::PathBuf;

/// What was said, by the names of arguments; `None` says nothing.
pub(crate) struct Arguments<'py>(pub(crate) Bound<'py, PyDict>);

/// In which order rows come, and how many at a time.
pub(crate) struct Order {
    pub(crate) batch_size: usize,
    pub(crate) seed: u64,
    /// Whether it is that in which the trainer takes them.
    pub(crate) shuffle: bool,
    /// Rows that are shuffled at a time; all in memory if it is not said.
    pub(crate) window: Option<usize>,
}

impl<'py> Arguments<'py> {
    fn said(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.0.get_item(name)?.filter(|value| !value.is_none()))
    }

    /// The argument `name`, which is `expected`.
    fn get<T: FromPyObjectOwned<'py>>(&self, name: &str, expected: &str, hint: &str) -> PyResult<Option<T>> {
        let Some(value) = self.said(name)? else { return Ok(None) };
        let read = value.extract::<T>();
        read.map(Some).map_err(|_| error::argument(self.0.py(), name, expected, &value, hint))
    }

    fn text(&self, name: &str) -> PyResult<Option<String>> {
        self.get(name, "a text", "write it in quotes")
    }

    /// A whole number of at least `least`.
    fn number(&self, name: &str, least: u64) -> PyResult<Option<u64>> {
        let expected = format!("a whole number of at least {least}");
        let hint = "leave it out for the usual one";
        let number: Option<u64> = self.get(name, &expected, hint)?;
        if let (Some(number), Some(value)) = (number, self.said(name)?)
            && number < least
        {
            return Err(error::argument(self.0.py(), name, &expected, &value, hint));
        }
        Ok(number)
    }

    /// True or False.
    pub(crate) fn switch(&self, name: &str) -> PyResult<bool> {
        Ok(self.get(name, "True or False", "leave it out for False")?.unwrap_or(false))
    }

    /// A text, or a list of them.
    fn texts(&self, name: &str) -> PyResult<Vec<String>> {
        match self.said(name)? {
            Some(value) if value.is_instance_of::<PyString>() => Ok(vec![value.extract()?]),
            _ => {
                Ok(self.get(name, "a text or a list of texts", "such as [\"a\", \"b\"]")?.unwrap_or_default())
            }
        }
    }

    /// A path, or a list of them.
    pub(crate) fn paths(&self, name: &str) -> PyResult<Vec<PathBuf>> {
        let hint = "give a path, a list of paths, or the rows themselves, such as a data frame";
        let Some(value) = self.said(name)? else { return Ok(Vec::new()) };
        if let Ok(path) = value.extract::<PathBuf>() {
            return Ok(vec![path]);
        }
        let list =
            value.try_iter().and_then(|all| all.map(|path| path?.extract()).collect::<PyResult<Vec<_>>>());
        list.map_err(|_| error::argument(self.0.py(), name, "a path or a list of paths", &value, hint))
    }

    fn path(&self, name: &str) -> PyResult<Option<PathBuf>> {
        self.get(name, "a path", "give a text or a pathlib.Path")
    }

    /// Bytes of a number, or of a size such as "8GB".
    fn memory(&self, name: &str) -> PyResult<Option<u64>> {
        let Some(value) = self.said(name)? else { return Ok(None) };
        if let Ok(bytes) = value.extract::<u64>() {
            return Ok(Some(bytes));
        }
        let bytes = value.extract::<String>().ok().and_then(|text| dlrm_data::format::parse_bytes(&text));
        let expected = "a number of bytes, or a size such as \"512MB\" or \"8GB\"";
        let hint = "give a number with kB, MB or GB";
        bytes.map(Some).ok_or_else(|| error::argument(self.0.py(), name, expected, &value, hint))
    }

    /// How files are read.
    pub(crate) fn input(&self) -> PyResult<InputRequest> {
        Ok(InputRequest {
            paths: self.paths("data")?,
            format: self.text("format")?,
            delimiter: self.text("delimiter")?,
            header: self.text("header")?,
            quote: self.text("quote")?,
            trim: self.text("trim")?,
            columns: self.texts("columns")?,
        })
    }

    /// What is predicted.
    pub(crate) fn label(&self) -> PyResult<LabelRequest> {
        let (column, rule) = (self.text("label")?, self.text("label_rule")?);
        let choices = [("binary", Task::Binary), ("rating", Task::Rating)];
        let task = self.choice("task", &choices, "leave it out to have it decided by the label's values")?;
        Ok(LabelRequest { column, rule, positive: self.texts("positive")?, task })
    }

    /// What columns are.
    pub(crate) fn columns(&self) -> PyResult<ColumnsRequest> {
        let (ignore, categorical) = (self.texts("ignore")?, self.texts("categorical")?);
        Ok(ColumnsRequest { ignore, categorical, weight: self.text("weight")? })
    }

    /// Which rows validate and test.
    pub(crate) fn parts(&self) -> PyResult<PartsRequest> {
        let (validation, test) = (self.paths("validation")?, self.paths("test")?);
        Ok(PartsRequest { validation, test, split: self.text("split")? })
    }

    /// The file of the schema.
    pub(crate) fn schema(&self) -> PyResult<Option<PathBuf>> {
        self.path("schema")
    }

    /// Where results go.
    pub(crate) fn out(&self) -> PyResult<Option<PathBuf>> {
        self.path("out")
    }

    /// Malformed rows that may be skipped.
    pub(crate) fn max_bad_rows(&self) -> PyResult<Option<u64>> {
        self.number("max_bad_rows", 0)
    }

    /// Folds to measure on.
    pub(crate) fn folds(&self) -> PyResult<Option<u64>> {
        self.number("folds", 2)
    }

    /// Runs of each model.
    pub(crate) fn seeds(&self) -> PyResult<Option<u64>> {
        self.number("seeds", 1)
    }

    /// Kinds of models.
    pub(crate) fn models(&self) -> PyResult<Vec<String>> {
        self.texts("models")
    }

    /// Bytes of memory that were said.
    pub(crate) fn memory_limit(&self) -> PyResult<Option<u64>> {
        self.memory("memory_limit")
    }

    /// Threads, instruction set and memory.
    pub(crate) fn resources(&self) -> PyResult<Resources> {
        let threads = self.number("threads", 1)?.map(|threads| threads as usize);
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
        // What needs more than there is is refused, rather than ended by the system.
        let memory_limit = self.memory_limit()?.or_else(memory::free);
        Ok(Resources { threads, isa: Isa::detect(), memory_limit })
    }

    /// One of some choices by its name; `hint` is for who names none of them.
    fn choice<T>(&self, name: &str, choices: &[(&str, T)], hint: &str) -> PyResult<Option<T>>
    where
        T: Copy,
    {
        let Some(value) = self.said(name)? else { return Ok(None) };
        let found = value.extract::<String>().ok();
        let chosen = choices.iter().find(|(choice, _)| found.as_deref() == Some(choice));
        let names: Vec<String> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
        let refused = || error::argument(self.0.py(), name, &names.join(" or "), &value, hint);
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(refused)
    }

    /// The form of columns of several values in an ONNX file.
    pub(crate) fn bags(&self) -> PyResult<Bags> {
        let choices = [("offsets", Bags::Offsets), ("padded", Bags::Padded)];
        Ok(self.choice("bags", &choices, "leave it out for \"offsets\"")?.unwrap_or_default())
    }

    /// A part of a data set.
    pub(crate) fn part(&self) -> PyResult<Part> {
        let choices = Part::ALL.map(|part| (part.name(), part));
        Ok(self.choice("part", &choices, "leave it out for \"train\"")?.unwrap_or(Part::Train))
    }

    /// The order and the number of rows of batches.
    pub(crate) fn order(&self) -> PyResult<Order> {
        let count = |name| Ok::<_, PyErr>(self.number(name, 1)?.map(|rows| rows as usize));
        Ok(Order {
            batch_size: count("batch_size")?.unwrap_or(1),
            seed: self.number("seed", 0)?.unwrap_or(0),
            shuffle: self.switch("shuffle")?,
            window: count("window")?,
        })
    }

    /// How the vectors of a checkpoint's model meet.
    pub(crate) fn interaction(&self) -> PyResult<Option<Interaction>> {
        let choices =
            [("dot", Interaction::Dot), ("dot_self", Interaction::DotSelf), ("cat", Interaction::Cat)];
        self.choice("interaction", &choices, "leave it out where the widths of the layers tell it")
    }

    /// What the columns of a checkpoint's model are called, of which there are so many.
    pub(crate) fn reference_columns(
        &self,
        (dense, categorical): (usize, usize),
    ) -> PyResult<ReferenceColumns> {
        let names = |name: &str, prefix: &str, count: usize| {
            let named = self.said(name)?.map(|_| self.texts(name)).transpose()?;
            Ok::<_, PyErr>(named.unwrap_or_else(|| (0..count).map(|i| format!("{prefix}{i}")).collect()))
        };
        Ok(ReferenceColumns {
            dense: names("dense", "dense_", dense)?,
            categorical: names("categorical", "sparse_", categorical)?,
            label: self.text("label")?.unwrap_or_else(|| "click".to_owned()),
            ids: if self.switch("single_ids")? { IdsPerRow::One } else { IdsPerRow::Any },
        })
    }

    /// Where the weights of an ONNX file lie.
    pub(crate) fn placement(&self) -> PyResult<Placement> {
        Ok(if self.switch("external_data")? { Placement::Beside } else { Placement::Inside })
    }

    /// Whether the validation rows choose the model.
    pub(crate) fn chooses(&self) -> PyResult<bool> {
        Ok(self.text("model")?.as_deref() == Some(AUTO))
    }

    /// The request of a run on these rows, else on files.
    pub(crate) fn request(&self, rows: Option<GivenRows>) -> PyResult<RunRequest> {
        let crosses: Option<Vec<Vec<String>>> =
            self.get("cross", "a list of lists of columns", "such as [[\"user\", \"item\"]]")?;
        let max_ind_range = self.number("max_ind_range", 1)?;
        let model = self.text("model")?.filter(|kind| kind != AUTO);
        Ok(RunRequest {
            config: self.path("config")?,
            preset: self.text("preset")?,
            settings: self.texts("settings")?,
            rows,
            input: self.input()?,
            schema: self.schema()?,
            label: self.label()?,
            columns: self.columns()?,
            parts: self.parts()?,
            max_bad_rows: self.max_bad_rows()?,
            crosses: crosses.unwrap_or_default(),
            max_ind_range: max_ind_range.map(|range| u32::try_from(range).unwrap_or(u32::MAX)),
            reference_compat: self.switch("reference_compat")?.then_some(true),
            model,
            from: self.path("start_from")?,
            epochs: self.number("epochs", 1)?,
            max_steps: self.number("max_steps", 1)?,
            batch_size: self.number("batch_size", 1)?.map(|rows| rows as usize),
            keep_optimizer: self.switch("keep_optimizer")?.then_some(true),
            seed: self.number("seed", 0)?,
            loading: self.switch("stream")?.then_some(Loading::Stream),
            baseline: self.switch("no_baseline")?.then_some(Baseline::Mean),
            out: self.out()?,
            start: match (self.switch("resume")?, self.switch("overwrite")?, self.switch("once")?) {
                (true, ..) => Start::Resume,
                (_, true, _) => Start::Overwrite,
                (_, _, true) => Start::Once,
                _ => Start::Fresh,
            },
            resources: self.resources()?,
            inference_memory: self.memory_limit()?,
            ..RunRequest::default()
        })
    }
}
