//! The state of an optimiser in a safetensors file, with the number of its steps.
use crate::error::Result;
use crate::network::Network;
use crate::saved::{Saved, Writer};
use crate::tensors::Notes;
use crate::whole;
use dlrm_nn::{NumbersMut, Optimizer, Weights};
use std::collections::HashMap;

/// Name of the file.
pub(crate) const FILE: &str = "optimizer.safetensors";
const STEPS: &str = "steps";

/// Adds the state of the optimiser of `network` to a directory.
///
/// # Errors
/// If the file cannot be written, say for want of space.
pub(crate) fn write(writer: &mut Writer<'_>, optimizer: &Optimizer, network: &Network) -> Result<()> {
    let notes = HashMap::from([(STEPS.to_owned(), optimizer.steps().to_string())]);
    whole::write_optimizer(writer, FILE, (optimizer, network), notes)
}

/// Fills the state of the optimiser of `network`.
///
/// # Errors
/// If the file is damaged, or of another model or optimiser.
pub(crate) fn read(saved: &Saved, optimizer: &mut Optimizer, network: &Network) -> Result<()> {
    let notes = whole::read_optimizer(saved, FILE, (optimizer, network))?;
    set_steps(optimizer, &notes);
    Ok(())
}

/// Fills the state of the optimiser of `weights`, whose tensors have grown: of one, `rows_of` tells the rows
/// that it had in the file and has now. What is behind them stays as it is.
///
/// # Errors
/// If the file is damaged, or of another model or optimiser.
pub(crate) fn read_grown(
    saved: &Saved,
    optimizer: &mut Optimizer,
    weights: &Weights,
    rows_of: impl Fn(&str) -> Option<[usize; 2]>,
) -> Result<()> {
    let names: Vec<String> = optimizer.tensors(weights).into_iter().map(|(name, _)| name).collect();
    let arrays = names.into_iter().zip(optimizer.tensors_mut()).map(|(name, values)| {
        let rows = name.rsplit_once('.').and_then(|(tensor, _)| rows_of(tensor));
        let len = rows.map_or(values.len(), |[old, new]| values.len() / new.max(1) * old);
        (name, vec![len], NumbersMut::F32(&mut values[..len]))
    });
    let notes = saved.tensors(FILE, &mut arrays.collect::<Vec<_>>())?;
    set_steps(optimizer, &notes);
    Ok(())
}

fn set_steps(optimizer: &mut Optimizer, notes: &Notes) {
    // Files of earlier versions do not tell; whoever reads them does.
    if let Some(steps) = notes.get(STEPS).and_then(|steps| steps.parse().ok()) {
        optimizer.set_steps(steps);
    }
}
