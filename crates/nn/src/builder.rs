//! Declares a model's parameters by name, before any memory is taken: the plan (counts, bytes) can be
//! looked at and refused; [`Builder::finish`] then allocates and initialises.
mod declared;

use crate::error::{Error, Result};
use crate::init::Init;
use crate::local_tables::LocalTables;
use crate::names::{self, TableName};
use crate::param::{BatchNormParams, Param, ParamId, Role};
use crate::placement::{HeldRows, Placement};
use crate::slot::{QuotientRemainder, RowMap, Slot, SlotRows, SlotSpec};
use crate::slots::{GroupId, Slots};
use crate::table::Table;
use crate::table_values::{TablePrecision, Values};
use crate::tape::Linear;
use crate::weights::{DenseParams, OutputParams, Weights};
use dlrm_data::batch::Layout;
use dlrm_data::schema::Pooling;
use dlrm_kernels::activation::Activation;
use dlrm_kernels::quotient_remainder::Combine;
use dlrm_kernels::{Buffer, Isa};

/// Parameters start on multiples of this many floats (a cache line).
const ALIGN: usize = 16;

/// The widest vector that a model may have: sums and products of a few such widths do not overflow.
const WIDEST: usize = 1 << 28;

/// Whether a layer has a bias, and how it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// y = x Wᵀ
    Without,
    /// y = x Wᵀ + b, where b starts at zero (Glorot and Bengio 2010).
    Zero,
    /// y = x Wᵀ + b, where b starts normal with variance 1 / outputs, as in the reference DLRM.
    Reference,
}

struct ParamSpec {
    name: String,
    shape: Vec<usize>,
    init: Init,
    role: Role,
}

impl ParamSpec {
    fn len(&self) -> usize {
        self.shape.iter().fold(1, |len, &dim| len.saturating_mul(dim))
    }
}

/// A declared table.
pub struct TableSpec {
    /// Dotted name; also its key in checkpoints.
    pub name: String,
    /// [`Role::Table`] or [`Role::Linear`].
    pub role: Role,
    /// R
    pub rows: usize,
    /// D
    pub dim: usize,
    /// The table of the layout whose ids it has rows for, and how an id finds its row.
    ids: (usize, RowMap),
    /// Whether rows have learned pooling weights.
    learned: bool,
    init: Init,
}

impl TableSpec {
    /// Whether it has a row for each id; else ids share rows.
    pub fn is_whole(&self) -> bool {
        self.ids.1 == RowMap::Whole
    }

    /// The rows that are held, with their initial values; `row_weights_name` is the key of learned pooling
    /// weights.
    fn allocated(
        self,
        seed: u64,
        precision: TablePrecision,
        (held, row_weights_name): (HeldRows, String),
    ) -> Table {
        let here = held.count(self.rows);
        let mut values = Values::zeroed(self.precision(precision), here * self.dim);
        if self.init != Init::Zero {
            values.fill_rows(self.init, held, self.dim, (seed, &self.name));
        }
        // Learned pooling starts as the plain sum.
        let row_weights = self.learned.then(|| {
            let mut ones = Buffer::zeroed(here);
            ones.fill(1.0);
            ones
        });
        let TableSpec { name, role, rows, dim, .. } = self;
        Table { name, role, rows, held, dim, values, row_weights, row_weights_name }
    }

