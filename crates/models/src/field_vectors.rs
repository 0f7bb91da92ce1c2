//! A vector for each feature.
use crate::compression::TableForm;
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Error, GroupId, Linear, Result, Slot, Tape, Var};

/// How vectors are made.
#[derive(Debug, Clone, Copy)]
pub struct VectorOptions {
    /// D
    pub dim: usize,
    /// Pooling of bags of features whose schema does not say.
    pub pooling: Pooling,
    /// Initial values; by default as in the reference, uniform in ±√(1/rows).
    pub init: Option<Init>,
}

impl VectorOptions {
    /// Summed vectors of width `dim`, normal with this standard deviation.
    pub fn normal(dim: usize, deviation: f64) -> Self {
        VectorOptions { dim, pooling: Pooling::Sum, init: Some(Init::Normal(deviation)) }
    }
}

/// A vector of width D for each feature: neighbours of this width in one group; a feature of another width is
/// projected to it.
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
        options: VectorOptions,
    ) -> Result<Self> {
        let forms = vec![TableForm::whole(options.dim); b.layout().tables.len()];
        Self::build_as(b, prefix, features, options, &forms)
    }

    /// Declares vectors whose tables have the given forms, one for each table of the layout. A width of the
    /// schema goes first.
    ///
    /// # Errors
    /// If a width is zero, features that share a table want different ones, or a compression cannot be.
    pub fn build_as(
        b: &mut Builder<'_>,
        prefix: &str,
        features: &[usize],
        options: VectorOptions,
        forms: &[TableForm],
    ) -> Result<Self> {
        let VectorOptions { dim, pooling, init } = options;
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

    /// All vectors side by side: [S, F·D].
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
        let parts = self.parts(t);
        joined(t, &parts)
    }

    /// F·D
    pub fn width(&self) -> usize {
        self.fields * self.dim
    }
}

/// Values side by side, without a copy where there is one only.
pub(crate) fn joined(t: &mut Tape<'_>, parts: &[Var]) -> Var {
    if let [only] = parts { *only } else { t.concat(parts) }
}
