//! How well positives rank within groups of rows (a user's candidates, a query's results): hit rate and NDCG
//! at ten.
//!
//! Ties are broken at random in thought: a metric is its expectation, so a model that scores all alike gets
//! what chance gets, and the order of rows does not matter. Groups without a positive say nothing and are
//! left out.
use super::Scored;

/// Places that count.
const K: usize = 10;

/// One group's metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupScore {
    /// A row of the group.
    pub row: usize,
    /// The chance that a positive is among the first ten.
    pub hit: f64,
    /// Discounted cumulative gain of the first ten over the best possible (Järvelin and Kekäläinen 2002,
    /// binary gains).
    pub ndcg: f64,
}

/// The groups that hold a positive; `None` if rows have no groups.
pub fn by_group(rows: &Scored<'_>) -> Option<Vec<GroupScore>> {
    let groups = rows.groups()?;
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let score = |row: u32| rows.scores()[row as usize];
    order.sort_unstable_by(|&a, &b| {
        let by_group = groups[a as usize].cmp(&groups[b as usize]);
        by_group.then_with(|| score(b).total_cmp(&score(a))).then_with(|| a.cmp(&b))
    });
    let scored =
        order.chunk_by(|&a, &b| groups[a as usize] == groups[b as usize]).filter_map(|group| of(rows, group));
    Some(scored.collect())
}

/// Metrics of rows that fall in score; none without a positive.
fn of(rows: &Scored<'_>, group: &[u32]) -> Option<GroupScore> {
    let (mut missed, mut gain, mut place, mut positives) = (1.0, 0.0, 0, 0);
    for ties in group.chunk_by(|&a, &b| rows.scores()[a as usize] == rows.scores()[b as usize]) {
        let own = ties.iter().filter(|&&row| rows.is_positive(row as usize)).count();
        let counted = K.saturating_sub(place).min(ties.len());
        // Each of the tied rows is as likely as any other to stand at each of their places.
        gain += own as f64 / ties.len() as f64 * (place..place + counted).map(discount).sum::<f64>();
        missed *= (0..counted)
            .map(|i| (ties.len() - own).saturating_sub(i) as f64 / (ties.len() - i) as f64)
            .product::<f64>();
        place += ties.len();
        positives += own;
    }
    let best: f64 = (0..positives.min(K)).map(discount).sum();
    (positives > 0).then(|| GroupScore { row: group[0] as usize, hit: 1.0 - missed, ndcg: gain / best })
}

/// Worth of a positive at this place, counted from 0.
fn discount(place: usize) -> f64 {
    1.0 / libm::log2(place as f64 + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(logits: &[f32], labels: &[f32], groups: &[u64]) -> Vec<GroupScore> {
        by_group(&Scored::binary(logits, labels, None).unwrap().with_groups(Some(groups)).unwrap()).unwrap()
    }

    #[test]
    fn one_positive_among_a_hundred() {
        // In group g the positive stands at place g, counted from 0.
        let row = |i: usize| (i / 100, i % 100);
        let logits: Vec<f32> = (0..1200).map(|i| -(row(i).1 as f32)).collect();
        let labels: Vec<f32> = (0..1200).map(|i| f32::from(row(i).0 == row(i).1)).collect();
        let groups: Vec<u64> = (0..1200).map(|i| row(i).0 as u64 * 77).collect();
        for (place, found) in scores(&logits, &labels, &groups).into_iter().enumerate() {
            let hit = f64::from(place < 10);
            let ndcg = if place < 10 { (2.0f64).ln() / (place as f64 + 2.0).ln() } else { 0.0 };
            assert!(
                (found.hit - hit).abs() < 1e-12 && (found.ndcg - ndcg).abs() < 1e-12,
                "{place}: {found:?}"
            );
        }
    }

    #[test]
    fn ties_get_what_chance_gets() {
        let labels: Vec<f32> = (0..100).map(|i| f32::from(i == 0)).collect();
        let [found] = scores(&[0.5; 100], &labels, &[3; 100])[..] else { panic!("one group") };
        let ndcg = (0..10).map(discount).sum::<f64>() / 100.0;
        assert!((found.hit - 0.1).abs() < 1e-12 && (found.ndcg - ndcg).abs() < 1e-12, "{found:?}");
        // Two positives among twelve equal rows: neither among the first ten in one of 66 ways.
        let labels: Vec<f32> = (0..12).map(|i| f32::from(i < 2)).collect();
        let [found] = scores(&[0.5; 12], &labels, &[3; 12])[..] else { panic!("one group") };
        assert!((found.hit - 65.0 / 66.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn several_positives_and_small_groups() {
        let found = scores(&[3.0, 2.0, 1.0, 5.0, 9.0], &[1.0, 0.0, 1.0, 0.0, 1.0], &[1, 1, 1, 2, 3]);
        assert_eq!(found.len(), 2, "a group without a positive says nothing");
        let ndcg = (1.0 + discount(2)) / (1.0 + discount(1));
        assert!((found[0].ndcg - ndcg).abs() < 1e-12 && found[0].hit == 1.0, "{found:?}");
        assert_eq!((found[1].hit, found[1].ndcg), (1.0, 1.0));
    }
}
