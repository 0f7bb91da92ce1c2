//! Settings that all models with embeddings and a deep part have in common.

/// Defines the settings of a model: embeddings and a deep tower, and fields of its own with their defaults.
macro_rules! deep_config {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
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
            pub norm: $crate::mlp::Norm,
            /// Activation of hidden layers: relu, gelu, silu, sigmoid, tanh, prelu.
            #[serde(with = "crate::mlp::ActivationName")]
            pub activation: dlrm_nn::Activation,
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
                    activation: dlrm_nn::Activation::Relu,
                    dropout: 0.0,
                }
            }
        }

        impl $name {
            /// The settings of its deep part.
            fn mlp(&self, head: $crate::mlp::MlpHead) -> $crate::mlp::MlpOptions<'_> {
                $crate::mlp::MlpOptions {
                    hidden: &self.hidden,
                    norm: self.norm,
                    activation: self.activation,
                    dropout: self.dropout,
                    biases: dlrm_nn::Bias::Zero,
                    head,
                }
            }
        }
    };
}
pub(crate) use deep_config;
