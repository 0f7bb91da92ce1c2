//! What a rank answers when the first one asks for what it holds.
use crate::elsewhere::{READ, REPACK, VECTORS, Whose};
use crate::network::Network;
use crate::tensors::{bytes_of, bytes_of_mut};
use dlrm_data::Batch;
use dlrm_data::batch::Bags;
use dlrm_nn::{LocalTables, Numbers, NumbersMut, Optimizer};

/// What this rank answers to a question of the first one.
///
/// # Panics
/// If that is none: ranks run one program.
pub(crate) fn answer(question: &[u8], network: &mut Network, optimizer: &mut Optimizer) -> Vec<u8> {
    let Some((&what, mut rest)) = question.split_first() else { return Vec::new() };
    if what == VECTORS {
        return pooled(rest, network.weights().local());
    }
    if what == REPACK {
        network.weights_mut().repack();
        return Vec::new();
    }
    let whose = if take::<1>(&mut rest) == [1] { Whose::Optimizer } else { Whose::Weights };
    let [index, start] = [(); 2].map(|()| u64::from_le_bytes(take(&mut rest)) as usize);
    if what == READ {
        let end = u64::from_le_bytes(take(&mut rest)) as usize;
        let own = match whose {
            Whose::Weights => network.weights().tensors().swap_remove(index).2,
            Whose::Optimizer => Numbers::F32(optimizer.tensors(network.weights()).swap_remove(index).1),
        };
        let own = bytes_of(own);
        return own[start.min(own.len())..end.min(own.len())].to_vec();
    }
    if rest.is_empty() {
        return Vec::new();
    }
    let into = match whose {
        Whose::Weights => network.weights_mut().tensors_mut().swap_remove(index).2,
        Whose::Optimizer => NumbersMut::F32(optimizer.tensors_mut().swap_remove(index)),
    };
    bytes_of_mut(into)[start..start + rest.len()].copy_from_slice(rest);
    Vec::new()
}

/// Pooled vectors of the ids in a question.
fn pooled(mut rest: &[u8], tables: &LocalTables) -> Vec<u8> {
    let mut number = || u32::from_le_bytes(take(&mut rest)) as usize;
    let mut batch = Batch::default();
    batch.bags.resize_with(number(), Bags::default);
    let ends: Vec<usize> = (0..number()).map(|_| number()).collect();
    let rows = ends.last().copied().unwrap_or(0);
    for _ in 0..number() {
        let [feature, weighted, ids] = [(); 3].map(|()| u32::from_le_bytes(take(&mut rest)) as usize);
        let bags = &mut batch.bags[feature];
        bags.offsets = numbers(&mut rest, rows + 1);
        bags.ids = numbers(&mut rest, ids);
        bags.weights = (weighted == 1).then(|| numbers(&mut rest, ids));
    }
    let (mut out, mut start) = (Vec::new(), 0);
    for end in ends {
        tables.write_vectors(&batch, start..end, &mut out);
        start = end;
    }
    out
}

/// Takes `count` numbers of four bytes off the front of `rest`.
fn numbers<T: bytemuck::Pod>(rest: &mut &[u8], count: usize) -> Vec<T> {
    let (front, back) = rest.split_at_checked(4 * count).expect("ranks run one program on one model");
    *rest = back;
    front.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (front, back) = rest.split_first_chunk::<N>().expect("ranks run one program on one model");
    *rest = back;
    *front
}
