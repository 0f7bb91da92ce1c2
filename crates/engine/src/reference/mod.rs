//! Models from checkpoints of the reference implementation (facebookresearch/dlrm): from the names, shapes
//! and numbers of its tensors to a model directory.
//!
//! Deviation: a row without an id has the zero vector there; here a further row of the table, the last, is
//! that vector.
mod columns;
mod shape;

pub use columns::{IdsPerRow, ReferenceColumns};
pub use shape::{ReferenceShape, ReferenceTensor};

use crate::config::RunConfig;
use crate::error::Result;
use crate::golden::Golden;
use crate::model_dir::{ModelContents, StoredMetrics};
use crate::network::Network;
use crate::trained_files::TrainedFiles;
use dlrm_data::Encoder;
use dlrm_data::dataset::StoredRows;
use dlrm_models::{DlrmConfig, ModelConfig};
use dlrm_nn::{Isa, NumbersMut, TablePrecision};
use shape::{Mlp, layer_name, table_name, wrong, wrong_tensor};
use std::collections::HashMap;
use std::path::Path;

/// Numbers that are read at a time.
const CHUNK: usize = 1 << 22;
/// Rows that the model is checked with whenever it is loaded.
const GOLDEN_ROWS: usize = 8;

/// Reads numbers of a tensor of the checkpoint, from a place on, row after row.
pub type ReadNumbers<'r> = dyn FnMut(&str, usize, &mut [f32]) -> Result<()> + 'r;

/// Writes the model directory `place` of a network of this shape; its numbers come from `read`, some million
/// at a time.
///
/// # Errors
/// What `read` returns; numbers that are not finite; names of columns that do not fit; a place that cannot be
/// written or holds something else.
pub fn save(
    shape: &ReferenceShape,
    columns: &ReferenceColumns,
    place: &Path,
    isa: Isa,
    read: &mut ReadNumbers<'_>,
) -> Result<()> {
    let encoder = columns.encoder(shape)?;
    let config = RunConfig {
        model: ModelConfig::Dlrm(model(shape)),
        schema: Some(encoder.schema().clone()),
        ..RunConfig::default()
    };
    let mut network =
        Network::unfilled(&config.model, &encoder.layout(), TablePrecision::F32, config.train.seed, isa)?;
    fill(&mut network, &names(shape, columns), read)?;
    let golden = golden(&encoder, &network)?;
    let contents = ModelContents {
        network: &network,
        encoder: &encoder,
        config: &config,
        metrics: &StoredMetrics::new(),
        calibration: None,
        golden: &golden,
        trained: &TrainedFiles::default(),
        optimizer: None,
    };
    contents.save(place, &mut || false)
}

/// The settings of the model.
fn model(shape: &ReferenceShape) -> DlrmConfig {
    let hidden = |widths: &[usize]| widths[..widths.len() - 1].to_vec();
    DlrmConfig {
        embedding_dim: shape.dim(),
        bottom: hidden(&shape.bottom),
        top: hidden(&shape.top),
        interaction: shape.interaction,
        first_order: false,
        ..DlrmConfig::default()
    }
}

/// The names of the checkpoint's tensors by those of the model's.
fn names(shape: &ReferenceShape, columns: &ReferenceColumns) -> HashMap<String, String> {
    let mlps = [(Mlp::Bottom, "bottom", &shape.bottom), (Mlp::Top, "top", &shape.top)];
    let layers = mlps.into_iter().flat_map(|(mlp, own, widths)| {
        (0..widths.len()).flat_map(move |layer| {
            ["weight", "bias"].map(|part| (format!("{own}.{layer}.{part}"), layer_name(mlp, layer, part)))
        })
    });
    let tables = columns.categorical.iter().enumerate();
    layers.chain(tables.map(|(table, name)| (format!("tables.{name}"), table_name(table)))).collect()
}

/// Fills all tensors of the network; the last row of a table stays zero.
fn fill(network: &mut Network, names: &HashMap<String, String>, read: &mut ReadNumbers<'_>) -> Result<()> {
    for (own, shape, numbers) in network.weights_mut().tensors_mut() {
        let NumbersMut::F32(values) = numbers else { unreachable!("asked for in 32 bits") };
        let (name, columns) = (&names[&own], shape[shape.len() - 1]);
        let end = if own.starts_with("tables.") { values.len() - columns } else { values.len() };
        for (chunk, values) in values[..end].chunks_mut(CHUNK).enumerate() {
            read(name, chunk * CHUNK, values)?;
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                let (value, place) = (values[place], chunk * CHUNK + place);
                let found = format!("{value} in row {}, column {}", place / columns, place % columns);
                let found = if shape.len() == 1 { format!("{value} in place {place}") } else { found };
                return Err(wrong_tensor(name, "finite numbers", found)
                    .with_hint("training that diverged leaves such: take an earlier checkpoint"));
            }
        }
    }
    network.weights_mut().repack();
    Ok(())
}

fn golden(encoder: &Encoder, network: &Network) -> Result<Golden> {
    let StoredRows { columns, rows } = encoder.synthetic_rows(GOLDEN_ROWS, 0);
    let golden = Golden::new(encoder, network, columns, rows)?;
    let broken = golden.logits().find(|logit| !logit.is_finite());
    match broken {
        Some(logit) => Err(wrong("", "weights with which scores are finite", format!("a score of {logit}"))
            .with_hint("its weights are too large to score with: take an earlier checkpoint")),
        None => Ok(golden),
    }
}
