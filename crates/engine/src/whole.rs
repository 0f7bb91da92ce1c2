//! The tensors of a model and its optimiser as they are in files: whole, wherever their rows lie.
//!
//! Where several ranks hold the tables, the first one writes what the others send, piece by piece, and sends
//! them what it reads. The file is that of one process, byte for byte.
use crate::elsewhere::{Elsewhere, Whose};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::saved::{Saved, Writer};
use crate::tensors::{self, Described, Notes, bytes_of, bytes_of_mut};
use dlrm_nn::{Holder, Numbers, NumbersMut, Optimizer, StateOf, Weights};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

/// Bytes that go from rank to rank at once.
const PIECE: usize = 1 << 22;

/// A tensor, and whose rows it has.
struct Whole {
    described: Described,
    /// Of tables: who holds it, its rows and the bytes of each.
    held: Option<(Holder, usize, usize)>,
    /// Of the state of dense parameters: the bytes that each rank keeps up to date.
    parts: Vec<Range<usize>>,
}

impl Whole {
    /// Of a tensor of `rows` rows of table number `table` of `weights`, each of `width` numbers.
    fn of_table(described: Described, weights: &Weights, table: usize, width: usize) -> Self {
        let bytes = width * described.dtype.bitsize() / 8;
        let holder = weights.placement().holders.get(table).copied();
        let held = holder.map(|holder| (holder, weights.tables()[table].rows, bytes));
        Whole { held, ..Whole::of_all(described) }
    }

    /// Of a tensor that all ranks hold.
    fn of_all(described: Described) -> Self {
        Whole { described, held: None, parts: Vec::new() }
    }
}

/// The tensors of weights, in their order.
fn of_weights(weights: &Weights) -> Vec<Whole> {
    let described = |name: &str, shape: Vec<usize>, values: Numbers<'_>| Described {
        name: name.to_owned(),
        shape,
        dtype: tensors::dtype(values),
    };
    let f32 = Numbers::F32(&[]);
    let mut all: Vec<Whole> = Vec::new();
    for param in weights.params() {
        all.push(Whole::of_all(described(&param.name, param.shape.clone(), f32)));
    }
    for (number, table) in weights.tables().iter().enumerate() {
        let values = described(&table.name, vec![table.rows, table.dim], table.values.view());
        all.push(Whole::of_table(values, weights, number, table.dim));
        if table.row_weights.is_some() {
            let of_rows = described(&table.row_weights_name, vec![table.rows], f32);
            all.push(Whole::of_table(of_rows, weights, number, 1));
        }
    }
    all
}

/// The tensors of an optimiser, in their order.
fn of_optimizer(optimizer: &Optimizer, weights: &Weights) -> Vec<Whole> {
    let all = optimizer.shapes(weights).into_iter().map(|(name, len, table)| {
        let described = Described { name, shape: vec![len], dtype: tensors::dtype(Numbers::F32(&[])) };
        match table {
            StateOf::All => Whole::of_all(described),
            StateOf::Dense(first) => {
                let (placement, (trained, _)) = (weights.placement(), weights.dense_len());
                let part = |rank| {
                    let own = placement.dense_of(rank, trained);
                    let place = |at: usize| 4 * at.clamp(first, first + len).saturating_sub(first);
                    place(own.start)..place(own.end)
                };
                Whole { parts: (0..placement.ranks).map(part).collect(), ..Whole::of_all(described) }
            }
            StateOf::Table(table) => {
                let width = len / weights.tables()[table].rows.max(1);
                Whole::of_table(described, weights, table, width)
            }
        }
    });
    all.collect()
}

fn described(all: &[Whole]) -> Vec<Described> {
    all.iter().map(|whole| whole.described.clone()).collect()
}

