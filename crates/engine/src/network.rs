//! A model with its weights, and its one forward pass: training, evaluation, prediction and later the server
//! all score through [`Network::logits`]'s tape, so a row gets the same bits everywhere.
use crate::calibration::CalibrationMap;
use crate::elsewhere::Elsewhere;
use crate::error::Result;
use crate::workspace::{Parallel, Workspace};
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_models::{Model, ModelConfig};
use dlrm_nn::{
    Arena, Builder, Context, Graph, Isa, Placement, Precision, SharedInputs, TablePrecision, TableStore,
    Tape, Weights,
};
use std::ops::Range;

/// Rows that one worker scores at a time in inference: activations stay in the second-level cache.
const ROWS: usize = 128;

/// Rows whose pooled vectors are asked for at once, where others hold tables.
const ROWS_ASKED: usize = 32 * ROWS;

/// The runs in which rows are scored.
pub(crate) fn runs(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> + Clone {
    rows.clone().step_by(ROWS).map(move |start| start..(start + ROWS).min(rows.end))
}

/// What the weights of a network are at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Drawn: training starts from them.
    Drawn,
    /// Zero: they are yet to be read from a checkpoint, and nothing is drawn in vain.
    Unfilled,
}

/// A model and its weights.
pub struct Network {
    model: Box<dyn Model>,
    weights: Weights,
    /// What is added to logits when rows are scored.
    shift: f32,
    /// What is made of logits after that.
    calibration: Option<CalibrationMap>,
    /// What this process does not hold of the tables, for who may ask for it.
    elsewhere: Option<Elsewhere>,
}

impl Network {
    /// A freshly initialised network for data of this layout.
    ///
    /// # Errors
    /// If the model does not fit the layout.
    pub fn new(config: &ModelConfig, layout: &Layout, seed: u64, isa: Isa) -> Result<Self> {
        Network::with_tables(config, layout, TablePrecision::F32, seed, isa)
    }

    /// A freshly initialised network whose tables are kept in this form.
    ///
    /// # Errors
    /// If the model does not fit the layout.
    pub fn with_tables(
        config: &ModelConfig,
        layout: &Layout,
        precision: TablePrecision,
        seed: u64,
        isa: Isa,
    ) -> Result<Self> {
        Network::built(config, layout, |builder| builder.finish(seed, isa, precision))
    }

    /// A network whose weights are all zero, to be read from a file. `seed` is that of dropout.
    ///
    /// # Errors
    /// If the model does not fit the layout.
    pub fn unfilled(
        config: &ModelConfig,
        layout: &Layout,
        precision: TablePrecision,
        seed: u64,
        isa: Isa,
    ) -> Result<Self> {
        Network::placed(Values::Unfilled, (config, layout), (precision, seed, isa), Placement::default())
    }

    /// A network of whose tables this process holds its share.
    ///
    /// # Errors
    /// If the model does not fit the layout.
    pub fn placed(
        values: Values,
        (config, layout): (&ModelConfig, &Layout),
        (precision, seed, isa): (TablePrecision, u64, Isa),
        placement: Placement,
    ) -> Result<Self> {
        Network::built(config, layout, |builder| match values {
            Values::Drawn => builder.finish_placed(seed, isa, precision, placement),
            Values::Unfilled => builder.finish_unfilled(seed, isa, precision, placement),
        })
    }

    fn built(
        config: &ModelConfig,
        layout: &Layout,
        finish: impl FnOnce(Builder<'_>) -> Weights,
    ) -> Result<Self> {
        let mut builder = Builder::new(layout);
        let model = config.build(&mut builder)?;
        Ok(Network::of(model, finish(builder)))
    }

    fn of(model: Box<dyn Model>, weights: Weights) -> Self {
        Network { model, weights, shift: 0.0, calibration: None, elsewhere: None }
    }

    /// A freshly initialised network of a model of one's own, whose parameters `build` declares.
    ///
    /// # Errors
    /// What `build` refuses.
    pub fn of_model<M: Model + 'static>(
        layout: &Layout,
        seed: u64,
        isa: Isa,
        build: impl FnOnce(&mut Builder<'_>) -> dlrm_nn::Result<M>,
    ) -> Result<Self> {
        let mut builder = Builder::new(layout);
        let model = Box::new(build(&mut builder)?);
        builder.check_names()?;
        Ok(Network::of(model, builder.finish(seed, isa, TablePrecision::F32)))
    }

    /// Lets training steps multiply in this precision. Scores are the same bits in all of them.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Network { weights: self.weights.with_precision(precision), ..self }
    }

    /// Corrects scores for training on this share of the negative rows: they are then scores for all rows.
    #[must_use]
    pub fn with_negative_downsampling(self, rate: f64) -> Self {
        Network { shift: libm::log(rate) as f32, ..self }
    }

