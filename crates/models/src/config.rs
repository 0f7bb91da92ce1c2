//! What a model is, and the choice between them.
use crate::{dcn, dcn_v2, deepfm, dlrm, dnn, ffm, fm, lr, mf, ncf, wide_deep, xdeepfm};
use dlrm_nn::{Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// A built model: handles of its parameters and the order of its layers.
pub trait Model: Send + Sync {
    /// Records the layers for the tape's rows; returns the logits [S, 1].
    fn forward(&self, t: &mut Tape<'_>) -> Var;
}

/// What a kind of model is, in a line or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct About {
    /// The `kind` in configurations.
    pub kind: &'static str,
    /// Its usual name.
    pub title: &'static str,
    /// Where it comes from.
    pub paper: &'static str,
    /// What it computes.
    pub idea: &'static str,
    /// Highest order of the interactions that it computes explicitly.
    pub order: &'static str,
    /// What interacts: single elements (bit-wise) or whole vectors.
    pub unit: &'static str,
}

macro_rules! models {
    ($($variant:ident($config:ty, $model:ty) = $kind:literal, $title:literal, $paper:literal, $idea:literal, $order:literal, $unit:literal;)*) => {
        /// The model of a run, with all its settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[allow(missing_docs)] // each is described by [`ModelConfig::ABOUT`]
        pub enum ModelConfig {
            $(#[serde(rename = $kind)] $variant($config),)*
        }

        impl ModelConfig {
            /// All kinds, from the simplest on.
            pub const ABOUT: &'static [About] =
                &[$(About { kind: $kind, title: $title, paper: $paper, idea: $idea, order: $order, unit: $unit },)*];

            /// The `kind` in configurations.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(ModelConfig::$variant(_) => $kind,)*
                }
            }

            /// A model of that kind with default settings.
            pub fn of_kind(kind: &str) -> Option<Self> {
                match kind {
                    $($kind => Some(ModelConfig::$variant(Default::default())),)*
                    _ => None,
                }
            }

            /// Declares the model's parameters for the layout of the builder.
            ///
            /// # Errors
            /// Shapes that do not fit, naming the parameter, what was expected and what was found.
            pub fn build(&self, b: &mut Builder<'_>) -> Result<Box<dyn Model>> {
                match self {
                    $(ModelConfig::$variant(config) => Ok(Box::new(<$model>::build(config, b)?)),)*
                }
            }
        }
    };
}

models! {
    Lr(lr::LrConfig, lr::Lr) = "lr", "Logistic regression", "-", "a weight per value", "1", "-";
    Mf(mf::MfConfig, mf::Mf) = "mf", "Matrix factorization", "Koren et al. 2009", "user and item vectors, dot product, biases", "2", "vector";
    Fm(fm::FmConfig, fm::Fm) = "fm", "Factorization machine", "Rendle 2010", "dot products of all pairs of inputs, summed", "2", "vector";
    Ffm(ffm::FfmConfig, ffm::Ffm) = "ffm", "Field-aware FM", "Juan et al. 2016", "a vector per value and field it meets", "2", "vector";
    Ncf(ncf::NcfConfig, ncf::Ncf) = "ncf", "Neural collaborative filtering", "He et al. 2017", "user and item: element-wise product and MLP", "2 + implicit", "bit";
    Dnn(dnn::DnnConfig, dnn::Dnn) = "dnn", "Deep network", "Covington et al. 2016", "embeddings side by side, MLP", "implicit", "bit";
    WideDeep(wide_deep::WideDeepConfig, wide_deep::WideDeep) = "wide_deep", "Wide & Deep", "Cheng et al. 2016", "linear model + MLP", "1 + implicit", "bit";
    DeepFm(deepfm::DeepFmConfig, deepfm::DeepFm) = "deepfm", "DeepFM", "Guo et al. 2017", "factorization machine + MLP on shared embeddings", "2 + implicit", "vector + bit";
    Dcn(dcn::DcnConfig, dcn::Dcn) = "dcn", "Deep & Cross", "Wang et al. 2017", "vector cross layers beside an MLP", "layers + 1", "bit";
    DcnV2(dcn_v2::DcnV2Config, dcn_v2::DcnV2) = "dcn_v2", "DCN-V2", "Wang et al. 2020", "matrix cross layers beside or under an MLP", "layers + 1", "bit";
    XDeepFm(xdeepfm::XDeepFmConfig, xdeepfm::XDeepFm) = "xdeepfm", "xDeepFM", "Lian et al. 2018", "compressed interaction network + linear model + MLP", "layers + 1", "vector + bit";
    Dlrm(dlrm::DlrmConfig, dlrm::Dlrm) = "dlrm", "DLRM", "Naumov et al. 2019", "dot products of all pairs of vectors, then an MLP", "2 + implicit", "vector";
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig::Dlrm(dlrm::DlrmConfig::default())
    }
}
