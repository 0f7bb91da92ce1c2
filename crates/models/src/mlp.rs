//! Hidden layers one after another: the deep part of most models.
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Error, Linear, ParamId, Result, Tape, Var};
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

/// The names of activations in configurations.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Activation", rename_all = "snake_case")]
pub(crate) enum ActivationName {
    Identity,
    Relu,
    Gelu,
    Silu,
    Sigmoid,
    Tanh,
    Prelu,
}

/// What follows the hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlpHead {
    /// Nothing: the result is the last hidden layer's.
    None,
    /// A layer of width 1 without activation.
    Logit,
}

/// Settings of an [`Mlp`].
#[derive(Debug, Clone, Copy)]
pub struct MlpOptions<'a> {
    /// Widths of the hidden layers.
    pub hidden: &'a [usize],
    /// Before each activation.
    pub norm: Norm,
    /// After each hidden layer.
    pub activation: Activation,
    /// Share of hidden units zeroed in training.
    pub dropout: f64,
    /// How biases start. (Weights are as in the reference, with variance 2 / (inputs + outputs).)
    pub biases: Bias,
    /// What follows.
    pub head: MlpHead,
}

/// A multi-layer perceptron.
#[derive(Debug)]
pub struct Mlp {
    hidden: Vec<Hidden>,
    dropout: f32,
    head: Option<Linear>,
    /// Columns of its result.
    pub width: usize,
}

/// A hidden layer: product, normalisation, activation.
#[derive(Debug)]
struct Hidden {
    linear: Linear,
    norm: HiddenNorm,
    /// Slopes of [`Activation::Prelu`].
    slopes: Option<ParamId>,
    /// Where it is not part of `linear`.
    activation: Activation,
}

#[derive(Debug)]
enum HiddenNorm {
    None,
    Batch(usize),
    Layer { gamma: ParamId, beta: ParamId },
}

impl Mlp {
    /// Declares `name.0`, `name.1`, …, the head last.
    ///
    /// # Errors
    /// If a width is zero or the dropout rate is not in 0..1.
    pub fn build(b: &mut Builder<'_>, name: &str, inputs: usize, options: MlpOptions<'_>) -> Result<Self> {
        if !(0.0..1.0).contains(&options.dropout) {
            return Err(Error::new("model.dropout", "at least 0 and below 1", options.dropout.to_string()));
        }
        let (mut hidden, mut width) = (Vec::with_capacity(options.hidden.len()), inputs);
        for (i, &outputs) in options.hidden.iter().enumerate() {
            hidden.push(Hidden::build(b, &format!("{name}.{i}"), (width, outputs), &options)?);
            width = outputs;
        }
        let head = match options.head {
            MlpHead::None => None,
            MlpHead::Logit => {
                let name = format!("{name}.{}", hidden.len());
                Some(b.output(&name, width, options.biases)?)
            }
        };
        let width = head.map_or(width, |head| head.outputs);
        Ok(Mlp { hidden, dropout: options.dropout as f32, head, width })
    }

    /// [S, inputs] → [S, width]
    pub fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        let h = self.hidden.iter().fold(x, |x, layer| {
            let x = layer.forward(t, x);
            t.dropout(x, self.dropout)
        });
        self.head.map_or(h, |head| head.forward(t, h)) // [S, width]
    }
}

impl Hidden {
    fn build(
        b: &mut Builder<'_>,
        name: &str,
        (inputs, outputs): (usize, usize),
        options: &MlpOptions<'_>,
    ) -> Result<Self> {
        let fused = options.norm == Norm::None && options.activation != Activation::Prelu;
        let [within, activation] = match fused {
            true => [options.activation, Activation::Identity],
            false => [Activation::Identity, options.activation],
        };
        let linear = b.linear(name, inputs, outputs, within, options.biases)?;
        let part = |part: &str| format!("{name}.norm.{part}");
        let norm = match options.norm {
            Norm::None => HiddenNorm::None,
            Norm::Batch => HiddenNorm::Batch(b.batch_norm(&format!("{name}.norm"), outputs)),
            Norm::Layer => HiddenNorm::Layer {
                gamma: b.param(&part("weight"), &[outputs], Init::Constant(1.0)),
                beta: b.param(&part("bias"), &[outputs], Init::Zero),
            },
        };
        let slopes = (activation == Activation::Prelu)
            .then(|| b.param(&format!("{name}.prelu"), &[outputs], Init::Constant(0.25)));
        Ok(Hidden { linear, norm, slopes, activation })
    }

    fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        let x = self.linear.forward(t, x);
        let x = match self.norm {
            HiddenNorm::None => x,
            HiddenNorm::Batch(index) => t.batch_norm(x, index),
            HiddenNorm::Layer { gamma, beta } => t.layer_norm(x, gamma, beta),
        };
        match self.slopes {
            Some(slopes) => t.prelu(x, slopes),
            None => t.activation(x, self.activation),
        }
    }
}
