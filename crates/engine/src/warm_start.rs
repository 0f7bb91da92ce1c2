//! Training that goes on from a saved model: its encoder grown by the values of the new rows, its weights and
//! the state of its optimiser in tables that have grown with it.
//!
//! A new value starts as what the model made of it so far: its row is that of unseen values. So the grown
//! model gives every row, old or new, the bits that the old one gave it, until the first step.
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::model_dir::ModelDir;
use crate::optimizer_state;
use crate::predecessor::Predecessor;
use crate::train_config::TrainConfig;
use crate::trained_files::TrainedFiles;
use dlrm_data::Encoder;
use dlrm_data::batch::Layout;
use dlrm_data::dataset::Fitted;
use dlrm_data::schema::Schema;
use dlrm_data::source::DataSource;
use dlrm_models::ModelConfig;
use dlrm_nn::{Builder, NumbersMut, Weights};

/// The model that training goes on from, opened.
pub(crate) struct WarmStart {
    dir: ModelDir,
    /// Of its rows.
    layout: Layout,
}

/// A table before and after.
struct Grown {
    table: String,
    row_weights: String,
    /// Rows.
    old: usize,
    new: usize,
    /// Whether it has a row for each id.
    whole: bool,
}

impl WarmStart {
    /// Opens the model, checks every file of it and grows its encoder by what is new in the training rows.
    ///
    /// # Errors
    /// If there is no model, it is damaged or another one than it was; as [`DataSource::grow`].
    pub(crate) fn fit(from: &Predecessor, source: DataSource<'_>, schema: &Schema) -> Result<(Self, Fitted)> {
        let dir = ModelDir::open(&from.model)?;
        // Found out before the work, not after it.
        dir.saved().check_rest()?;
        let id = dir.id();
        if let Some(expected) = from.id.as_ref().filter(|expected| **expected != id) {
            let problem = format!("expected the model {expected}, which training goes on from, found {id}");
            return Err(Error::saved(&from.model, problem)
                .with_hint("it was trained anew: restore it from a copy, or start again from it"));
        }
        let encoder = dir.encoder()?;
        let fitted = source.grow(schema, &encoder)?;
        Ok((WarmStart { dir, layout: encoder.layout() }, fitted))
    }

    /// The files that it was trained on, as far as its directory says.
    ///
    /// # Errors
    /// If their list cannot be read.
    pub(crate) fn trained_files(&self) -> Result<TrainedFiles> {
        self.dir.trained()
    }

    /// Puts its weights and the state of its optimiser into `learner`, which is fresh.
    ///
    /// # Errors
    /// If it is of another model, or tables of other sizes want another one.
    pub(crate) fn put_into(
        &self,
        learner: &mut Learner,
        model: &ModelConfig,
        train: &TrainConfig,
    ) -> Result<()> {
        let mut builder = Builder::new(&self.layout);
        model.build(&mut builder)?;
        let grown = grown(&builder, learner.network().weights())?;
        self.read_weights(learner.network_mut().weights_mut(), &grown)?;
        // Some optimisers start from the weights.
        let fresh = train.optimizer_of(learner.network().weights());
        *learner.optimizer_mut() = fresh;
        if !self.dir.has_optimizer() {
            return Ok(());
        }
        let (network, optimizer) = learner.network_and_optimizer_mut();
        optimizer_state::read_grown(self.dir.saved(), optimizer, network.weights(), |tensor| {
            let grown = grown.iter().find(|grown| grown.is(tensor))?;
            Some([grown.old, grown.new])
        })
    }

    fn read_weights(&self, weights: &mut Weights, grown: &[Grown]) -> Result<()> {
        let mut tensors = weights.tensors_mut();
        let before = tensors.iter_mut().map(|(name, shape, values)| {
            let mut shape = shape.clone();
            if let Some(grown) = grown.iter().find(|grown| grown.is(name)) {
                shape[0] = grown.old;
            }
            let len = shape.iter().product();
            (name.clone(), shape, values.slice(0..len))
        });
        self.dir.read_tensors(&mut before.collect::<Vec<_>>())?;
        for (name, _, values) in &mut tensors {
            if let Some(grown) = grown.iter().find(|grown| grown.whole && grown.is(name)) {
                match values {
                    NumbersMut::F32(values) => grown.start_new_rows(values),
                    NumbersMut::Bf16(values) | NumbersMut::F16(values) => grown.start_new_rows(values),
                }
            }
        }
        weights.repack();
        Ok(())
    }
}

impl Grown {
    /// Whether `tensor` is the table, or its learned pooling weights.
    fn is(&self, tensor: &str) -> bool {
        self.table == tensor || self.row_weights == tensor
    }

    /// Lets the rows of new values begin as that of unseen ones.
    fn start_new_rows<T: Copy>(&self, values: &mut [T]) {
        let dim = values.len() / self.new;
        let unseen = Encoder::UNSEEN as usize * dim;
        for row in self.old..self.new {
            values.copy_within(unseen..unseen + dim, row * dim);
        }
    }
}

/// The tables that have grown since `before`.
fn grown(before: &Builder<'_>, weights: &Weights) -> Result<Vec<Grown>> {
    let mut all = Vec::new();
    for table in weights.tables() {
        let spec = before.tables().iter().find(|spec| spec.name == table.name);
        let spec = spec.filter(|spec| spec.dim == table.dim && spec.rows <= table.rows).ok_or_else(|| {
            let expected = format!("the form that {} had before its values grew", table.name);
            Error::config("model", expected, format!("{} rows of width {}", table.rows, table.dim))
                .with_hint("its form follows from the number of values: train a new model on all rows")
        })?;
        if spec.rows < table.rows {
            all.push(Grown {
                table: table.name.clone(),
                row_weights: table.row_weights_name.clone(),
                old: spec.rows,
                new: table.rows,
                whole: spec.is_whole(),
            });
        }
    }
    Ok(all)
}