/// Adds the weights of a network to a directory.
///
/// # Errors
/// If they cannot be written, or another rank cannot go on.
pub(crate) fn write_weights(writer: &mut Writer<'_>, name: &str, network: &Network) -> Result<()> {
    let (all, own) = (of_weights(network.weights()), network.weights().tensors());
    let put = &mut |index: usize, out: &mut dyn Write| {
        let own = bytes_of(own[index].2);
        put(&all[index], own, (network.elsewhere(), (Whose::Weights, index)), out)
    };
    writer.file_with(name, |out| tensors::write_described(out, &described(&all), None, put))
}

/// Writes the numbers of a table, row by row.
///
/// # Errors
/// If `out` refuses, or another rank cannot go on.
pub(crate) fn write_table(network: &Network, table: usize, out: &mut dyn Write) -> io::Result<()> {
    let (all, weights) = (of_weights(network.weights()), network.weights());
    let is = |whole: &Whole| whole.described.name == weights.tables()[table].name;
    let Some(index) = all.iter().position(is) else { return Ok(()) };
    let own = bytes_of(weights.tables()[table].values.view());
    put(&all[index], own, (network.elsewhere(), (Whose::Weights, index)), out)
}

/// Adds the state of an optimiser to a directory, with these notes.
///
/// # Errors
/// As [`write_weights`].
pub(crate) fn write_optimizer(
    writer: &mut Writer<'_>,
    name: &str,
    (optimizer, network): (&Optimizer, &Network),
    notes: Notes,
) -> Result<()> {
    let (all, own) = (of_optimizer(optimizer, network.weights()), optimizer.tensors(network.weights()));
    let put = &mut |index: usize, out: &mut dyn Write| {
        let own = bytes_of(Numbers::F32(own[index].1));
        put(&all[index], own, (network.elsewhere(), (Whose::Optimizer, index)), out)
    };
    writer.file_with(name, |out| tensors::write_described(out, &described(&all), Some(notes), put))
}

/// Writes a tensor, of which `own` is here.
fn put(
    whole: &Whole,
    own: &[u8],
    (elsewhere, tensor): (Option<&Elsewhere>, (Whose, usize)),
    out: &mut dyn Write,
) -> io::Result<()> {
    let refused = |error: Error| io::Error::other(error.to_string());
    match (whole.held, elsewhere) {
        (Some((Holder::Rank(rank), rows, bytes)), Some(elsewhere)) if rank > 0 => {
            for start in (0..rows * bytes).step_by(PIECE) {
                let range = start..(start + PIECE).min(rows * bytes);
                let mut read = elsewhere.read(Some(rank), tensor, range).map_err(refused)?;
                out.write_all(&read.swap_remove(rank))?;
            }
            Ok(())
        }
        (Some((Holder::ByRow, rows, bytes)), Some(elsewhere)) => {
            let ranks = elsewhere.ranks();
            let places = (PIECE / bytes.max(1)).max(1);
            for first in (0..rows.div_ceil(ranks)).step_by(places) {
                let range = first * bytes..(first + places) * bytes;
                let mut read = elsewhere.read(None, tensor, range.clone()).map_err(refused)?;
                read[0] = own[range.start.min(own.len())..range.end.min(own.len())].to_vec();
                let last = (first + places).min(rows.div_ceil(ranks));
                for row in first * ranks..(last * ranks).min(rows) {
                    let at = (row / ranks - first) * bytes;
                    out.write_all(&read[row % ranks][at..at + bytes])?;
                }
            }
            Ok(())
        }
        (None, Some(elsewhere)) if !whole.parts.is_empty() => {
            out.write_all(&own[whole.parts[0].clone()])?;
            for (rank, part) in whole.parts.iter().enumerate().skip(1) {
                for start in part.clone().step_by(PIECE) {
                    let range = start..(start + PIECE).min(part.end);
                    let mut read = elsewhere.read(Some(rank), tensor, range).map_err(refused)?;
                    out.write_all(&read.swap_remove(rank))?;
                }
            }
            Ok(())
        }
        _ => out.write_all(own),
    }
}

