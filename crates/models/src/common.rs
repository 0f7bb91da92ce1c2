//! Parts that several models share: the linear part, field vectors, a deep tower, the two fields of a matrix factorization.
use crate::compression::TableForm;
use dlrm_data::batch::{Feature, Layout};
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Curve, Error, GroupId, Linear, ParamId, Result, Slot, Tape, Var};
use serde::{Deserialize, Serialize};

/// Normalisation of a hidden layer, before its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// None.
    #[default]
    None,
    /// Over the rows of a shard (Ioffe and Szegedy 2015).
    Batch,
    /// Over the columns of a row (Ba et al. 2016).
    Layer,
}

/// Activation of a hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenActivation {
    /// max(x, 0)
    #[default]
    Relu,
    /// x Φ(x)
    Gelu,
    /// x σ(x)
    Silu,
    /// σ(x)
    Sigmoid,
    /// tanh x
    Tanh,
    /// x or a learned multiple of it
    Prelu,
}

/// How biases start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biases {
    /// At zero.
    Zero,
    /// Normal with variance 1 / outputs, as in the reference DLRM.
    Reference,
}

/// Settings of a deep tower.
#[derive(Debug, Clone, Copy)]
pub struct Deep<'a> {
    /// Widths of the hidden layers.
    pub hidden: &'a [usize],
    /// Before each activation.
    pub norm: Norm,
    /// After each hidden layer.
    pub activation: HiddenActivation,
    /// Share of hidden units zeroed in training.
    pub dropout: f64,
    /// Initial biases. (Weights are as in the reference, with variance 2 / (inputs + outputs).)
    pub biases: Biases,
}

impl Deep<'_> {
    fn layer(
        &self,
        b: &mut Builder<'_>,
        name: &str,
        shape: (usize, usize),
        activation: Activation,
    ) -> Result<Linear> {
        match self.biases {
            Biases::Zero => xavier(b, name, shape, activation, Bias::With),
            Biases::Reference => b.linear(name, shape.0, shape.1, activation, Bias::With),
        }
    }
}

#[derive(Debug)]
struct Hidden {
    linear: Linear,
    norm: BuiltNorm,
    after: After,
}

#[derive(Debug)]
enum BuiltNorm {
    None,
    Batch(usize),
    Layer(ParamId, ParamId),
}

#[derive(Debug)]
enum After {
    /// Fused into the product.
    Fused,
    Curve(Curve),
    Prelu(ParamId),
}

/// A built tower of hidden layers.
#[derive(Debug)]
pub struct Tower {
    layers: Vec<Hidden>,
    dropout: f32,
    /// Columns of its result.
    pub width: usize,
}

impl Tower {
    /// Declares `name.0`, `name.1`, ….
    ///
    /// # Errors
    /// If a width is zero or the dropout rate is not in 0..1.
    pub fn build(b: &mut Builder<'_>, name: &str, inputs: usize, deep: Deep<'_>) -> Result<Self> {
        if !(0.0..1.0).contains(&deep.dropout) {
            return Err(Error::new("model.dropout", "at least 0 and below 1", deep.dropout.to_string()));
        }
        let (mut layers, mut width) = (Vec::with_capacity(deep.hidden.len()), inputs);
        for (i, &outputs) in deep.hidden.iter().enumerate() {
            let name = format!("{name}.{i}");
            let fused = deep.norm == Norm::None && deep.activation == HiddenActivation::Relu;
            let activation = if fused { Activation::Relu } else { Activation::Identity };
            let linear = deep.layer(b, &name, (width, outputs), activation)?;
            let part = |part: &str| format!("{name}.norm.{part}");
            let norm = match deep.norm {
                Norm::None => BuiltNorm::None,
                Norm::Batch => BuiltNorm::Batch(b.batch_norm(&format!("{name}.norm"), outputs)),
                Norm::Layer => BuiltNorm::Layer(
                    b.param(&part("weight"), &[outputs], Init::Constant(1.0)),
                    b.param(&part("bias"), &[outputs], Init::Zero),
                ),
            };
            let after = match deep.activation {
                HiddenActivation::Relu if fused => After::Fused,
                HiddenActivation::Relu => After::Curve(Curve::Relu),
                HiddenActivation::Gelu => After::Curve(Curve::Gelu),
                HiddenActivation::Silu => After::Curve(Curve::Silu),
                HiddenActivation::Sigmoid => After::Curve(Curve::Sigmoid),
                HiddenActivation::Tanh => After::Curve(Curve::Tanh),
                HiddenActivation::Prelu => {
                    After::Prelu(b.param(&format!("{name}.prelu"), &[outputs], Init::Constant(0.25)))
                }
            };
            layers.push(Hidden { linear, norm, after });
            width = outputs;
        }
        Ok(Tower { layers, dropout: deep.dropout as f32, width })
    }

