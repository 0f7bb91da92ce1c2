//! The choice between models. A new one is a file beside this one, its `mod` line and its line in the list
//! below.
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result};
use serde::{Deserialize, Serialize};

macro_rules! models {
    ($($kind:literal: $module:ident, $variant:ident($config:ident);)*) => {
        $(pub use crate::$module::$config;)*

        /// The model of a run, with all its settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[allow(missing_docs)] // each is described by [`ModelConfig::ABOUT`]
        pub enum ModelConfig {
            $(#[serde(rename = $kind)] $variant(crate::$module::$config),)*
        }

        impl ModelConfig {
            /// All kinds, from the simplest on.
            pub const ABOUT: &'static [About] =
                &[$(crate::$module::ABOUT,)*];

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
                let model: Box<dyn Model> = match self {
                    $(ModelConfig::$variant(config) => {
                        Box::new(crate::$module::$variant::build(config, b)?)
                    })*
                };
                b.check_names()?;
                Ok(model)
            }
        }
    };
}

models! {
    "lr": lr, Lr(LrConfig);
    "mf": mf, Mf(MfConfig);
    "fm": fm, Fm(FmConfig);
    "ffm": ffm, Ffm(FfmConfig);
    "ncf": ncf, Ncf(NcfConfig);
    "dnn": dnn, Dnn(DnnConfig);
    "wide_deep": wide_deep, WideDeep(WideDeepConfig);
    "deepfm": deepfm, DeepFm(DeepFmConfig);
    "dcn": dcn, Dcn(DcnConfig);
    "dcn_v2": dcn_v2, DcnV2(DcnV2Config);
    "xdeepfm": xdeepfm, XDeepFm(XDeepFmConfig);
    "dlrm": dlrm, Dlrm(DlrmConfig);
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig::Dlrm(DlrmConfig::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_one_name() {
        for about in ModelConfig::ABOUT {
            let config = ModelConfig::of_kind(about.kind).expect("a kind of the list");
            assert_eq!(config.kind(), about.kind);
        }
    }
}
