//! The label in each part.
use super::finding::{Finding, FindingKind, Severity};
use dlrm_data::format::{number, percent};
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

/// Standard errors beyond which a difference is not chance: about three in a million.
pub(super) const SURE: f64 = 4.5;
/// Of a 95 % interval.
const Z: f64 = 1.96;

/// The labels of one part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelRate {
    /// Rows.
    pub rows: u64,
    /// Mean label; of clicks the share of positive rows.
    pub mean: f64,
    /// 95 % interval of the mean: Wilson's for clicks, the normal one for ratings.
    pub interval: [f64; 2],
}

/// Sums of labels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LabelSums {
    pub rows: u64,
    sum: f64,
    squares: f64,
}

impl LabelSums {
    pub(super) fn add(&mut self, label: f32) {
        self.rows += 1;
        self.sum += f64::from(label);
        self.squares += f64::from(label) * f64::from(label);
    }

    fn mean(&self) -> f64 {
        self.sum / self.rows.max(1) as f64
    }

    fn variance(&self) -> f64 {
        (self.squares / self.rows.max(1) as f64 - self.mean() * self.mean()).max(0.0)
    }

    pub(super) fn rate(&self, task: Task) -> LabelRate {
        let (n, mean) = (self.rows.max(1) as f64, self.mean());
        let interval = match task {
            Task::Binary => {
                let spread =
                    Z / (1.0 + Z * Z / n) * (mean * (1.0 - mean) / n + Z * Z / (4.0 * n * n)).max(0.0).sqrt();
                let middle = (mean + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
                [(middle - spread).max(0.0), (middle + spread).min(1.0)]
            }
            Task::Rating => {
                let spread = Z * (self.variance() / n).sqrt();
                [mean - spread, mean + spread]
            }
        };
        LabelRate { rows: self.rows, mean, interval }
    }
}

/// Whether the labels of a part differ from those of the training rows by more than chance.
pub(super) fn shift(train: &LabelSums, other: &LabelSums, part: &str, task: Task) -> Option<Finding> {
    if train.rows == 0 || other.rows == 0 {
        return None;
    }
    let error = (train.variance() / train.rows as f64 + other.variance() / other.rows as f64).sqrt();
    let difference = (other.mean() - train.mean()).abs();
    let scale = match task {
        Task::Binary => train.mean().min(1.0 - train.mean()),
        Task::Rating => train.variance().sqrt(),
    };
    if difference <= SURE * error || difference < 0.1 * scale {
        return None;
    }
    let shown = |x: f64| if task == Task::Binary { percent(x) } else { number(x) };
    let [low, high] = other.rate(task).interval.map(shown);
    let found = format!(
        "the mean label is {} in {part} ({low} … {high}) and {} in training",
        shown(other.mean()),
        shown(train.mean())
    );
    let why = "predictions learned on training rows will be off by that much, whatever the AUC says";
    let fix =
        "find out what changed (another period, source or sampling), or split so that all parts have it";
    let severity = if difference >= 0.5 * scale { Severity::Critical } else { Severity::Warning };
    Some(
        Finding::new(severity, FindingKind::LabelShift, found)
            .because(why, fix)
            .sized(difference / scale.max(1e-12)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(rows: u64, positive: u64) -> LabelSums {
        let mut sums = LabelSums::default();
        (0..rows).for_each(|r| sums.add(f32::from(r < positive)));
        sums
    }

    #[test]
    fn intervals_and_shifts() {
        let rate = sums(100, 20).rate(Task::Binary);
        // Wilson (1927): 20 of 100.
        assert!(
            (rate.interval[0] - 0.1334).abs() < 1e-3 && (rate.interval[1] - 0.2888).abs() < 1e-3,
            "{rate:?}"
        );
        assert_eq!(sums(10, 0).rate(Task::Binary).interval[0], 0.0);
        let shifted =
            |n: u64, positive: u64| shift(&sums(80_000, 20_000), &sums(n, positive), "test", Task::Binary);
        assert!(shifted(100, 30).is_none(), "chance");
        assert!(shifted(1_000_000, 255_000).is_none(), "sure but small");
        assert_eq!(shifted(10_000, 3000).unwrap().severity, Severity::Warning);
        assert_eq!(shifted(10_000, 5000).unwrap().severity, Severity::Critical);
    }
}