    /// Calibrates scores from now on, or no longer.
    pub fn set_calibration(&mut self, map: Option<CalibrationMap>) {
        self.calibration = map;
    }

    /// What calibrates scores, if anything does.
    pub fn calibration(&self) -> Option<&CalibrationMap> {
        self.calibration.as_ref()
    }

    /// Lets it ask others for what they hold of its tables, where they wait for that.
    pub(crate) fn set_elsewhere(&mut self, elsewhere: Option<Elsewhere>) {
        self.elsewhere = elsewhere;
    }

    /// What others hold of its tables.
    pub(crate) fn elsewhere(&self) -> Option<&Elsewhere> {
        self.elsewhere.as_ref()
    }

    /// What is added to logits before they are calibrated, for training on a share of the negative rows.
    pub fn shift(&self) -> f32 {
        self.shift
    }

    /// The layers.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The weights, for loading and updating.
    pub fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    /// The operations of one row with their cost, recorded over `batch`.
    pub fn graph(&self, batch: &Batch) -> Graph {
        let mut arena = Arena::default();
        let mut tape = Tape::new(&self.weights, batch, 0..batch.len().min(1), &mut arena);
        self.model.forward(&mut tape);
        tape.graph()
    }

    /// What rows have in common that share these inputs of the one row of `row`, for [`Network::logits_in`].
    pub fn context(&self, row: &Batch, shared: SharedInputs<'_>) -> Context {
        let mut arena = Arena::default();
        let mut tape = Tape::new(&self.weights, row, 0..1, &mut arena);
        self.model.forward(&mut tape);
        Context::of(&tape, shared)
    }

    /// As [`Network::logits`], on the calling thread, of rows that have this in common: they have its bits.
    /// What they hold of features whose ids they share is not looked at.
    ///
    /// # Panics
    /// If `out` is not as long as the batch.
    pub fn logits_in(&self, context: &Context, batch: &Batch, out: &mut [f32], workspace: &mut Workspace) {
        self.score(Some(context), (batch, out), workspace, Parallel::Single);
    }

    /// Writes the logit of each row of `batch` to `out`. Up to 128 rows are scored on the calling thread,
    /// whatever `parallel` says: another one would take longer to wake than they take.
    ///
    /// # Panics
    /// If `out` is not as long as the batch.
    pub fn logits(&self, batch: &Batch, out: &mut [f32], workspace: &mut Workspace, parallel: Parallel<'_>) {
        self.score(None, (batch, out), workspace, parallel);
    }

    fn score(
        &self,
        context: Option<&Context>,
        (batch, out): (&Batch, &mut [f32]),
        workspace: &mut Workspace,
        parallel: Parallel<'_>,
    ) {
        assert_eq!(out.len(), batch.len(), "one logit per row");
        let Some(elsewhere) = &self.elsewhere else {
            return self.score_from(self.weights.store(), context, (batch, 0, out), workspace, parallel);
        };
        for (number, out) in out.chunks_mut(ROWS_ASKED).enumerate() {
            let (first, end) = (number * ROWS_ASKED, number * ROWS_ASKED + out.len());
            let vectors = elsewhere.vectors(self.weights.local(), batch, runs(first..end));
            self.score_from(&vectors, context, (batch, first, out), workspace, parallel);
        }
    }