    /// How it is kept where others are kept like this.
    fn precision(&self, others: TablePrecision) -> TablePrecision {
        // The two tables of a compressed feature are small, and their rows factors of each other's gradients.
        if self.ids.1 == RowMap::Whole { others } else { TablePrecision::F32 }
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
    norms: Vec<BatchNormParams>,
    matrices: Vec<ParamId>,
    tables: Vec<TableSpec>,
    slots: Slots,
    output_bias: Option<ParamId>,
    output_weights: Vec<ParamId>,
    part: Part,
}

/// What is being declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Common,
    Linear,
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
            slots: Slots::default(),
            output_bias: None,
            output_weights: Vec::new(),
            part: Part::Common,
        }
    }

    /// The shape of the data.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// Whatever `declare` declares belongs to the model's linear part ([`Role::Linear`]).
    pub fn linear_part<R>(&mut self, declare: impl FnOnce(&mut Self) -> R) -> R {
        let part = std::mem::replace(&mut self.part, Part::Linear);
        let declared = declare(self);
        self.part = part;
        declared
    }

    /// Names the bias that is a summand of the model's output; of several the first counts.
    pub fn output_bias(&mut self, bias: Option<ParamId>) {
        self.output_bias = self.output_bias.or(bias);
    }

    /// The layer of width 1 whose result is (a summand of) the model's output, see [`Builder::linear`].
    ///
    /// # Errors
    /// If it has no input.
    pub fn output(&mut self, name: &str, inputs: usize, bias: Bias) -> Result<Linear> {
        let layer = self.linear(name, inputs, 1, Activation::Identity, bias)?;
        self.output_bias(layer.bias);
        self.output_weights.push(layer.weight);
        Ok(layer)
    }

    /// A dense parameter.
    pub fn param(&mut self, name: &str, shape: &[usize], init: Init) -> ParamId {
        let role = if self.part == Part::Linear { Role::Linear } else { Role::Dense };
        self.declare(name, shape, init, role)
    }

    fn declare(&mut self, name: &str, shape: &[usize], init: Init, role: Role) -> ParamId {
        self.params.push(ParamSpec { name: name.to_owned(), shape: shape.to_vec(), init, role });
        ParamId(self.params.len() as u32 - 1)
    }

    /// A batch normalisation of `width` columns: `name.weight`, `name.bias` and the running `name.mean`,
    /// `name.variance`. The index is for [`crate::Tape::batch_norm`].
    pub fn batch_norm(&mut self, name: &str, width: usize) -> usize {
        let mut of = |part, value, role| {
            self.declare(&format!("{name}.{part}"), &[width], Init::Constant(value), role)
        };
        let norm = BatchNormParams {
            gamma: of("weight", 1.0, Role::Dense),
            beta: of("bias", 0.0, Role::Dense),
            mean: of("mean", 0.0, Role::Statistic),
            variance: of("variance", 1.0, Role::Statistic),
        };
        self.norms.push(norm);
        self.norms.len() - 1
    }

    /// A fully connected layer `name.weight` `[outputs, inputs]`, `name.bias` `[outputs]`. Weights start
    /// normal with variance 2 / (inputs + outputs), as in the reference DLRM and by Glorot and Bengio (2010).
    ///
    /// # Errors
    /// If a width is zero, or the activation has parameters of its own, which a layer has not.
    pub fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
        bias: Bias,
    ) -> Result<Linear> {
        let scale = (2.0 / inputs.saturating_add(outputs) as f64).sqrt();
        self.linear_from(name, (inputs, outputs), activation, bias, Init::Normal(scale))
    }

    /// A fully connected layer as of [`Builder::linear`], from `inputs` to `outputs` columns, whose weights
    /// start as `weight` says.
    ///
    /// # Errors
    /// If a width is zero, or the activation has parameters of its own, which a layer has not.
    pub fn linear_from(
        &mut self,
        name: &str,
        (inputs, outputs): (usize, usize),
        activation: Activation,
        bias: Bias,
        weight: Init,
    ) -> Result<Linear> {
        let refused = |expected: &str, found: String| Error::new(format!("layer {name}"), expected, found);
        if inputs.max(outputs) > WIDEST {
            return Err(refused(&format!("at most {WIDEST} columns"), inputs.max(outputs).to_string()));
        }
        if inputs == 0 || outputs == 0 {
            return Err(refused("at least one input and one output", format!("{inputs} to {outputs}")));
        }
        if activation == Activation::Prelu {
            return Err(refused("an activation without parameters of its own", "prelu".into()));
        }
        let weight = self.param(&format!("{name}.weight"), &[outputs, inputs], weight);
        self.matrices.push(weight);
        let bias = match bias {
            Bias::Without => None,
            Bias::Zero => Some(Init::Zero),
            Bias::Reference => Some(Init::Normal((1.0 / outputs as f64).sqrt())),
        };
        let bias = bias.map(|init| self.param(&format!("{name}.bias"), &[outputs], init));
        Ok(Linear { weight, bias, inputs, outputs, activation })
    }

    /// Features embedded together, their vectors side by side. Tables are called `prefix.<name>` (or, of a
    /// compressed feature, `prefix.<name>.quotient` and `prefix.<name>.remainder`) and are shared by features
    /// that share ids. The default initialisation of the reference is uniform in ±√(1/rows).
    ///
    /// # Errors
    /// If two features share a table but want other widths, or a compression cannot be.
    pub fn embed(&mut self, prefix: &str, slots: &[Slot], init: Option<Init>) -> Result<GroupId> {
        let mut group = Vec::with_capacity(slots.len());
        for slot in slots {
            let rows = match slot.compression {
                None => self.whole(prefix, slot, init)?,
                Some(compression) => self.pair(prefix, slot, compression, init)?,
            };
            let Slot { feature, pooling, dim, .. } = *slot;
            group.push(SlotSpec { feature, rows, pooling, dim, column: 0 });
        }
        Ok(self.slots.push(group))
    }

    /// One table with a row for each id.
    fn whole(&mut self, prefix: &str, slot: &Slot, init: Option<Init>) -> Result<SlotRows> {
        let own = self.layout.features[slot.feature].table;
        let rows = self.layout.tables[own].rows;
        let (name, learned) =
            (format!("{prefix}.{}", self.layout.tables[own].name), slot.pooling == Pooling::Learned);
        let init = init.unwrap_or(default_init(rows));
        let (role, ids) = (self.table_role(), (own, RowMap::Whole));
        let table = self.table(slot, TableSpec { name, role, rows, dim: slot.dim, ids, learned, init })?;
        Ok(SlotRows::Whole { table })
    }

    /// Two small tables whose rows are combined.
    fn pair(
        &mut self,
        prefix: &str,
        slot: &Slot,
        compression: QuotientRemainder,
        init: Option<Init>,
    ) -> Result<SlotRows> {
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
        let role = self.table_role();
        let mut part = |part: &str, map, rows, dim, init| {
            let (name, ids) = (format!("{prefix}.{}.{part}", table.name), (feature.table, map));
            self.table(slot, TableSpec { name, role, rows, dim, ids, learned: false, init })
        };
        let rows = (table.rows.div_ceil(collisions as usize), collisions as usize);
        let of_quotient = init.unwrap_or(default_init(rows.0));
        let quotient = part("quotient", RowMap::Quotient(collisions), rows.0, widths.0, of_quotient)?;
        // Products start as the quotient's rows: of two small factors they would start near zero and learn
        // slowly.
        let of_remainder = if combine == Combine::Multiply {
            Init::Constant(1.0)
        } else {
            init.unwrap_or(default_init(rows.1))
        };
        let remainder = part("remainder", RowMap::Remainder(collisions), rows.1, widths.1, of_remainder)?;
        Ok(SlotRows::Pair { quotient, remainder, collisions, combine })
    }

    fn table_role(&self) -> Role {
        if self.part == Part::Linear { Role::Linear } else { Role::Table }
    }

    /// The index of the table that a slot reads: a declared one, or a new one.
    fn table(&mut self, slot: &Slot, spec: TableSpec) -> Result<usize> {
        let what = || format!("embedding_dim of feature \"{}\"", self.layout.features[slot.feature].name);
        let Some(index) = self.tables.iter().position(|t| t.name == spec.name) else {
            if slot.dim == 0 {
                return Err(Error::new(what(), "at least 1", "0"));
            }
            if slot.dim > WIDEST {
                return Err(Error::new(what(), format!("at most {WIDEST}"), slot.dim.to_string()));
            }
            self.tables.push(spec);
            return Ok(self.tables.len() - 1);
        };
        let known = &mut self.tables[index];
        if (known.ids, known.role) != (spec.ids, spec.role) {
            return Err(Error::new(
                format!("table {}", spec.name),
                "one meaning of this name",
                "tables of different ids or roles",
            ));
        }
        if known.dim != spec.dim {
            let expected = format!("{} as in the shared table {}", known.dim, spec.name);
            return Err(Error::new(what(), expected, spec.dim.to_string()));
        }
        known.learned |= spec.learned;
        Ok(index)
    }

    /// Refuses names that two weights would have: they are keys in files.
    ///
    /// # Errors
    /// The first such name, and of a table the column that it is called after.
    pub fn check_names(&self) -> Result<()> {
        names::check(self.params.iter().map(|p| p.name.as_str()), &self.table_names())
    }

    fn table_names(&self) -> Vec<TableName<'_>> {
        let named = self.tables.iter().map(|t| TableName {
            name: &t.name,
            learned: t.learned,
            column: &self.layout.tables[t.ids.0].name,
        });
        named.collect()
    }

    /// Allocates everything, all zero: for weights that are then read from a file, for which values would be
    /// drawn in vain. `seed` is that of dropout.
    pub fn finish_unfilled(
        mut self,
        seed: u64,
        isa: Isa,
        precision: TablePrecision,
        placement: Placement,
    ) -> Weights {
        self.params.iter_mut().for_each(|param| param.init = Init::Zero);
        self.tables.iter_mut().for_each(|table| table.init = Init::Zero);
        self.finish_placed(seed, isa, precision, placement)
    }

    /// Allocates and initialises everything. A parameter's name and `seed` alone decide its values; tables
    /// are kept as `precision` says, but for those of compressed features.
    pub fn finish(self, seed: u64, isa: Isa, precision: TablePrecision) -> Weights {
        self.finish_placed(seed, isa, precision, Placement::default())
    }

    /// As [`Builder::finish`], but of tables only the rows that this process holds.
    pub fn finish_placed(
        self,
        seed: u64,
        isa: Isa,
        precision: TablePrecision,
        placement: Placement,
    ) -> Weights {
        let (params, [linear_start, trained, end]) = laid_out(&self.params);
        let mut values = Buffer::hot(end);
        for (param, spec) in params.iter().zip(&self.params) {
            spec.init.fill(&mut values[param.range.clone()], seed, &param.name);
        }
        let keys = names::row_weights(&self.table_names());
        let tables = self.tables.into_iter().zip(keys).enumerate();
        let of = |(table, (spec, key)): (usize, (TableSpec, String))| {
            spec.allocated(seed, precision, (placement.held(table), key))
        };
        let tables = tables.map(of).collect();
        let output = OutputParams { bias: self.output_bias, weights: self.output_weights };
        let dense = DenseParams { params, values, linear_start, trained, norms: self.norms, output };
        Weights::new(dense, LocalTables { isa, slots: self.slots, tables, placement }, &self.matrices, seed)
    }
}

/// The places of dense parameters in one flat buffer: those outside the linear part, those in it, the running
/// statistics; and where each of the three ends.
fn laid_out(specs: &[ParamSpec]) -> (Vec<Param>, [usize; 3]) {
    let undecided =
        |p: &ParamSpec| Param { name: p.name.clone(), shape: p.shape.clone(), role: p.role, range: 0..0 };
    let mut params: Vec<Param> = specs.iter().map(undecided).collect();
    let mut end = 0;
    let ends = [Role::Dense, Role::Linear, Role::Statistic].map(|role| {
        for (param, spec) in params.iter_mut().zip(specs).filter(|(_, spec)| spec.role == role) {
            param.range = end..end + spec.len();
            end = param.range.end.next_multiple_of(ALIGN);
        }
        end
    });
    (params, ends)
}
