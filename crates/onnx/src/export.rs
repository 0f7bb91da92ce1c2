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
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The version of the operators: the first with all that are used, which the most runtimes know (ONNX
/// Runtime from 1.17 on).
const OPSET: i64 = 20;
/// The version of the file format that came with it.
const IR_VERSION: i64 = 9;
/// Protocol Buffers hold at most 2 GiB; names and shapes take room beside the weights.
const MOST: usize = (1 << 31) - (1 << 20);

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
        let Parts { nodes, tensors, inputs, outputs } = parts(predictor, options.bags)?;
        let weights: usize = tensors.iter().map(|tensor| tensor.bytes.len()).sum();
        let outside = options.placement == Placement::Beside || weights > MOST;
        let (initializers, beside) = placed(&tensors, outside.then_some(path))?;
        let graph = Message::new()
            .messages(1, nodes)
            .text(2, predictor.config().model.kind())
            .messages(5, initializers)
            .messages(11, inputs.iter().map(Port::message))
            .messages(12, outputs.iter().map(Port::message));
        let model = about(predictor).message(7, graph);
        if model.len() > MOST {
            return Err(Error::Size { most: MOST, found: model.len() });
        }
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
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(dlrm_data::Error::io("replace", &self.path)(error).into());
                }
                _ => weights.put()?,
            }
        }
        Ok(model.put()?)
    }

    /// Writes the model alone, without what lies beside it.
    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        self.model.write(out)
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

/// The messages of constants, the large ones of which lie beside the model `path` if there is one.
fn placed<'a>(tensors: &[Tensor<'a>], path: Option<&Path>) -> Result<(Vec<Message<'a>>, Beside<'a>)> {
    let mut outside = Beside::default();
    let Some(path) = path else {
        return Ok((tensors.iter().map(Tensor::message).collect(), outside));
    };
    let place = beside(path);
    let location = place.file_name().and_then(|name| name.to_str());
    let location = location.ok_or_else(|| Error::Name { path: path.to_owned() })?;
    let messages = tensors.iter().map(|tensor| outside.place(tensor, location)).collect();
    Ok((messages, outside))
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