/// Fills the weights of a network from a file, on all ranks.
///
/// # Errors
/// If it is damaged or of another model, or another rank cannot go on.
pub(crate) fn read_weights(saved: &Saved, name: &str, network: &mut Network) -> Result<()> {
    let (all, elsewhere) = (of_weights(network.weights()), network.elsewhere().cloned());
    let mut own = network.weights_mut().tensors_mut();
    saved.described(name, &described(&all), &mut |index, input| {
        let values = &mut own[index].2;
        let len = values.view().len();
        let own = bytes_of_mut(values.slice(0..len));
        let tensor = (Whose::Weights, index);
        take(&all[index], own, (elsewhere.as_ref(), tensor), &mut File { input, path: &saved.path(name) })
    })?;
    drop(own);
    network.weights_mut().repack();
    elsewhere.map_or(Ok(()), |elsewhere| elsewhere.repack())
}

/// Fills the state of an optimiser from a file, on all ranks; its notes.
///
/// # Errors
/// As [`read_weights`].
pub(crate) fn read_optimizer(
    saved: &Saved,
    name: &str,
    (optimizer, network): (&mut Optimizer, &Network),
) -> Result<Notes> {
    let all = of_optimizer(optimizer, network.weights());
    let mut own = optimizer.tensors_mut();
    saved.described(name, &described(&all), &mut |index, input| {
        let (own, tensor) = (bytes_of_mut(NumbersMut::F32(own[index])), (Whose::Optimizer, index));
        take(&all[index], own, (network.elsewhere(), tensor), &mut File { input, path: &saved.path(name) })
    })
}

/// A file that is being read.
struct File<'a> {
    input: &'a mut dyn Read,
    path: &'a Path,
}

impl File<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(Error::io("read", self.path))
    }
}

/// Reads a tensor, of which `own` is here; the others get what is theirs, and all of what is no table's.
fn take(
    whole: &Whole,
    own: &mut [u8],
    (elsewhere, tensor): (Option<&Elsewhere>, (Whose, usize)),
    file: &mut File<'_>,
) -> Result<()> {
    let Some(elsewhere) = elsewhere else { return file.fill(own) };
    match whole.held {
        None => {
            file.fill(own)?;
            let mut pieces = own.chunks(PIECE).enumerate();
            pieces.try_for_each(|(number, piece)| {
                elsewhere.write(None, tensor, number * PIECE, &|_| piece.to_vec())
            })
        }
        Some((Holder::Rank(0), ..)) => file.fill(own),
        Some((Holder::Rank(rank), rows, bytes)) => (0..rows * bytes).step_by(PIECE).try_for_each(|start| {
            let mut piece = vec![0; PIECE.min(rows * bytes - start)];
            file.fill(&mut piece)?;
            elsewhere.write(Some(rank), tensor, start, &|_| piece.clone())
        }),
        Some((Holder::ByRow, rows, bytes)) => take_rows(own, (elsewhere, tensor), (rows, bytes), file),
    }
}

/// Reads a tensor whose rows lie apart.
fn take_rows(
    own: &mut [u8],
    (elsewhere, tensor): (&Elsewhere, (Whose, usize)),
    (rows, bytes): (usize, usize),
    file: &mut File<'_>,
) -> Result<()> {
    let ranks = elsewhere.ranks();
    let places = (PIECE / bytes.max(1)).max(1);
    for first in (0..rows.div_ceil(ranks)).step_by(places) {
        let of_piece = first * ranks..((first + places) * ranks).min(rows);
        let mut piece = vec![0; of_piece.len() * bytes];
        file.fill(&mut piece)?;
        let of_rank = |rank: usize| -> Vec<u8> {
            let own = piece.chunks_exact(bytes.max(1)).skip(rank).step_by(ranks);
            own.flatten().copied().collect()
        };
        let here = of_rank(0);
        own[first * bytes..][..here.len()].copy_from_slice(&here);
        elsewhere.write(None, tensor, first * bytes, &of_rank)?;
    }
    Ok(())
}
