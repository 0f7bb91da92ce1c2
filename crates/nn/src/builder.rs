//! Declares a model's parameters by name, before any memory is taken: the plan (counts, bytes) can be
//! looked at and refused; [`Builder::finish`] then allocates and initialises.
use crate::error::{Error, Result};
use crate::init::Init;
use crate::slot::{QuotientRemainder, RowMap, RowSource, Slot, SlotSpec};
use crate::storage::{Storage, Values};
use crate::tape::{Tape, Var};
use crate::weights::{BatchNorm, GroupId, LINEAR, Param, ParamId, Table, Weights};
use dlrm_data::batch::Layout;
use dlrm_data::schema::Pooling;
use dlrm_kernels::quotient_remainder::Combine;
use dlrm_kernels::{Buffer, Isa};
use std::ops::Range;

/// Parameters start on multiples of this many floats (a cache line).
const ALIGN: usize = 16;

/// Activation after a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// y = x
    Identity,
    /// y = max(x, 0)
    Relu,
}

/// Whether a layer has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// y = x Wᵀ + b
    With,
    /// y = x Wᵀ
    Without,
}

/// Handle of a fully connected layer.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    /// [N, K]
    pub weight: ParamId,
    /// `[N]`
    pub bias: Option<ParamId>,
    /// K
    pub inputs: usize,
    /// N
    pub outputs: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Linear {
    /// [S, K] → [S, N]
    pub fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        t.linear(x, *self)
    }
}

/// Layers one after another.
#[derive(Debug, Clone)]
pub struct Mlp {
    /// In order.
    pub layers: Vec<Linear>,
}

impl Mlp {
    /// [S, inputs] → [S, outputs]
    pub fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        self.layers.iter().fold(x, |x, layer| layer.forward(t, x))
    }
}

/// Whether the optimiser moves a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Trained,
    /// A running statistic.
    Statistic,
}

struct ParamSpec {
    name: String,
    shape: Vec<usize>,
    init: Init,
    role: Role,
}

impl ParamSpec {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

struct TableSpec {
    name: String,
    /// The table of the layout whose ids it has rows for, and how an id finds its row.
    ids: (usize, RowMap),
    rows: usize,
    dim: usize,
    learned: bool,
    init: Init,
}

impl TableSpec {
    /// How it is kept where others are kept like this.
    fn storage(&self, others: Storage) -> Storage {
        // The two tables of a compressed feature are small, and their rows factors of each other's gradients.
        if self.ids.1 == RowMap::Whole { others } else { Storage::F32 }
    }
}

/// As in the reference.
fn default_init(rows: usize) -> Init {
    Init::Uniform((1.0 / rows.max(1) as f64).sqrt())
}

/// Declares parameters.
pub struct Builder<'a> {
    layout: &'a Layout,
    params: Vec<ParamSpec>,
    norms: Vec<BatchNorm>,
    matrices: Vec<ParamId>,
    tables: Vec<TableSpec>,
    slots: Vec<SlotSpec>,
    groups: Vec<Range<usize>>,
}

