//! Curves for people: the ROC curve and histograms of predictions, thinned to what a plot can show.
use super::auc::{Ranking, class_weights};
use super::{Scored, sum};
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

/// Most points of a ROC curve.
const ROC_POINTS: usize = 200;
/// Fewest bins of a histogram; rounding their width to a readable number gives up to 2.5 times as many.
const HISTOGRAM_BINS: f64 = 20.0;

/// One threshold of the ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Share of the negatives at or above the threshold.
    pub false_positive_rate: f64,
    /// Share of the positives at or above the threshold.
    pub true_positive_rate: f64,
}

/// The ROC curve from (0, 0) to (1, 1), at most 200 points evenly spread along it. Empty where a
/// class is absent.
pub fn roc(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Vec<RocPoint> {
    let (positives, negatives) = class_weights(rows, ranking.order());
    if positives == 0.0 || negatives == 0.0 {
        return Vec::new();
    }
    let end = RocPoint { false_positive_rate: 1.0, true_positive_rate: 1.0 };
    let groups: Vec<&[u32]> = ranking.ties().collect();
    let (mut positive, mut negative) = (0.0, 0.0);
    let mut points = vec![RocPoint { false_positive_rate: 0.0, true_positive_rate: 0.0 }];
    let mut kept = 0.0;
    for group in groups.into_iter().rev() {
        let (p, n) = class_weights(rows, group);
        positive += p;
        negative += n;
        let point =
            RocPoint { false_positive_rate: negative / negatives, true_positive_rate: positive / positives };
        let travelled = point.false_positive_rate + point.true_positive_rate;
        // the curve is 2 long, counted along both axes
        if travelled - kept >= 2.0 / (ROC_POINTS - 2) as f64 && travelled < 2.0 - 1e-9 {
            kept = travelled;
            points.push(point);
        }
    }
    points.push(end);
    points
}

/// Shares of rows over equal bins of the prediction, one series per class (binary) or one for
/// labels and one for predictions (rating). The shares of a series sum to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Left edge of the first bin.
    pub low: f64,
    /// Width of every bin.
    pub width: f64,
    /// Series over the same bins.
    pub series: Vec<HistogramSeries>,
}

/// One series of a [`Histogram`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramSeries {
    /// What is counted.
    pub name: String,
    /// Share of the series' rows in each bin.
    pub shares: Vec<f64>,
}

/// How predictions are distributed.
pub fn histogram(rows: &Scored<'_>) -> Histogram {
    let all = 0..rows.len();
    let predictions = || all.clone().map(|row| rows.prediction(row));
    let labels = || all.clone().map(|row| rows.label(row));
    let of_class = |positive: bool| -> Vec<(f64, f64)> {
        let class = all.clone().filter(|&row| rows.is_positive(row) == positive);
        class.map(|row| (rows.prediction(row), rows.weight(row))).collect()
    };
    match rows.task() {
        Task::Binary => {
            let bins = Bins::over(predictions());
            bins.histogram([("negative", of_class(false)), ("positive", of_class(true))])
        }
        Task::Rating => {
            let bins = Bins::over(predictions().chain(labels()));
            let weighted = |row: usize| rows.weight(row);
            let labels = labels().zip(all.clone().map(weighted)).collect();
            let predictions = predictions().zip(all.clone().map(weighted)).collect();
            bins.histogram([("actual", labels), ("predicted", predictions)])
        }
    }
}

/// Equal bins whose edges are readable numbers.
struct Bins {
    low: f64,
    width: f64,
    count: usize,
}

impl Bins {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        let span = (high - low).max(1e-9 * low.abs()).max(1e-12);
        let rough = span / HISTOGRAM_BINS;
        // As the decimal says it, to the last bit.
        let magnitude = format!("1e{}", libm::log10(rough).floor()).parse().unwrap_or(rough);
        // the largest of 1, 2, 5 times a power of ten that is not above the rough width
        let width =
            [5.0, 2.0, 1.0].map(|m| m * magnitude).into_iter().find(|w| *w <= rough).unwrap_or(magnitude);
        let first = (low / width).floor();
        let count = ((high / width).floor() - first) as usize + 1;
        Bins { low: first * width, width, count }
    }

    fn histogram(&self, series: [(&str, Vec<(f64, f64)>); 2]) -> Histogram {
        let series = series
            .into_iter()
            .map(|(name, values)| HistogramSeries { name: name.into(), shares: self.shares(&values) });
        Histogram { low: self.low, width: self.width, series: series.collect() }
    }

    fn shares(&self, values: &[(f64, f64)]) -> Vec<f64> {
        let mut shares = vec![0.0; self.count];
        for &(value, weight) in values {
            let bin = ((value - self.low) / self.width).max(0.0) as usize;
            shares[bin.min(self.count - 1)] += weight;
        }
        let total = sum::sum(shares.iter().copied());
        if total > 0.0 {
            shares.iter_mut().for_each(|share| *share /= total);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roc_is_thin_rising_and_keeps_the_area() {
        let scores: Vec<f32> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32).collect();
        let labels: Vec<f32> =
            scores.iter().enumerate().map(|(i, &s)| f32::from(u8::from(s > 8e6 || i % 7 == 0))).collect();
        let rows = Scored::binary(&scores, &labels, None).unwrap();
        let ranking = Ranking::new(&rows);
        let points = roc(&rows, &ranking);
        assert!(points.len() <= ROC_POINTS && points.len() > 150, "{}", points.len());
        assert!(points.is_sorted_by(|a, b| {
            a.false_positive_rate <= b.false_positive_rate && a.true_positive_rate <= b.true_positive_rate
        }));
        let area: f64 = points
            .windows(2)
            .map(|w| {
                (w[1].false_positive_rate - w[0].false_positive_rate)
                    * (w[0].true_positive_rate + w[1].true_positive_rate)
                    / 2.0
            })
            .sum();
        assert!((area - super::super::auc::auc(&rows, &ranking).unwrap()).abs() < 1e-3);
    }

    #[test]
    fn histograms_count_everything_once() {
        let logits: Vec<f32> = (0..1000u16).map(|i| f32::from(i) * 0.01 - 5.0).collect();
        let labels: Vec<f32> = (0..1000u16).map(|i| f32::from(i % 3 / 2)).collect();
        let found = histogram(&Scored::binary(&logits, &labels, None).unwrap());
        for series in &found.series {
            assert!((series.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!((20..=51).contains(&series.shares.len()), "{}", series.shares.len());
        }
        let ratings = histogram(&Scored::rating(&[3.0; 4], &[1.0, 2.0, 5.0, 3.5], None).unwrap());
        assert_eq!((ratings.series[0].name.as_str(), ratings.low), ("actual", 1.0));
    }

    #[test]
    fn a_constant_prediction_has_a_histogram() {
        for value in [0.0f32, 1e30, -1e-30, 7.5] {
            let found = histogram(&Scored::rating(&[value; 3], &[value; 3], None).unwrap());
            assert_eq!(found.series[0].shares.iter().sum::<f64>(), 1.0);
        }
    }
}
