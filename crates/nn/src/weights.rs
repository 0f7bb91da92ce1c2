//! All parameters of a model. Dense parameters lie in one flat buffer (so that reduction and update are
//! single passes); tables each have their own, row-aligned memory.
use crate::error::{Error, Result};
use crate::layer::{Layer, Packing, Precision};
use crate::slot::SlotSpec;
use crate::storage::Values;
use dlrm_kernels::half::{Numbers, NumbersMut};
use dlrm_kernels::{Buffer, Isa};
use rayon::prelude::*;
use std::ops::Range;

/// A dense parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamId(pub(crate) u32);
/// An embedding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableId(pub(crate) u32);
/// Features embedded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupId(pub(crate) u32);

/// Description of a dense parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Dotted name; also its key in checkpoints.
    pub name: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// Place in the flat buffer.
    pub range: Range<usize>,
}

/// Rows of an embedding.
#[derive(Debug, Clone)]
pub struct Table {
    /// Dotted name; also its key in checkpoints.
    pub name: String,
    /// R
    pub rows: usize,
    /// D
    pub dim: usize,
    /// [R, D]
    pub values: Values,
    /// `[R]` learned pooling weights, checkpoint key [`Table::row_weights_name`].
    pub row_weights: Option<Buffer>,
}

/// What the names of a linear part's parameters begin with.
pub const LINEAR: &str = "linear.";

impl Table {
    /// Whether it belongs to a model's linear part.
    pub(crate) fn is_linear(&self) -> bool {
        self.name.starts_with(LINEAR)
    }

    /// Checkpoint key of the learned pooling weights: `tables.x` has `row_weights.x`.
    pub fn row_weights_name(&self) -> String {
        let own = self.name.split_once('.').map_or(self.name.as_str(), |(_, own)| own);
        format!("row_weights.{own}")
    }
}

/// The parameters and running statistics of a batch normalisation, each `[N]`.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm {
    /// Learned scale.
    pub gain: ParamId,
    /// Learned shift.
    pub bias: ParamId,
    /// Running mean of the inputs.
    pub mean: ParamId,
    /// Running variance of the inputs.
    pub variance: ParamId,
}

/// All parameters of a model.
#[derive(Debug, Clone)]
pub struct Weights {
    pub(crate) params: Vec<Param>,
    pub(crate) dense: Buffer,
    /// Where the dense weights of the linear part begin: the last of those that are trained.
    pub(crate) linear_start: usize,
    /// Floats of `dense` that are trained; running statistics lie behind them.
    pub(crate) trained: usize,
    pub(crate) norms: Vec<BatchNorm>,
    pub(crate) tables: Vec<Table>,
    pub(crate) slots: Vec<SlotSpec>,
    pub(crate) groups: Vec<Range<usize>>,
    layers: Vec<Layer>,
    layer_of: Vec<Option<u32>>,
    precision: Precision,
    isa: Isa,
    seed: u64,
}

impl Weights {
    pub(crate) fn new(
        (isa, seed): (Isa, u64),
        (params, dense, [linear_start, trained], norms): (Vec<Param>, Buffer, [usize; 2], Vec<BatchNorm>),
        tables: Vec<Table>,
        (slots, groups): (Vec<SlotSpec>, Vec<Range<usize>>),
        matrices: &[ParamId],
    ) -> Self {
        let mut layer_of = vec![None; params.len()];
        let mut layers = Vec::new();
        for id in matrices {
            layer_of[id.0 as usize] = Some(layers.len() as u32);
            layers.push(Layer::new(id.0 as usize, Precision::F32));
        }
        let precision = Precision::F32;
        let mut weights = Weights {
            params,
            dense,
            linear_start,
            trained,
            norms,
            tables,
            slots,
            groups,
            layers,
            layer_of,
            precision,
            isa,
            seed,
        };
        weights.repack();
        weights
    }

    /// Descriptions of the dense parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Values of a dense parameter.
    pub fn values(&self, id: ParamId) -> &[f32] {
        &self.dense[self.params[id.0 as usize].range.clone()]
    }

    /// The tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Uses of tables (or pairs of them) by features, in the order in which models embed them.
    pub fn slots(&self) -> &[SlotSpec] {
        &self.slots
    }

