//! Where a server's time went: the histograms of its stages, before and after.
use serde::Serialize;
use std::collections::BTreeMap;

/// What the lines of the histograms begin with.
const FAMILY: &str = "dlrm_stage_seconds_";
/// Stages in the order in which a request meets them.
const ORDER: [&str; 7] = ["parse", "look_up", "queue", "encode", "score", "recommend", "write"];

/// The times of a stage between two looks at the server's figures, whoever asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: String,
    /// How often it was met.
    pub count: u64,
    /// Milliseconds on average.
    pub mean: f64,
    /// Half took at most about this, in milliseconds: times are counted in classes, each twice as wide as
    /// the one before, and taken for evenly spread in each.
    pub p50: f64,
    /// 99 of 100, as nearly.
    pub p99: f64,
}

/// Histograms by stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Stages(BTreeMap<String, Histogram>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Histogram {
    sum: f64,
    count: f64,
    /// Upper ends and how many lie below each.
    buckets: Vec<(f64, f64)>,
}

impl Stages {
    /// Reads the text of `/metrics`; lines that mean nothing here are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut stages = Stages::default();
        for line in text.lines().filter_map(|line| line.strip_prefix(FAMILY)) {
            let Some((name, rest)) = line.split_once('{') else { continue };
            let Some((labels, value)) = rest.split_once('}') else { continue };
            let label = |wanted: &str| {
                let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
                labels.find(|(name, _)| *name == wanted).map(|(_, value)| value.trim_matches('"'))
            };
            // An exemplar may follow.
            let value = value.split_whitespace().next().and_then(|value| value.parse::<f64>().ok());
            let (Some(stage), Some(value)) = (label("stage"), value) else { continue };
            let histogram = stages.0.entry(stage.to_owned()).or_default();
            match (name, label("le").and_then(|end| end.replace("+Inf", "inf").parse().ok())) {
                ("sum", _) => histogram.sum = value,
                ("count", _) => histogram.count = value,
                ("bucket", Some(end)) => histogram.buckets.push((end, value)),
                _ => {}
            }
        }
        stages
    }

    /// What has come since `before`.
    pub(super) fn since(&self, before: &Stages) -> Vec<StageTime> {
        let none = Histogram::default();
        let time =
            |(stage, now): (&String, &Histogram)| now.since(before.0.get(stage).unwrap_or(&none)).time(stage);
        let mut times: Vec<StageTime> = self.0.iter().filter_map(time).collect();
        let place = |time: &StageTime| ORDER.iter().position(|stage| *stage == time.stage);
        times.sort_by_key(|time| place(time).unwrap_or(ORDER.len()));
        times
    }
}

impl Histogram {
    fn since(&self, before: &Histogram) -> Histogram {
        let earlier = |end: f64| before.buckets.iter().find(|(other, _)| *other == end).map_or(0.0, |b| b.1);
        Histogram {
            sum: self.sum - before.sum,
            count: self.count - before.count,
            buckets: self.buckets.iter().map(|&(end, below)| (end, below - earlier(end))).collect(),
        }
    }

    fn time(&self, stage: &str) -> Option<StageTime> {
        if self.count < 1.0 {
            return None;
        }
        let (p50, p99) = (1e3 * self.quantile(0.5), 1e3 * self.quantile(0.99));
        let mean = 1e3 * self.sum / self.count;
        Some(StageTime { stage: stage.to_owned(), count: self.count as u64, mean, p50, p99 })
    }

    /// The time that a share lies below, as if times were spread evenly in their class.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = share * self.count;
        let (mut start, mut before) = (0.0, 0.0);
        for &(end, below) in &self.buckets {
            if below >= wanted {
                // Beyond the last class nothing is known but that.
                let width = if end.is_finite() { end - start } else { 0.0 };
                return start + width * (wanted - before) / (below - before).max(1.0);
            }
            (start, before) = (end, below);
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# HELP dlrm_stage_seconds Time.\n\
        dlrm_stage_seconds_sum{stage=\"score\"} 1.0\ndlrm_stage_seconds_count{stage=\"score\"} 10\n\
        dlrm_stage_seconds_bucket{le=\"0.1\",stage=\"score\"} 10\n\
        dlrm_stage_seconds_bucket{le=\"0.2\",stage=\"score\"} 10\n\
        dlrm_stage_seconds_bucket{le=\"+Inf\",stage=\"score\"} 10\n";
    const AFTER: &str = "dlrm_stage_seconds_sum{stage=\"score\"} 16.0\n\
        dlrm_stage_seconds_count{stage=\"score\"} 110\n\
        dlrm_stage_seconds_bucket{stage=\"score\",le=\"0.1\"} 60\n\
        dlrm_stage_seconds_bucket{stage=\"score\",le=\"0.2\"} 110\n\
        dlrm_stage_seconds_bucket{stage=\"score\",le=\"+Inf\"} 110\n\
        dlrm_stage_seconds_sum{stage=\"parse\"} 0.5\n\
        dlrm_stage_seconds_count{stage=\"parse\"} 5 # {a=\"b\"} 1\n\
        dlrm_stage_seconds_bucket{stage=\"parse\",le=\"+Inf\"} 5\ndlrm_rows_total{model=\"m\"} 3\nnonsense\n";

    #[test]
    fn what_has_come_since() {
        let times = Stages::parse(AFTER).since(&Stages::parse(BEFORE));
        assert_eq!(times.iter().map(|time| time.stage.as_str()).collect::<Vec<_>>(), ["parse", "score"]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let score = &times[1];
        assert_eq!(score.count, 100);
        assert!(near(score.mean, 150.0) && near(score.p50, 100.0) && near(score.p99, 198.0), "{score:?}");
        assert!(Stages::parse(AFTER).since(&Stages::parse(AFTER)).is_empty());
    }
}
