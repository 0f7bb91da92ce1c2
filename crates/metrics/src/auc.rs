//! The exact area under the ROC curve of all rows, in O(n log n).
use super::Scored;
use super::sum::Sum;

/// Rows in ascending order of score. Everything that needs ranks shares one sort.
#[derive(Debug, Clone)]
pub struct Ranking<'a> {
    scores: &'a [f32],
    order: Vec<u32>,
}

impl<'a> Ranking<'a> {
    /// Ranks the rows; equal scores by row.
    pub fn new(rows: &Scored<'a>) -> Self {
        let scores = rows.scores();
        // One integer per row sorts faster than indirect float comparisons.
        let mut keys: Vec<u64> =
            scores.iter().enumerate().map(|(row, &s)| u64::from(ascending(s)) << 32 | row as u64).collect();
        keys.sort_unstable();
        Ranking { scores, order: keys.into_iter().map(|key| key as u32).collect() }
    }

    /// Rows by rising score.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Runs of rows with equal scores, by rising score.
    pub fn ties(&self) -> impl Iterator<Item = &[u32]> {
        self.order.chunk_by(|&a, &b| self.scores[a as usize] == self.scores[b as usize])
    }
}

/// An integer that sorts as the score does. Both zeros stay neighbours, so ties stay whole.
fn ascending(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// Weight of the positive and of the negative rows among `group`.
pub(crate) fn class_weights(rows: &Scored<'_>, group: &[u32]) -> (f64, f64) {
    group.iter().fold((0.0, 0.0), |(positive, negative), &row| {
        let weight = rows.weight(row as usize);
        if rows.is_positive(row as usize) {
            (positive + weight, negative)
        } else {
            (positive, negative + weight)
        }
    })
}

/// The chance that a positive row scores above a negative one, ties counting half. `None` if a
/// class is absent.
pub fn auc(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Option<f64> {
    let (mut area, mut positives, mut below) = (Sum::default(), Sum::default(), Sum::default());
    for group in ranking.ties() {
        let (positive, negative) = class_weights(rows, group);
        area.add(positive * (below.value() + 0.5 * negative));
        positives.add(positive);
        below.add(negative);
    }
    let pairs = positives.value() * below.value();
    (pairs > 0.0).then(|| area.value() / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: every pair of a positive and a negative.
    fn by_pairs(rows: &Scored<'_>) -> Option<f64> {
        let (mut won, mut pairs) = (0.0, 0.0);
        for i in (0..rows.len()).filter(|&i| rows.is_positive(i)) {
            for j in (0..rows.len()).filter(|&j| !rows.is_positive(j)) {
                let weight = rows.weight(i) * rows.weight(j);
                let (a, b) = (rows.scores()[i], rows.scores()[j]);
                won += weight
                    * if a > b {
                        1.0
                    } else if a == b {
                        0.5
                    } else {
                        0.0
                    };
                pairs += weight;
            }
        }
        (pairs > 0.0).then(|| won / pairs)
    }

    proptest! {
        #[test]
        fn fast_equals_all_pairs(
            rows in prop::collection::vec((-4i8..4, any::<bool>(), 0u8..4), 1..80),
            weighted in any::<bool>(),
        ) {
            // few distinct scores: nearly everything is tied; −0.0 among them
            let score = |r: i8| if r == -4 { -0.0 } else { f32::from(r) * 0.37 };
            let scores: Vec<f32> = rows.iter().map(|r| score(r.0)).collect();
            let labels: Vec<f32> = rows.iter().map(|r| f32::from(u8::from(r.1))).collect();
            let weights: Vec<f32> = rows.iter().map(|r| f32::from(r.2)).collect();
            prop_assume!(!weighted || weights.iter().any(|&w| w > 0.0));
            let scored = Scored::binary(&scores, &labels, weighted.then_some(&weights)).unwrap();
            match (auc(&scored, &Ranking::new(&scored)), by_pairs(&scored)) {
                (Some(fast), Some(slow)) => prop_assert!((fast - slow).abs() < 1e-12, "{fast} {slow}"),
                (fast, slow) => prop_assert_eq!(fast, slow),
            }
        }

        #[test]
        fn ranking_sorts_any_finite_floats(bits in prop::collection::vec(any::<u32>(), 1..100)) {
            let scores: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
            prop_assume!(!scores.is_empty());
            let rows = Scored::rating(&scores, &scores, None).unwrap();
            let ranking = Ranking::new(&rows);
            let sorted: Vec<f32> = ranking.order().iter().map(|&row| scores[row as usize]).collect();
            prop_assert!(sorted.is_sorted());
            prop_assert!(ranking.ties().flatten().eq(ranking.order()));
        }
    }

    #[test]
    fn one_class_has_no_auc() {
        let rows = Scored::binary(&[0.1, 0.2], &[1.0, 1.0], None).unwrap();
        assert_eq!(auc(&rows, &Ranking::new(&rows)), None);
    }
}