    /// The instruction set that these weights are packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// What the products of training steps multiply.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The same for training steps in another precision.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.layers = self.layers.iter().map(|layer| Layer::new(layer.param, precision)).collect();
        self.repack();
        self
    }

    /// The seed of the initial values, which also seeds dropout.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Width of a row of embedding gradients: the sum of all slots' widths.
    pub fn embedding_width(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.column + slot.dim)
    }

    /// Number of trained parameters: (dense, tables).
    pub fn count(&self) -> (usize, usize) {
        let dense = self.params.iter().filter(|p| p.range.end <= self.trained).map(|p| p.range.len()).sum();
        let tables = self
            .tables
            .iter()
            .map(|t| t.values.view().len() + t.row_weights.as_ref().map_or(0, |w| w.len()))
            .sum();
        (dense, tables)
    }

    /// Every tensor as (name, shape, values), in a fixed order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Numbers<'_>)> {
        let dense = |p: &Param| (p.name.clone(), p.shape.clone(), Numbers::F32(&self.dense[p.range.clone()]));
        let mut all: Vec<_> = self.params.iter().map(dense).collect();
        for table in &self.tables {
            all.push((table.name.clone(), vec![table.rows, table.dim], table.values.view()));
            if let Some(weights) = &table.row_weights {
                all.push((table.row_weights_name(), vec![table.rows], Numbers::F32(weights)));
            }
        }
        all
    }

    /// The same for writing. Call [`Weights::repack`] afterwards.
    pub fn tensors_mut(&mut self) -> Vec<(String, Vec<usize>, NumbersMut<'_>)> {
        let mut all: Vec<(String, Vec<usize>, NumbersMut<'_>)> = Vec::new();
        // Statistics lie behind the trained parameters, so the order in memory is not that of declaration.
        let mut order: Vec<usize> = (0..self.params.len()).collect();
        order.sort_unstable_by_key(|&p| self.params[p].range.start);
        let mut cut: Vec<(usize, &mut [f32])> = Vec::with_capacity(order.len());
        let (mut rest, mut at) = (&mut self.dense[..], 0);
        for p in order {
            let range = self.params[p].range.clone();
            let (_, after) = rest.split_at_mut(range.start - at);
            let (values, after) = after.split_at_mut(range.len());
            (rest, at) = (after, range.end);
            cut.push((p, values));
        }
        cut.sort_unstable_by_key(|(p, _)| *p);
        all.extend(cut.into_iter().map(|(p, values)| {
            (self.params[p].name.clone(), self.params[p].shape.clone(), NumbersMut::F32(values))
        }));
        for table in &mut self.tables {
            let (weights_name, shape) = (table.row_weights_name(), vec![table.rows, table.dim]);
            all.push((table.name.clone(), shape, table.values.view_mut()));
            if let Some(weights) = &mut table.row_weights {
                all.push((weights_name, vec![table.rows], NumbersMut::F32(weights)));
            }
        }
        all
    }

    /// Sets one tensor by name, to the nearest numbers that it can hold.
    ///
    /// # Errors
    /// If there is no such tensor or its length differs. Call [`Weights::repack`] after the last one.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let mut tensors = self.tensors_mut();
        let Some((_, shape, into)) = tensors.iter_mut().find(|(own, ..)| own == name) else {
            let known: Vec<String> = tensors.into_iter().map(|(own, ..)| own).collect();
            return Err(Error::new(
                "tensor name",
                format!("one of {}", known.join(", ")),
                format!("\"{name}\""),
            ));
        };
        let len = into.view().len();
        if len != values.len() {
            return Err(Error::new(
                name,
                format!("{len} values, shape {shape:?}"),
                format!("{}", values.len()),
            ));
        }
        into.set(values);
        Ok(())
    }

    /// Renews the packed forms of the weight matrices; needed after every change of dense parameters.
    pub fn repack(&mut self) {
        self.packing().1.into_par_iter().for_each(Packing::run);
    }

    /// The tables, and beside them what renews the packed matrices: in small parts, for layers differ too much in size
    /// to be shared evenly among threads.
    pub(crate) fn packing(&mut self) -> (&mut [Table], Vec<Packing<'_>>) {
        let Weights { params, dense, layers, tables, isa, .. } = self;
        (tables, layers.iter_mut().flat_map(|layer| layer.packing(*isa, params, dense)).collect())
    }

    /// The packed forms of a matrix.
    pub(crate) fn layer(&self, id: ParamId) -> &Layer {
        let layer = self.layer_of[id.0 as usize].expect("only matrices of layers are multiplied with");
        &self.layers[layer as usize]
    }
}