    /// [S, inputs] → [S, width]
    pub fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        self.layers.iter().fold(x, |x, layer| {
            let x = layer.linear.forward(t, x);
            let x = match layer.norm {
                BuiltNorm::None => x,
                BuiltNorm::Batch(index) => t.batch_norm(x, index),
                BuiltNorm::Layer(gain, bias) => t.layer_norm(x, gain, bias),
            };
            let x = match layer.after {
                After::Fused => x,
                After::Curve(curve) => t.curve(x, curve),
                After::Prelu(slopes) => t.prelu(x, slopes),
            };
            t.dropout(x, self.dropout)
        })
    }
}

/// A tower and the layer of width 1 on top of it.
#[derive(Debug)]
pub struct Scorer {
    tower: Tower,
    output: Linear,
}

impl Scorer {
    /// Declares the tower `name` and its last layer `name.L`.
    ///
    /// # Errors
    /// As [`Tower::build`].
    pub fn build(b: &mut Builder<'_>, name: &str, inputs: usize, deep: Deep<'_>) -> Result<Self> {
        let tower = Tower::build(b, name, inputs, deep)?;
        let output =
            deep.layer(b, &format!("{name}.{}", tower.layers.len()), (tower.width, 1), Activation::Identity)?;
        Ok(Scorer { tower, output })
    }

    /// [S, inputs] → [S, 1]
    pub fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        let h = self.tower.forward(t, x);
        self.output.forward(t, h)
    }
}

/// A layer of width 1.
///
/// # Errors
/// If there is nothing to sum.
pub fn output(b: &mut Builder<'_>, name: &str, inputs: usize) -> Result<Linear> {
    xavier(b, name, (inputs, 1), Activation::Identity, Bias::With)
}

/// A layer with weights of variance 2 / (inputs + outputs) and bias zero (Glorot and Bengio 2010).
///
/// # Errors
/// If a width is zero.
pub fn xavier(
    b: &mut Builder<'_>,
    name: &str,
    shape: (usize, usize),
    activation: Activation,
    bias: Bias,
) -> Result<Linear> {
    let weight = Init::Normal((2.0 / (shape.0 + shape.1) as f64).sqrt());
    b.linear_with(name, shape, activation, bias, (weight, Init::Zero))
}

/// A weight per dense input and per table row, and perhaps a bias. All start at zero, where the loss is convex and
/// zero is the neutral guess.
#[derive(Debug)]
pub struct LinearPart {
    dense: Option<Linear>,
    rows: Option<GroupId>,
    bias: Option<ParamId>,
}

impl LinearPart {
    /// Declares `linear.dense.weight` if `dense` inputs are to be used, `linear.<table>` for the features in `features`,
    /// and `linear.bias`.
    ///
    /// # Errors
    /// If there is no input.
    pub fn build(b: &mut Builder<'_>, features: &[usize], dense: bool, bias: Bias) -> Result<Self> {
        let layout = b.layout();
        let n = if dense { layout.dense.len() } else { 0 };
        if n == 0 && features.is_empty() {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        let zero = (Init::Zero, Init::Zero);
        let dense = (n > 0)
            .then(|| b.linear_with("linear.dense", (n, 1), Activation::Identity, Bias::Without, zero))
            .transpose()?;
        // A learned pooling weight would only duplicate the row's own weight.
        let pooling = |f: &Feature| f.pooling.filter(|&p| p == Pooling::Mean).unwrap_or(Pooling::Sum);
        let slots: Vec<Slot> = features
            .iter()
            .map(|&feature| Slot {
                feature,
                dim: 1,
                pooling: pooling(&layout.features[feature]),
                compression: None,
            })
            .collect();
        let rows = (!slots.is_empty()).then(|| b.embed("linear", &slots, Some(Init::Zero))).transpose()?;
        let bias = (bias == Bias::With).then(|| b.param("linear.bias", &[1], Init::Zero));
        Ok(LinearPart { dense, rows, bias })
    }

    /// → [S, 1]
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
        let dense = self.dense.map(|layer| {
            let x = t.dense(); // [S, n]
            layer.forward(t, x) // [S, 1]
        });
        let rows = self.rows.map(|group| {
            let e = t.embed(group); // [S, F]
            t.sum_columns(e) // [S, 1]
        });
        let sum = match (dense, rows) {
            (Some(a), Some(b)) => t.add(a, b),
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => unreachable!("checked in build"),
        };
        self.bias.map_or(sum, |bias| t.add_bias(sum, bias))
    }
}

