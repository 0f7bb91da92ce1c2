//! All parameters of a model. Dense parameters lie in one flat buffer (so that reduction and update are
//! single passes); tables each have their own, row-aligned memory.
use crate::error::{Error, Result};
use crate::local_tables::LocalTables;
use crate::packed_matrix::{PackedMatrix, Packing, Precision};
use crate::param::{BatchNormParams, Param, ParamId};
use crate::placement::Placement;
use crate::slot::SlotSpec;
use crate::slots::{GroupId, Slots};
use crate::table::Table;
use crate::table_store::TableStore;
use dlrm_kernels::half::{Numbers, NumbersMut};
use dlrm_kernels::{Buffer, Isa};

/// Dense parameters, laid out: the trained ones, those of the linear part last, and the running statistics.
pub(crate) struct DenseParams {
    pub(crate) params: Vec<Param>,
    pub(crate) values: Buffer,
    pub(crate) linear_start: usize,
    pub(crate) trained: usize,
    pub(crate) norms: Vec<BatchNormParams>,
    pub(crate) output: OutputParams,
}

/// Parameters whose results are summands of the model's output.
#[derive(Debug, Clone)]
pub(crate) struct OutputParams {
    /// The bias.
    pub(crate) bias: Option<ParamId>,
    /// Weights of layers of width 1.
    pub(crate) weights: Vec<ParamId>,
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
    pub(crate) norms: Vec<BatchNormParams>,
    output: OutputParams,
    pub(crate) tables: LocalTables,
    matrices: Vec<PackedMatrix>,
    matrix_of: Vec<Option<u32>>,
    precision: Precision,
    isa: Isa,
    seed: u64,
}

impl Weights {
    /// Dense parameters and tables whose packed forms are to be made; `matrices` are the weights of layers.
    pub(crate) fn new(dense: DenseParams, tables: LocalTables, matrices: &[ParamId], seed: u64) -> Self {
        let DenseParams { params, values, linear_start, trained, norms, output } = dense;
        let mut matrix_of = vec![None; params.len()];
        let mut packed = Vec::with_capacity(matrices.len());
        for id in matrices {
            matrix_of[id.0 as usize] = Some(packed.len() as u32);
            packed.push(PackedMatrix::new(id.0 as usize, Precision::F32));
        }
        let mut weights = Weights {
            params,
            dense: values,
            linear_start,
            trained,
            norms,
            output,
            isa: tables.isa,
            tables,
            matrices: packed,
            matrix_of,
            precision: Precision::F32,
            seed,
        };
        weights.repack();
        weights
    }

    /// Descriptions of the dense parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Description of a dense parameter.
    pub(crate) fn param(&self, id: ParamId) -> &Param {
        &self.params[id.0 as usize]
    }

    /// Values of a dense parameter.
    pub fn values(&self, id: ParamId) -> &[f32] {
        &self.dense[self.param(id).range.clone()]
    }

