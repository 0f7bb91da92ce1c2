//! The tree by which lanes are summed: (0 + 1) + (2 + 3) and so on, whoever sums.
use std::ops::Range;

/// The sums of the tree over `lanes` lanes for which those of `run` suffice, as (left, right) where the right
/// lane is added to the left one, in their order.
///
/// Runs that lie beside each other join each for itself, and what is left is joined by the whole tree: a sum
/// that a run has done is left out there, for its right lane holds nothing any more. No sum has other
/// summands, so no bit depends on the runs.
pub(crate) fn joins(run: &Range<usize>, lanes: usize) -> Vec<(usize, usize)> {
    let within = |first: usize, width: usize| run.start <= first && (first + width).min(lanes) <= run.end;
    let mut joins = Vec::new();
    let mut width = 1;
    while width < lanes {
        for left in (0..lanes - width).step_by(2 * width) {
            let right = left + width;
            if within(left, width) && within(right, width) {
                joins.push((left, right));
            }
        }
        width *= 2;
    }
    joins
}

/// The lanes of `run` that hold something once it has done its sums.
pub fn holding(run: Range<usize>, lanes: usize) -> Vec<usize> {
    let joined: Vec<usize> = joins(&run, lanes).into_iter().map(|(_, right)| right).collect();
    run.filter(|lane| !joined.contains(lane)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is added to what, in words.
    fn sums(lanes: usize, runs: &[Range<usize>]) -> String {
        let mut parts: Vec<Option<String>> = (0..lanes).map(|lane| Some(lane.to_string())).collect();
        let mut join = |joins: Vec<(usize, usize)>| {
            for (left, right) in joins {
                if let Some(right) = parts[right].take() {
                    let left = parts[left].as_mut().expect("a left lane holds something");
                    *left = format!("({left}+{right})");
                }
            }
        };
        runs.iter().for_each(|run| join(joins(run, lanes)));
        join(joins(&(0..lanes), lanes));
        parts.swap_remove(0).expect("the sum")
    }

    #[test]
    fn no_sum_depends_on_the_runs() {
        assert_eq!(sums(5, &[]), "(((0+1)+(2+3))+4)");
        for lanes in 1..34 {
            let one = sums(lanes, &[]);
            for ranks in 1..=lanes {
                let first = |rank: usize| rank * lanes / ranks;
                let runs: Vec<_> = (0..ranks).map(|rank| first(rank)..first(rank + 1)).collect();
                assert_eq!(sums(lanes, &runs), one, "{lanes} lanes, {ranks} ranks");
            }
        }
    }
}