/// The columns of a layout, by index: all features but crosses, which only linear parts use.
pub fn all_features(layout: &Layout) -> Vec<usize> {
    (0..layout.features.len()).filter(|&f| !layout.features[f].crossed).collect()
}

/// All features of a layout, crosses too.
pub fn with_crosses(layout: &Layout) -> Vec<usize> {
    (0..layout.features.len()).collect()
}

/// A vector of width D for each feature: neighbours of this width in one group; a feature of another width is projected to it.
#[derive(Debug)]
pub struct FieldVectors {
    groups: Vec<(GroupId, Option<Linear>)>,
    /// D
    pub dim: usize,
    /// Number of vectors.
    pub fields: usize,
}

impl FieldVectors {
    /// Declares `prefix.<table>` and, where a feature has its own width, `project.<feature>`.
    ///
    /// # Errors
    /// If a width is zero or features that share a table want different ones.
    pub fn build(
        b: &mut Builder<'_>,
        prefix: &str,
        features: &[usize],
        settings: (usize, Pooling, Option<Init>),
    ) -> Result<Self> {
        let forms = vec![TableForm::whole(settings.0); b.layout().tables.len()];
        Self::build_as(b, prefix, features, settings, &forms)
    }

    /// The same with the form of each table of the layout. A width of the schema goes first.
    ///
    /// # Errors
    /// As [`FieldVectors::build`], or if a compression cannot be.
    pub fn build_as(
        b: &mut Builder<'_>,
        prefix: &str,
        features: &[usize],
        (dim, pooling, init): (usize, Pooling, Option<Init>),
        forms: &[TableForm],
    ) -> Result<Self> {
        if dim == 0 {
            return Err(Error::new("model.embedding_dim", "at least 1", "0"));
        }
        let layout = b.layout();
        let slot = |&feature: &usize| {
            let f = &layout.features[feature];
            // Weights of the data are a pooling of their own.
            let default = if f.weighted { Pooling::Sum } else { pooling };
            let TableForm { dim, compression } = forms[f.table];
            Slot {
                feature,
                dim: f.embedding_dim.unwrap_or(dim),
                pooling: f.pooling.unwrap_or(default),
                compression,
            }
        };
        let slots: Vec<Slot> = features.iter().map(slot).collect();
        let mut groups = Vec::new();
        for run in slots.chunk_by(|a, b| a.dim == dim && b.dim == dim) {
            let group = b.embed(prefix, run, init)?;
            let projection = (run[0].dim != dim).then(|| {
                let name = format!("project.{}", layout.features[run[0].feature].name);
                b.linear(&name, run[0].dim, dim, Activation::Identity, Bias::Without)
            });
            groups.push((group, projection.transpose()?));
        }
        Ok(FieldVectors { groups, dim, fields: slots.len() })
    }

    /// The vectors' parts, in order: each [S, k·D].
    pub fn parts(&self, t: &mut Tape<'_>) -> Vec<Var> {
        self.groups
            .iter()
            .map(|(group, projection)| {
                let e = t.embed(*group); // [S, F'·D] or [S, d]
                projection.map_or(e, |p| p.forward(t, e))
            })
            .collect()
    }

    /// F·D
    pub fn width(&self) -> usize {
        self.fields * self.dim
    }
}

/// `parts` side by side, without a copy where there is one only.
pub fn joined(t: &mut Tape<'_>, parts: &[Var]) -> Var {
    if let [only] = parts { *only } else { t.concat(parts) }
}

/// Dense inputs and embeddings as one row: [S, n + F·D]. The input of DNN, Wide & Deep and the cross networks.
#[derive(Debug)]
pub struct Row {
    dense: bool,
    vectors: Option<FieldVectors>,
    /// n + F·D
    pub width: usize,
}