    /// The tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables.tables
    }

    /// Who holds the tables.
    pub fn placement(&self) -> &Placement {
        &self.tables.placement
    }

    /// The tables that are here.
    pub fn local(&self) -> &LocalTables {
        &self.tables
    }

    /// Where pooled embeddings come from, where all tables are here.
    pub fn store(&self) -> &dyn TableStore {
        &self.tables
    }

    /// Uses of tables (or pairs of them) by features.
    pub fn slots(&self) -> &Slots {
        &self.tables.slots
    }

    /// Uses of tables by the features of a group.
    pub(crate) fn slots_of(&self, group: GroupId) -> &[SlotSpec] {
        self.tables.slots.of(group)
    }

    /// The instruction set that these weights are packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// What the products of training steps multiply.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// These weights for training steps in another precision.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.matrices =
            self.matrices.iter().map(|matrix| PackedMatrix::new(matrix.param, precision)).collect();
        self.repack();
        self
    }

    /// Number of dense parameters that are trained, and with the running statistics behind them.
    pub fn dense_len(&self) -> (usize, usize) {
        (self.trained, self.dense.len())
    }

    /// The seed of the initial values, which also seeds dropout.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of trained parameters: (dense, tables).
    pub fn count(&self) -> (usize, usize) {
        let dense = self.params.iter().filter(|p| p.range.end <= self.trained).map(|p| p.range.len()).sum();
        let in_table = |t: &Table| t.rows * (t.dim + usize::from(t.row_weights.is_some()));
        (dense, self.tables().iter().map(in_table).sum())
    }

    /// Every tensor as (name, shape, values), in a fixed order. Of tables those rows that are held here.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Numbers<'_>)> {
        let dense = |p: &Param| (p.name.clone(), p.shape.clone(), Numbers::F32(&self.dense[p.range.clone()]));
        let mut all: Vec<_> = self.params.iter().map(dense).collect();
        for table in self.tables() {
            let rows = table.held_rows();
            all.push((table.name.clone(), vec![rows, table.dim], table.values.view()));
            if let Some(weights) = &table.row_weights {
                all.push((table.row_weights_name.clone(), vec![rows], Numbers::F32(weights)));
            }
        }
        all
    }

    /// The tensors of [`Weights::tensors`] for writing. Call [`Weights::repack`] afterwards.
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
        for table in &mut self.tables.tables {
            let (weights_name, rows) = (table.row_weights_name.clone(), table.held_rows());
            all.push((table.name.clone(), vec![rows, table.dim], table.values.view_mut()));
            if let Some(weights) = &mut table.row_weights {
                all.push((weights_name, vec![rows], NumbersMut::F32(weights)));
            }
        }
        all
    }

    /// Sets one tensor by name, to the nearest numbers that it can hold. Of a table all rows are given, and
    /// those that are held here are set.
    ///
    /// # Errors
    /// If there is no such tensor or its length differs. Call [`Weights::repack`] after the last one.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let own = self.tables().iter().find(|table| table.name == name && !table.held.is_all());
        let own: Option<Vec<f32>> = own.filter(|table| values.len() == table.rows * table.dim).map(|table| {
            let rows = (0..table.held_rows()).map(|place| table.held.row(place));
            rows.flat_map(|row| &values[row * table.dim..][..table.dim]).copied().collect()
        });
        let values = own.as_deref().unwrap_or(values);
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

    /// Sets the bias that the model's output is a sum with; whether it has one.
    pub fn set_output_bias(&mut self, value: f32) -> bool {
        let place = self.output.bias.map(|bias| self.param(bias).range.clone());
        if let Some(place) = place.clone() {
            self.dense[place].fill(value);
        }
        place.is_some()
    }

    /// Sets the weights of the layers that the model's output is a sum of to zero: it is then that of its
    /// linear part, if any. Call [`Weights::repack`] afterwards.
    pub fn silence_outputs(&mut self) {
        for id in self.output.weights.clone() {
            let place = self.param(id).range.clone();
            self.dense[place].fill(0.0);
        }
    }

    /// Renews the packed forms of the weight matrices; needed after every change of dense parameters. On this
    /// thread alone: the steps of training renew them with their own threads.
    pub fn repack(&mut self) {
        self.packing().1.into_iter().for_each(Packing::run);
    }

    /// The tables, and beside them what renews the packed matrices: in small parts, for layers differ too
    /// much in size to be shared evenly among threads.
    pub(crate) fn packing(&mut self) -> (&mut LocalTables, Vec<Packing<'_>>) {
        let Weights { params, dense, matrices, tables, isa, .. } = self;
        (tables, matrices.iter_mut().flat_map(|matrix| matrix.packing(*isa, params, dense)).collect())
    }

    /// The weights of layers.
    pub(crate) fn matrices(&self) -> impl Iterator<Item = ParamId> {
        self.matrices.iter().map(|matrix| ParamId(matrix.param as u32))
    }

    /// The packed forms of a matrix.
    pub(crate) fn matrix(&self, id: ParamId) -> &PackedMatrix {
        let matrix = self.matrix_of[id.0 as usize].expect("only matrices of layers are multiplied with");
        &self.matrices[matrix as usize]
    }

    /// Moves the running statistics by a tenth towards those of the whole batch, as PyTorch does (its
    /// variance being over n - 1). `lane` is the reduced gradient, `rows` the batch.
    pub(crate) fn update_statistics(&mut self, lane: &[f32], rows: usize) {
        const MOMENTUM: f32 = 0.1;
        let n = rows as f32;
        for index in 0..self.norms.len() {
            let BatchNormParams { mean, variance, .. } = self.norms[index];
            let [mean, variance] = [mean, variance].map(|p| self.param(p).range.clone());
            for (m, v) in mean.zip(variance) {
                let shift = lane[m] / n;
                self.dense[m] += MOMENTUM * shift;
                if rows > 1 {
                    let unbiased = (lane[v] / n - shift * shift).max(0.0) * n / (n - 1.0);
                    self.dense[v] += MOMENTUM * (unbiased - self.dense[v]);
                }
            }
        }
    }
}
