//! A trained model as an ONNX file, and its weights in a file beside it where one is too small.
use crate::bags::{BagInputs, Bags};
use crate::error::{Error, Result};
use crate::graph::{GraphBuilder, Parts};
use crate::head::{Head, LOGIT, prediction};
use crate::operations::{DENSE, ForwardPass};
use crate::port::Port;
use crate::tensor::{Beside, Tensor};
use dlrm_data::Batch;
use dlrm_data::durable::AsideFile;
use dlrm_data::protobuf::Message;
use dlrm_data::schema::Task;
use dlrm_engine::Predictor;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The version of the operators: the first with all that are used, which the most runtimes know (ONNX
/// Runtime from 1.17 on).
const OPSET: i64 = 20;
/// The version of the file format that came with it.
const IR_VERSION: i64 = 9;
/// Bytes of a message that all readers of Protocol Buffers take.
const MOST: usize = i32::MAX as usize;

/// Where the weights lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// In the file, or beside it where they take more than 2 GB.
    #[default]
    Inside,
    /// In a file beside it, whose name is that of the model with `.data` behind it.
    Beside,
}

/// How a model is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// The form of columns of several values.
    pub bags: Bags,
    /// Where the weights lie.
    pub placement: Placement,
}

/// A model that can be written as ONNX.
pub struct Export<'a> {
    path: PathBuf,
    model: Message<'a>,
    beside: Beside<'a>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl<'a> Export<'a> {
    /// The model of `predictor` as it will stand in the file `path`. Nothing is written yet.
    ///
    /// # Errors
    /// If the model has an operation that is not known here, or the name of the file cannot be written into
    /// it.
    pub fn new(predictor: &'a Predictor, path: &Path, options: Options) -> Result<Self> {
        let parts = parts(predictor, options.bags)?;
        let inside = (options.placement == Placement::Inside).then(|| written(predictor, &parts, None));
        let (model, beside) = match inside.transpose()?.filter(|(model, _)| model.len() <= MOST) {
            Some(inside) => inside,
            None => written(predictor, &parts, Some(path))?,
        };
        let Parts { inputs, outputs, .. } = parts;
        Ok(Export { path: path.to_owned(), model, beside, inputs, outputs })
    }

    /// What it reads.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What it computes.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The files that it takes, with their bytes: the model, and its weights where they lie beside it.
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let mut files = vec![(self.path.clone(), self.model.len())];
        if !self.beside.is_empty() {
            files.push((beside(&self.path), self.beside.len()));
        }
        files
    }

    /// Writes the files and replaces what stands in their places. Each is whole or absent, and the model is
    /// absent while the weights beside it change. `begun` is told where a file is until it is whole, for
    /// programs that are interrupted.
    ///
    /// # Errors
    /// If the file system refuses; the error names the file.
    pub fn save(&self, begun: &mut dyn FnMut(&Path)) -> Result<()> {
        let mut create = |path: &Path, write: &dyn Fn(&mut AsideFile) -> std::io::Result<()>| {
            let mut file = AsideFile::create(path)?;
            file.aside().into_iter().for_each(&mut *begun);
            write(&mut file).map_err(dlrm_data::Error::io("write", path))?;
            Ok::<_, Error>(file)
        };
        let model = create(&self.path, &|file| self.write(file))?;
        if !self.beside.is_empty() {
            let place = beside(&self.path);
            let weights = create(&place, &|file| self.beside.write(file))?;
            remove(&self.path)?;
            weights.put()?;
        }
        Ok(model.put()?)
    }

    /// Writes the model alone, without what lies beside it.
    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        self.model.write(out)
    }
}

/// Removes what a model is written in the place of, where it is a file.
fn remove(path: &Path) -> Result<()> {
    match fs::canonicalize(path) {
        Ok(place) if place.is_file() => {
            fs::remove_file(&place).map_err(|error| dlrm_data::Error::io("replace", path)(error).into())
        }
        _ => Ok(()),
    }
}

/// The file beside a model.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    name.into()
}

fn parts(predictor: &Predictor, bags: Bags) -> Result<Parts<'_>> {
    let (network, layout) = (predictor.network(), predictor.encoder().layout());
    let bags = BagInputs::new(bags, predictor.encoder().schema(), &layout);
    let reserved =
        [DENSE, LOGIT, prediction(predictor.task())].map(str::to_owned).into_iter().chain(bags.names());
    let graph = GraphBuilder::new(reserved.collect::<Vec<_>>());
    let mut pass = ForwardPass::new(graph, network.weights(), bags);
    let logits = pass.record(&network.graph(&Batch::placeholder(&layout)), &layout)?;
    let calibration = network.calibration();
    let head = Head { shift: network.shift(), calibration, task: predictor.task() };
    head.record(&mut pass.graph, &logits);
    Ok(pass.graph.finish())
}

/// The model of these parts; large constants lie beside it if its path is given.
fn written<'a>(
    predictor: &Predictor,
    parts: &Parts<'a>,
    path: Option<&Path>,
) -> Result<(Message<'a>, Beside<'a>)> {
    let mut outside = Beside::default();
    let constants: Vec<Message<'a>> = match path {
        None => parts.tensors.iter().map(Tensor::message).collect(),
        Some(path) => {
            let place = beside(path);
            let location = place.file_name().and_then(|name| name.to_str());
            let location = location.ok_or_else(|| Error::Name { path: path.to_owned() })?;
            parts.tensors.iter().map(|tensor| outside.place(tensor, location)).collect()
        }
    };
    let graph = Message::new()
        .messages(1, parts.nodes.iter().cloned())
        .text(2, predictor.config().model.kind())
        .messages(5, constants)
        .messages(11, parts.inputs.iter().map(Port::message))
        .messages(12, parts.outputs.iter().map(Port::message));
    Ok((about(predictor).message(7, graph), outside))
}

/// A `ModelProto` without its graph.
fn about<'a>(predictor: &Predictor) -> Message<'a> {
    let entry = |key: &str, value: &str| Message::new().text(1, key).text(2, value);
    let task = match predictor.task() {
        Task::Binary => "binary",
        Task::Rating => "rating",
    };
    Message::new()
        .int(1, IR_VERSION)
        .text(2, "dlrm")
        .text(3, &predictor.manifest().dlrm_version)
        .message(8, Message::new().text(1, "").int(2, OPSET))
        .message(14, entry("dlrm.model", predictor.config().model.kind()))
        .message(14, entry("dlrm.task", task))
        .message(14, entry("dlrm.id", &predictor.manifest().id()))
}