impl Row {
    /// Declares the embeddings `tables.<table>`.
    ///
    /// # Errors
    /// If there is no input, or as [`FieldVectors::build`].
    pub fn build(b: &mut Builder<'_>, dim: usize, embedding_std: f64) -> Result<Self> {
        let (n, features) = (b.layout().dense.len(), all_features(b.layout()));
        let build = || {
            FieldVectors::build(
                b,
                "tables",
                &features,
                (dim, Pooling::Sum, Some(Init::Normal(embedding_std))),
            )
        };
        let vectors = (!features.is_empty()).then(build).transpose()?;
        let width = n + vectors.as_ref().map_or(0, FieldVectors::width);
        if width == 0 {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        Ok(Row { dense: n > 0, vectors, width })
    }

    /// → [S, width]
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut parts = Vec::new();
        if self.dense {
            parts.push(t.dense());
        }
        if let Some(vectors) = &self.vectors {
            parts.extend(vectors.parts(t));
        }
        joined(t, &parts)
    }
}

/// A vector for every input: dense input i contributes x_i v_i, a feature its pooled embedding. The input of factorization
/// machines.
#[derive(Debug)]
pub struct InputVectors {
    dense: Option<ParamId>,
    vectors: Option<FieldVectors>,
    /// m = n + F
    pub fields: usize,
    /// D
    pub dim: usize,
}

impl InputVectors {
    /// Declares `dense_vectors` [n, D] and `tables.<table>`.
    ///
    /// # Errors
    /// If there is no input, or as [`FieldVectors::build`].
    pub fn build(b: &mut Builder<'_>, dim: usize, embedding_std: f64) -> Result<Self> {
        let (n, features, init) =
            (b.layout().dense.len(), all_features(b.layout()), Init::Normal(embedding_std));
        if n + features.len() == 0 {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        let dense = (n > 0).then(|| b.param("dense_vectors", &[n, dim], init));
        let build = || FieldVectors::build(b, "tables", &features, (dim, Pooling::Sum, Some(init)));
        let vectors = (!features.is_empty()).then(build).transpose()?;
        Ok(InputVectors { dense, vectors, fields: n + features.len(), dim })
    }

    /// m·D
    pub fn width(&self) -> usize {
        self.fields * self.dim
    }

    /// → [S, m·D]
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut parts = Vec::new();
        if let Some(vectors) = self.dense {
            let x = t.dense(); // [S, n]
            parts.push(t.dense_vectors(x, vectors)); // [S, n·D]
        }
        if let Some(vectors) = &self.vectors {
            parts.extend(vectors.parts(t));
        }
        joined(t, &parts)
    }
}

/// The two features of a matrix factorization: those named, or the first two.
///
/// # Errors
/// If one is not there.
pub fn user_and_item(layout: &Layout, user: Option<&str>, item: Option<&str>) -> Result<[usize; 2]> {
    let names = || layout.features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
    let find = |key: &str, name: Option<&str>, default: usize| match name {
        None if default < layout.features.len() => Ok(default),
        None => Err(Error::new(
            format!("model.{key}"),
            "a user and an item column",
            format!("categorical columns: {}", names()),
        )),
        Some(name) => layout.features.iter().position(|f| f.name == name).ok_or_else(|| {
            Error::new(format!("model.{key}"), format!("one of {}", names()), format!("\"{name}\""))
        }),
    };
    Ok([find("user", user, 0)?, find("item", item, 1)?])
}

/// Defines the settings of a model: embeddings and a deep tower, and fields of its own with their defaults.
macro_rules! deep_config {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// D, the width of a field's vector.
            pub embedding_dim: usize,
            /// Standard deviation of the initial embeddings.
            pub embedding_std: f64,
            $($(#[$field_meta])* pub $field: $type,)*
            /// Widths of the hidden layers.
            pub hidden: Vec<usize>,
            /// Normalisation of hidden layers: none, batch, layer.
            pub norm: $crate::common::Norm,
            /// Activation of hidden layers: relu, gelu, silu, sigmoid, tanh, prelu.
            pub activation: $crate::common::HiddenActivation,
            /// Share of hidden units zeroed in training.
            pub dropout: f64,
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    embedding_dim: 16,
                    embedding_std: 0.01,
                    $($field: $default,)*
                    hidden: vec![64, 32],
                    norm: Default::default(),
                    activation: Default::default(),
                    dropout: 0.0,
                }
            }
        }

        impl $name {
            /// The settings of the tower.
            pub fn deep(&self) -> $crate::common::Deep<'_> {
                $crate::common::Deep {
                    hidden: &self.hidden,
                    norm: self.norm,
                    activation: self.activation,
                    dropout: self.dropout,
                    biases: $crate::common::Biases::Zero,
                }
            }
        }
    };
}
pub(crate) use deep_config;