    /// Scores the rows of `batch` from number `first` on, whose pooled vectors `store` has in [`runs`].
    pub(crate) fn score_from(
        &self,
        store: &dyn TableStore,
        context: Option<&Context>,
        (batch, first, out): (&Batch, usize, &mut [f32]),
        workspace: &mut Workspace,
        parallel: Parallel<'_>,
    ) {
        workspace.each(parallel, out.chunks_mut(ROWS).enumerate(), |arena, (chunk, out)| {
            let start = first + chunk * ROWS;
            let rows = start..start + out.len();
            let mut tape = Tape::new(&self.weights, batch, rows, arena).with_store(store);
            if let Some(context) = context {
                tape = tape.with_context(context);
            }
            let output = self.model.forward(&mut tape);
            out.copy_from_slice(tape.value(output));
            if self.shift != 0.0 {
                out.iter_mut().for_each(|logit| *logit += self.shift);
            }
            if let Some(map) = &self.calibration {
                out.iter_mut().for_each(|logit| *logit = map.apply(*logit));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::batch::{Feature, TableLayout};

    /// The tensors of a model whose weights are to be read are those of one whose weights were drawn.
    #[test]
    fn what_is_to_be_read_is_not_drawn() {
        let feature = Feature::new("a", 0);
        let layout = Layout {
            dense: vec!["x".into()],
            features: vec![feature],
            tables: vec![TableLayout { name: "a".into(), rows: 9 }],
            ..Layout::default()
        };
        for precision in [TablePrecision::F32, TablePrecision::Bf16, TablePrecision::F16] {
            let (model, isa) = (ModelConfig::default(), Isa::detect());
            let drawn = Network::with_tables(&model, &layout, precision, 3, isa).expect("a network");
            let unfilled = Network::unfilled(&model, &layout, precision, 3, isa).expect("a network");
            let [drawn, unfilled] = [&drawn, &unfilled].map(|network| network.weights().tensors());
            assert!(drawn.iter().any(|(.., values)| values.iter().any(|v| v != 0.0)));
            for ((name, shape, _), (own, own_shape, values)) in drawn.iter().zip(&unfilled) {
                assert_eq!((name, shape), (own, own_shape));
                assert!(values.iter().all(|v| v == 0.0), "{name}");
            }
        }
    }

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    /// Three dense inputs, and features with a table of their own.
    fn layout(names: &[&str]) -> Layout {
        Layout {
            dense: ["x", "y", "z"].map(String::from).to_vec(),
            features: names.iter().enumerate().map(|(table, &name)| Feature::new(name, table)).collect(),
            tables: names.iter().map(|&name| TableLayout { name: name.into(), rows: 9 }).collect(),
            ..Layout::default()
        }
    }

    /// Rows of such a layout, those inputs that are `shared` as in the first row.
    fn rows(layout: &Layout, count: u32, shared: SharedInputs<'_>) -> Batch {
        let mut batch = Batch::new(layout);
        for row in 0..count {
            let own = |is_shared: bool| if is_shared { 0 } else { row };
            batch.dense.extend((1..4).map(|x| ((own(shared.dense) * x) % 7) as f32 / 7.0 - 0.3));
            for (feature, bags) in (0..).zip(&mut batch.bags) {
                let row = own(shared.features[feature as usize]);
                bags.ids.extend((0..=row % 3).map(|id| (row * 5 + id + feature) % 9));
                bags.offsets.push(bags.ids.len() as u32);
            }
            batch.labels.push(0.0);
        }
        batch
    }

    /// Whatever rows have in common, of every kind of model, no bit differs.
    #[test]
    fn rows_that_share_inputs_have_their_own_bits() {
        let layout = layout(&NAMES);
        let (mut built, mut summed) = (0, 0);
        for about in dlrm_models::ModelConfig::ABOUT {
            let config = ModelConfig::of_kind(about.kind).expect("a kind");
            for isa in Isa::available() {
                let Ok(network) = Network::new(&config, &layout, 3, isa) else { continue };
                built += 1;
                for (dense, features) in [
                    (true, [true, true, false, false, false]),
                    (true, [true, true, true, true, false]),
                    (false, [true, true, true, false, false]),
                    (true, [false, true, false, true, false]),
                    (true, [true; 5]),
                    (false, [false; 5]),
                ] {
                    let shared = SharedInputs { dense, features: &features };
                    let batch = rows(&layout, 150, shared);
                    let context = network.context(&rows(&layout, 1, shared), shared);
                    summed += context.summed_columns();
                    let (mut workspace, mut own, mut all) =
                        (Workspace::new(), vec![0.0; 150], vec![0.0; 150]);
                    network.logits(&batch, &mut all, &mut workspace, Parallel::Single);
                    network.logits_in(&context, &batch, &mut own, &mut workspace);
                    assert_eq!(own, all, "{} {isa:?} {shared:?}", about.kind);
                }
            }
        }
        assert!(built >= 9 && summed > 0, "{built} networks, {summed} columns");
    }

    /// What a ranking shares of each kind of model is what docs/serving.md says.
    #[test]
    fn what_each_kind_shares() {
        let page = include_str!("../../../docs/serving.md");
        let mut table = String::new();
        for about in dlrm_models::ModelConfig::ABOUT {
            let config = ModelConfig::of_kind(about.kind).expect("a kind");
            // The context has all columns but one; of two that are multiplied it has the user.
            let names = if ["mf", "ncf"].contains(&about.kind) { &["user", "item"][..] } else { &NAMES };
            let layout = layout(names);
            let mut features = vec![true; names.len()];
            features[names.len() - 1] = false;
            let shared = SharedInputs { dense: true, features: &features };
            let network = Network::new(&config, &layout, 3, Isa::detect()).expect("a network");
            let context = network.context(&rows(&layout, 1, shared), shared);
            let (whole, all) = context.counts();
            let summed = context.summed_columns();
            table.push_str(&format!("| `{}` | {whole} of {all} | {summed} |\n", about.kind));
        }
        assert!(page.contains(&table), "docs/serving.md: expected\n{table}");
    }
}