impl<'a> Builder<'a> {
    /// Nothing declared yet.
    pub fn new(layout: &'a Layout) -> Self {
        Builder {
            layout,
            params: Vec::new(),
            norms: Vec::new(),
            matrices: Vec::new(),
            tables: Vec::new(),
            slots: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// The shape of the data.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// A dense parameter.
    pub fn param(&mut self, name: &str, shape: &[usize], init: Init) -> ParamId {
        self.declare(name, shape, init, Role::Trained)
    }

    fn declare(&mut self, name: &str, shape: &[usize], init: Init, role: Role) -> ParamId {
        self.params.push(ParamSpec { name: name.to_owned(), shape: shape.to_vec(), init, role });
        ParamId(self.params.len() as u32 - 1)
    }

    /// A batch normalisation of `width` columns: `name.weight`, `name.bias` and the running `name.mean`,
    /// `name.variance`. The index is for [`Tape::batch_norm`].
    pub fn batch_norm(&mut self, name: &str, width: usize) -> usize {
        let mut of = |part, value, role| {
            self.declare(&format!("{name}.{part}"), &[width], Init::Constant(value), role)
        };
        let norm = BatchNorm {
            gain: of("weight", 1.0, Role::Trained),
            bias: of("bias", 0.0, Role::Trained),
            mean: of("mean", 0.0, Role::Statistic),
            variance: of("variance", 1.0, Role::Statistic),
        };
        self.norms.push(norm);
        self.norms.len() - 1
    }

    /// A fully connected layer `name.weight` `[outputs, inputs]`, `name.bias` `[outputs]`; initialised as in the
    /// reference: weights normal with variance 2 / (inputs + outputs), biases normal with variance 1 / outputs.
    ///
    /// # Errors
    /// If a width is zero.
    pub fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
        bias: Bias,
    ) -> Result<Linear> {
        let scale = (2.0 / (inputs + outputs) as f64).sqrt();
        let bias_init = Init::Normal((1.0 / outputs as f64).sqrt());
        self.linear_with(name, (inputs, outputs), activation, bias, (Init::Normal(scale), bias_init))
    }

    /// The same with given initialisations of weight and bias.
    ///
    /// # Errors
    /// If a width is zero.
    pub fn linear_with(
        &mut self,
        name: &str,
        (inputs, outputs): (usize, usize),
        activation: Activation,
        bias: Bias,
        (weight_init, bias_init): (Init, Init),
    ) -> Result<Linear> {
        if inputs == 0 || outputs == 0 {
            return Err(Error::new(
                format!("layer {name}"),
                "at least one input and one output",
                format!("{inputs} to {outputs}"),
            ));
        }
        let weight = self.param(&format!("{name}.weight"), &[outputs, inputs], weight_init);
        self.matrices.push(weight);
        let bias = (bias == Bias::With).then(|| self.param(&format!("{name}.bias"), &[outputs], bias_init));
        Ok(Linear { weight, bias, inputs, outputs, activation })
    }

    /// Layers `name.0`, `name.1`, … with ReLU between them and `last` after the last.
    ///
    /// # Errors
    /// If a width is zero.
    pub fn mlp(&mut self, name: &str, inputs: usize, widths: &[usize], last: Activation) -> Result<Mlp> {
        let mut layers = Vec::with_capacity(widths.len());
        let mut width = inputs;
        for (i, &outputs) in widths.iter().enumerate() {
            let activation = if i + 1 == widths.len() { last } else { Activation::Relu };
            layers.push(self.linear(&format!("{name}.{i}"), width, outputs, activation, Bias::With)?);
            width = outputs;
        }
        Ok(Mlp { layers })
    }

    /// Features embedded together, their vectors side by side. Tables are called `prefix.<name>` (or, of a compressed
    /// feature, `prefix.<name>.quotient` and `prefix.<name>.remainder`) and are shared by features that share ids.
    /// The default initialisation of the reference is uniform in ±√(1/rows).
    ///
    /// # Errors
    /// If two features share a table but want other widths, or a compression cannot be.
    pub fn embed(&mut self, prefix: &str, slots: &[Slot], init: Option<Init>) -> Result<GroupId> {
        let first = self.slots.len();
        for slot in slots {
            let rows = match slot.compression {
                None => self.whole(prefix, slot, init)?,
                Some(compression) => self.pair(prefix, slot, compression, init)?,
            };
            let column = self.slots.last().map_or(0, |s| s.column + s.dim);
            self.slots.push(SlotSpec {
                feature: slot.feature,
                rows,
                pooling: slot.pooling,
                dim: slot.dim,
                column,
            });
        }
        self.groups.push(first..self.slots.len());
        Ok(GroupId(self.groups.len() as u32 - 1))
    }

    /// One table with a row for each id.
    fn whole(&mut self, prefix: &str, slot: &Slot, init: Option<Init>) -> Result<RowSource> {
        let own = self.layout.features[slot.feature].table;
        let rows = self.layout.tables[own].rows;
        let (name, learned) =
            (format!("{prefix}.{}", self.layout.tables[own].name), slot.pooling == Pooling::Learned);
        let init = init.unwrap_or(default_init(rows));
        let table = self
            .table(slot, TableSpec { name, ids: (own, RowMap::Whole), rows, dim: slot.dim, learned, init })?;
        Ok(RowSource::Whole { table })
    }

    /// Two small tables whose rows are combined.
    fn pair(
        &mut self,
        prefix: &str,
        slot: &Slot,
        compression: QuotientRemainder,
        init: Option<Init>,
    ) -> Result<RowSource> {
        let QuotientRemainder { combine, collisions } = compression;
        let feature = &self.layout.features[slot.feature];
        let table = &self.layout.tables[feature.table];
        if collisions < 2 {
            let what = format!("collisions of the quotient-remainder table \"{}\"", table.name);
            return Err(Error::new(what, "at least 2", collisions.to_string()));
        }
        if slot.pooling == Pooling::Learned {
            let what = format!("pooling of feature \"{}\"", feature.name);
            return Err(Error::new(
                what,
                "sum or mean: ids of a quotient-remainder table have no weights of their own",
                "learned",
            ));
        }
        let widths = combine.widths(slot.dim);
        if widths.0.min(widths.1) == 0 {
            let what = format!("embedding_dim of feature \"{}\"", feature.name);
            return Err(Error::new(
                what,
                "at least a column for quotient and for remainder",
                slot.dim.to_string(),
            ));
        }
        let mut part = |part: &str, map, rows, dim, init| {
            let name = format!("{prefix}.{}.{part}", table.name);
            self.table(slot, TableSpec { name, ids: (feature.table, map), rows, dim, learned: false, init })
        };
        let rows = (table.rows.div_ceil(collisions as usize), collisions as usize);
        let of_quotient = init.unwrap_or(default_init(rows.0));
        let quotient = part("quotient", RowMap::Quotient(collisions), rows.0, widths.0, of_quotient)?;
        // Products start as the quotient's rows: of two small factors they would start near zero and learn slowly.
        let of_remainder = if combine == Combine::Multiply {
            Init::Constant(1.0)
        } else {
            init.unwrap_or(default_init(rows.1))
        };
        let remainder = part("remainder", RowMap::Remainder(collisions), rows.1, widths.1, of_remainder)?;
        Ok(RowSource::Pair { quotient, remainder, collisions, combine })
    }

    /// The index of the table that a slot reads: a declared one, or a new one.
    fn table(&mut self, slot: &Slot, spec: TableSpec) -> Result<usize> {
        let what = || format!("embedding_dim of feature \"{}\"", self.layout.features[slot.feature].name);
        let Some(index) = self.tables.iter().position(|t| t.name == spec.name) else {
            if slot.dim == 0 {
                return Err(Error::new(what(), "at least 1", "0"));
            }
            self.tables.push(spec);
            return Ok(self.tables.len() - 1);
        };
        let known = &mut self.tables[index];
        if known.ids != spec.ids {
            return Err(Error::new(
                format!("table {}", spec.name),
                "one meaning of this name",
                "tables of different ids",
            ));
        }
        if known.dim != spec.dim {
            let expected = format!("{} as in the shared table {}", known.dim, spec.name);
            return Err(Error::new(what(), expected, spec.dim.to_string()));
        }
        known.learned |= spec.learned;
        Ok(index)
    }

    /// Number of trained parameters declared: (dense, tables).
    pub fn count(&self) -> (usize, usize) {
        let dense = self.params.iter().filter(|p| p.role == Role::Trained).map(ParamSpec::len).sum();
        let tables = self.tables.iter().map(|t| t.rows * (t.dim + usize::from(t.learned))).sum();
        (dense, tables)
    }

    /// Whether anything of a linear part is declared.
    pub fn has_linear_part(&self) -> bool {
        let names = self.params.iter().map(|p| &p.name).chain(self.tables.iter().map(|t| &t.name));
        names.into_iter().any(|name| name.starts_with(LINEAR))
    }

    /// Declared tables as (name, rows, dim).
    pub fn tables(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.tables.iter().map(|t| (t.name.as_str(), t.rows, t.dim))
    }

    /// Bytes of the tables, kept as `storage` says, and of learned pooling weights.
    pub fn table_bytes(&self, storage: Storage) -> usize {
        self.tables
            .iter()
            .map(|spec| {
                spec.storage(storage).bytes() * spec.rows * spec.dim
                    + 4 * spec.rows * usize::from(spec.learned)
            })
            .sum()
    }

    /// Allocates and initialises everything. A parameter's name and `seed` alone decide its values; tables are kept as
    /// `storage` says, but for those of compressed features.
    pub fn finish(self, seed: u64, isa: Isa, storage: Storage) -> Weights {
        let mut params: Vec<Param> = self
            .params
            .iter()
            .map(|p| Param { name: p.name.clone(), shape: p.shape.clone(), range: 0..0 })
            .collect();
        let mut end = 0;
        // Ends of the trained parameters outside the linear part, in it, and of the statistics.
        let ends = [(Role::Trained, false), (Role::Trained, true), (Role::Statistic, false)].map(
            |(role, linear)| {
                let fits = |spec: &ParamSpec| spec.role == role && spec.name.starts_with(LINEAR) == linear;
                for (param, spec) in params.iter_mut().zip(&self.params).filter(|(_, spec)| fits(spec)) {
                    param.range = end..end + spec.len();
                    end = param.range.end.next_multiple_of(ALIGN);
                }
                end
            },
        );
        let mut dense = Buffer::hot(end);
        for (param, spec) in params.iter().zip(&self.params) {
            spec.init.fill(&mut dense[param.range.clone()], seed, &param.name);
        }
        let tables = self.tables.into_iter().map(|spec| {
            let mut values = Values::zeroed(spec.storage(storage), spec.rows * spec.dim);
            values.fill(spec.init, seed, &spec.name);
            // Learned pooling starts as the plain sum.
            let row_weights = spec.learned.then(|| {
                let mut ones = Buffer::zeroed(spec.rows);
                ones.fill(1.0);
                ones
            });
            Table { name: spec.name, rows: spec.rows, dim: spec.dim, values, row_weights }
        });
        let tables = tables.collect();
        Weights::new(
            (isa, seed),
            (params, dense, [ends[0], ends[1]], self.norms),
            tables,
            (self.slots, self.groups),
            &self.matrices,
        )
    }
}
