//! Traces of ids: profiled into stack distances, synthesised from a profile, compared under caches.
//!
//! Naumov et al. 2019 (arXiv:1906.00091), section 4: the *stack distance* of an access is its depth in a
//! stack of the ids ordered by last use, 1 for the id used last, 0 for an id that comes for the first time. A
//! trace drawn from the distribution of distances has the locality of the original. A least-recently-used
//! cache of C ids hits just where the distance is 1 to C (Mattson et al. 1970), so one pass tells the hit
//! rates of all sizes.
mod padding;
mod profile;
mod stack;
mod synthesis;

pub use padding::Padding;
pub use profile::Profile;
pub use stack::distances;
pub use synthesis::synthesize;

use dlrm_data::error::{Error, Position, Result, quoted};

/// Reads ids separated by blanks, commas or line ends. `name` is how messages call the text.
///
/// # Errors
/// Something that is no id; no id at all.
pub fn parse_trace(text: &str, name: &str) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for (word, column) in line.split([',', ' ', '\t', '\r']).filter(|word| !word.is_empty()).zip(1..) {
            let position =
                || Position { file: name.to_owned(), line: number, column: Some((column, String::new())) };
            ids.push(
                word.parse().map_err(|_| {
                    Error::row(position(), "an id: an integer from 0 to 2^64 - 1", quoted(word))
                })?,
            );
        }
    }
    if ids.is_empty() { Err(Error::input(name, "at least one id", "none")) } else { Ok(ids) }
}

/// Share of the accesses of `trace` that a least-recently-used cache of each of these sizes (in ids) would
/// hit.
pub fn hit_rates(trace: &[u64], sizes: &[usize]) -> Vec<f64> {
    let distances = distances(trace);
    let mut hits = vec![0u64; distances.iter().copied().max().unwrap_or(0) + 1];
    distances.iter().filter(|&&distance| distance > 0).for_each(|&distance| hits[distance] += 1);
    // Hits of a cache of C: all distances up to C.
    let mut sum = 0;
    let cumulative: Vec<u64> = hits.iter().map(|n| (sum += n, sum).1).collect();
    sizes
        .iter()
        .map(|&size| cumulative[size.min(cumulative.len() - 1)] as f64 / trace.len().max(1) as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::Rng;
    use proptest::prelude::*;

    /// A cache that does what its name says.
    fn simulated(trace: &[u64], size: usize) -> f64 {
        let (mut cache, mut hits) = (Vec::new(), 0);
        for &id in trace {
            if let Some(at) = cache.iter().position(|&other| other == id) {
                cache.remove(at);
                hits += 1;
            } else if cache.len() == size && size > 0 {
                cache.remove(0);
            }
            if size > 0 {
                cache.push(id);
            }
        }
        f64::from(hits) / trace.len() as f64
    }

    proptest! {
        #[test]
        fn hit_rates_are_those_of_caches(trace in prop::collection::vec(0u64..12, 1..150)) {
            let sizes = [0, 1, 2, 5, 11, 100];
            let expected: Vec<f64> = sizes.iter().map(|&size| simulated(&trace, size)).collect();
            prop_assert_eq!(hit_rates(&trace, &sizes), expected);
        }

        #[test]
        fn profiles_survive_their_file(trace in prop::collection::vec(0u64..30, 1..200)) {
            let profile = Profile::of(&trace, Padding::None);
            prop_assert_eq!(Profile::parse(&profile.to_text(), "x").expect("a profile"), profile);
        }

        #[test]
        fn a_synthesised_trace_stays_within_the_ids(
            trace in prop::collection::vec(0u64..30, 1..200),
            unique in 1usize..40,
            seed in 0u64..9,
        ) {
            let profile = Profile::of(&trace, Padding::None).bounded(unique);
            let made = synthesize(&profile, 500, Padding::None, &mut Rng::new(seed, 0));
            prop_assert_eq!(made.len(), 500);
            prop_assert!(made.iter().all(|id| profile.unique.contains(id)) && profile.unique.len() <= unique);
            prop_assert_eq!(made, synthesize(&profile, 500, Padding::None, &mut Rng::new(seed, 0)));
        }
    }

    #[test]
    fn a_synthesised_trace_has_the_locality_of_the_original() {
        let mut rng = Rng::new(1, 0);
        // Squares prefer small ids.
        let trace: Vec<u64> = (0..60_000).map(|_| (1000.0 * rng.uniform().powi(3)) as u64).collect();
        let sizes = [1, 10, 50, 200, 500];
        let original = hit_rates(&trace, &sizes);
        // Until all ids have come, longer distances are cut off, so the beginning of a trace is more local
        // than the original.
        let made =
            synthesize(&Profile::of(&trace, Padding::None), 600_000, Padding::None, &mut Rng::new(2, 0));
        for (size, (a, b)) in sizes.iter().zip(original.iter().zip(hit_rates(&made, &sizes))) {
            assert!((a - b).abs() < 0.015, "a cache of {size}: {a} and {b}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        assert_eq!(parse_trace("1, 2\n3\t4", "t").expect("ids"), [1, 2, 3, 4]);
        let message = |text: &str| parse_trace(text, "t.txt").expect_err("no trace").to_string();
        assert!(message("1 2\n3 x4").starts_with("t.txt:2:2"), "{}", message("1 2\n3 x4"));
        assert!(message(" \n").contains("at least one id"));
        for (text, expected) in [
            ("1, 2\n0, 1\n", "three lines"),
            ("1, 2\n0, 1\n0.5, x\n", "p:3:2"),
            ("1, 2\n0, 1\n0.5\n", "2 probabilities"),
            ("1, 2\n1, 0\n0.5, 1\n", "distances that rise"),
            ("1, 2\n0, 1\n0.7, 0.5\n", "probabilities that rise to 1"),
            ("1, 2\n0, 3\n0.5, 1\n", "distances up to 2"),
            ("1, 1\n0, 1\n0.5, 1\n", "ids that differ"),
        ] {
            let error = Profile::parse(text, "p").expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
