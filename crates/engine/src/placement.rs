//! Which rank holds which table: whole tables, so that bytes and look-ups are shared evenly, the largest
//! first; and row by row those that no rank has room for.
use dlrm_nn::Holder;
use serde::Serialize;

/// What a table asks of the rank that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TableLoad {
    /// Bytes of its numbers and learned pooling weights.
    pub bytes: u64,
    /// Bytes of the optimiser's state for them.
    pub state_bytes: u64,
    /// Numbers of a row that features look up in it.
    pub width: usize,
    /// The first table that it has to be with: they are factors of each other's gradients.
    pub with: usize,
}

/// Tables that stay together.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    bytes: u64,
    width: usize,
    tables: usize,
}

/// Who holds each table, where each rank has room for so many bytes of them; the number of a table that fits
/// nowhere, if there is one.
pub(crate) fn place(
    loads: &[TableLoad],
    bytes_of: impl Fn(&TableLoad) -> u64,
    ranks: usize,
    room: Option<u64>,
) -> Result<Vec<Holder>, usize> {
    let mut groups = vec![Group::default(); loads.len()];
    for load in loads {
        let group = &mut groups[load.with];
        group.bytes = group.bytes.saturating_add(bytes_of(load));
        group.width += load.width;
        group.tables += 1;
    }
    let total = |of: fn(&Group) -> f64| groups.iter().map(of).sum::<f64>().max(1.0);
    let (bytes, width) = (total(|group| group.bytes as f64), total(|group| group.width as f64));
    let mut order: Vec<usize> = (0..loads.len()).filter(|&first| groups[first].tables > 0).collect();
    // Those that look up more come first among those of one size.
    order.sort_by_key(|&first| std::cmp::Reverse((groups[first].bytes, groups[first].width)));
    let mut held = vec![Group::default(); ranks];
    let mut holders = vec![Holder::ByRow; loads.len()];
    for first in order {
        let group = groups[first];
        let fits = |own: &Group| room.is_none_or(|room| own.bytes.saturating_add(group.bytes) <= room);
        let share = |own: &Group| {
            let bytes = (own.bytes as f64 + group.bytes as f64) / bytes;
            bytes.max((own.width + group.width) as f64 / width)
        };
        let best = (0..ranks).filter(|&rank| fits(&held[rank]));
        let best = best.min_by(|&a, &b| share(&held[a]).total_cmp(&share(&held[b])));
        let of_group = (0..loads.len()).filter(|&table| loads[table].with == first);
        match best {
            Some(rank) => {
                held[rank].bytes += group.bytes;
                held[rank].width += group.width;
                of_group.for_each(|table| holders[table] = Holder::Rank(rank));
            }
            None => {
                let part = group.bytes.div_ceil(ranks as u64);
                let fits = |own: &Group| room.is_none_or(|room| own.bytes.saturating_add(part) <= room);
                if group.tables > 1 || !held.iter().all(fits) {
                    return Err(first);
                }
                held.iter_mut().for_each(|own| own.bytes += part);
            }
        }
    }
    Ok(holders)
}

/// Of all tables, what one rank holds by this measure.
pub(crate) fn held(
    loads: &[TableLoad],
    holders: &[Holder],
    ranks: usize,
    of: impl Fn(&TableLoad) -> u64,
) -> Vec<u64> {
    let mut held = vec![0u64; ranks];
    for (load, holder) in loads.iter().zip(holders) {
        match holder {
            Holder::Rank(rank) => held[*rank] = held[*rank].saturating_add(of(load)),
            Holder::ByRow => {
                let part = of(load).div_ceil(ranks as u64);
                held.iter_mut().for_each(|own| *own = own.saturating_add(part));
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(bytes: &[u64]) -> Vec<TableLoad> {
        let load = |(with, &bytes): (usize, &u64)| TableLoad { bytes, state_bytes: 0, width: 4, with };
        bytes.iter().enumerate().map(load).collect()
    }

    fn placed(loads: &[TableLoad], ranks: usize, room: Option<u64>) -> Result<Vec<Holder>, usize> {
        place(loads, |load| load.bytes + load.state_bytes, ranks, room)
    }

    #[test]
    fn bytes_and_look_ups_are_shared() {
        let loads = loads(&[100, 1, 60, 50, 1, 1]);
        let holders = placed(&loads, 2, None).expect("room");
        assert_eq!(held(&loads, &holders, 2, |load| load.bytes), [102, 111]);
        // Small tables cost look-ups all the same.
        assert_eq!(held(&loads, &holders, 2, |load| load.width as u64), [12, 12]);
        assert!(placed(&loads, 1, None).expect("room").iter().all(|holder| *holder == Holder::Rank(0)));
    }

    #[test]
    fn what_fits_nowhere_is_held_row_by_row() {
        let mut loads = loads(&[100, 30, 30]);
        let holders = placed(&loads, 2, Some(90)).expect("room");
        assert_eq!(holders, [Holder::ByRow, Holder::Rank(0), Holder::Rank(1)]);
        assert_eq!(held(&loads, &holders, 2, |load| load.bytes), [80, 80]);
        assert_eq!(placed(&loads, 2, Some(70)), Err(2), "the last one has no room, whole or not");
        // Two that stay together are not split.
        loads[1].with = 0;
        assert_eq!(placed(&loads, 2, Some(120)), Err(0));
        assert_eq!(
            placed(&loads, 2, Some(130)).expect("room"),
            [Holder::Rank(0), Holder::Rank(0), Holder::Rank(1)]
        );
    }
}
