//! Measurements of all sides, and the Markdown tables of them.
use crate::run::{grouped, median};
use serde_json::Value;
use std::fmt;

/// The name of our side in the tables.
pub(super) const OURS: &str = "dlrm";

/// What was measured.
#[derive(Clone, PartialEq)]
pub(super) struct Case {
    /// `train` or `infer`.
    pub task: String,
    /// Name of the workload.
    pub workload: String,
    /// Rows of a batch.
    pub batch: u64,
}

/// One measurement.
pub(super) struct Sample {
    pub case: Case,
    pub rows_per_s: f64,
    /// Microseconds of a call: the 50th and the 99th percentile.
    pub latency: Option<[f64; 2]>,
    /// Of the way back through the layers, and of the machine at the same time.
    pub backward: Option<Backward>,
}

/// Floating-point operations of a thread per second.
#[derive(Clone, Copy)]
pub(super) struct Backward {
    /// Of the way back through the layers.
    pub flops: f64,
    /// The most that the machine did when it was measured beside.
    pub peak: f64,
}

/// What a run of a side measured, or why it failed.
pub(super) type Measured = Result<Vec<Sample>, String>;

/// The measurements in lines of JSON; other lines are skipped. None if there is none.
pub(super) fn parse(printed: &str) -> Option<Vec<Sample>> {
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let samples: Vec<Sample> = lines.filter_map(|line| sample(&line)).collect();
    (!samples.is_empty()).then_some(samples)
}

fn sample(line: &Value) -> Option<Sample> {
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let case = Case { task: text("task")?, workload: text("workload")?, batch: line["batch"].as_u64()? };
    let latency = line["p50_us"].as_f64().zip(line["p99_us"].as_f64()).map(|(p50, p99)| [p50, p99]);
    Some(Sample { case, rows_per_s: line["rows_per_s"].as_f64()?, latency, backward: None })
}

/// All measurements of a side in a case.
struct Row {
    side: String,
    samples: Vec<Sample>,
}

/// All measurements; `Display` makes the tables.
#[derive(Default)]
pub(super) struct Results {
    rows: Vec<Row>,
    /// Job, side and why.
    left_out: Vec<[String; 3]>,
}

impl Results {
    /// Adds a measurement of a side.
    pub(super) fn add(&mut self, side: &str, sample: Sample) {
        match self.rows.iter_mut().find(|row| row.side == side && row.samples[0].case == sample.case) {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Row { side: side.into(), samples: vec![sample] }),
        }
    }

    /// Notes that a side failed in a job.
    pub(super) fn leave_out(&mut self, job: &str, side: &str, why: String) {
        self.left_out.push([job.into(), side.into(), why]);
    }

    /// Whether a side failed in a job.
    pub(super) fn left_out(&self, job: &str, side: &str) -> bool {
        self.left_out.iter().any(|[j, s, _]| j == job && s == side)
    }

    /// The median rows per second of a side in a case.
    pub(super) fn rate(&self, side: &str, case: &Case) -> Option<f64> {
        self.rows.iter().find(|row| row.side == side && row.case() == case).map(|row| row.rows_per_s()[0])
    }

    /// The sides that were measured in a case.
    pub(super) fn sides(&self, case: &Case) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(move |row| row.case() == case).map(|row| row.side.as_str())
    }

    /// The median of what the way back of a side reaches of the machine's peak: the highest that any of its
    /// measurements found, for another guest may have had the machine when one was taken.
    pub(super) fn backward_share(&self, side: &str, case: &Case) -> Option<f64> {
        let own = self.rows.iter().filter(|row| row.side == side);
        let all = own.clone().flat_map(|row| &row.samples).filter_map(|sample| sample.backward);
        let peak = all.map(|backward| backward.peak).max_by(f64::total_cmp)?;
        let samples = own.filter(|row| row.case() == case).flat_map(|row| &row.samples);
        let mut rates: Vec<f64> =
            samples.filter_map(|sample| sample.backward).map(|backward| backward.flops).collect();
        (!rates.is_empty()).then(|| median(&mut rates) / peak)
    }

    /// Rows of each case, in the order of its first measurement.
    fn cases(&self) -> Vec<Vec<&Row>> {
        let mut cases: Vec<Vec<&Row>> = Vec::new();
        for row in &self.rows {
            match cases.iter_mut().find(|rows| rows[0].case() == row.case()) {
                Some(rows) => rows.push(row),
                None => cases.push(vec![row]),
            }
        }
        cases
    }
}

impl Row {
    fn case(&self) -> &Case {
        &self.samples[0].case
    }

    fn is_latency(&self) -> bool {
        self.case().batch == 1 && self.samples[0].latency.is_some()
    }

    /// Median, least and greatest.
    fn spread(&self, of: impl Fn(&Sample) -> f64) -> [f64; 3] {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        let median = median(&mut values);
        [median, values[0], values[values.len() - 1]]
    }

    fn rows_per_s(&self) -> [f64; 3] {
        self.spread(|sample| sample.rows_per_s)
    }

    fn percentile(&self, which: usize) -> [f64; 3] {
        self.spread(|sample| sample.latency.map_or(f64::NAN, |latency| latency[which]))
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases = self.cases();
        let (latencies, rates): (Vec<_>, Vec<_>) = cases.iter().partition(|rows| rows[0].is_latency());
        if !rates.is_empty() {
            writeln!(
                f,
                "| task | workload | batch | peer | rows/s | min … max | dlrm / peer |\n\
                 |---|---|---|---|---|---|---|"
            )?;
        }
        for row in rates.into_iter().flatten() {
            let ([median, least, most], case) = (row.rows_per_s(), row.case());
            let ratio = ours(&cases, case).map(|ours| ours.rows_per_s()[0] / median);
            let side =
                format!("{} | {} | {} | {}", case.task, case.workload.to_uppercase(), case.batch, row.side);
            writeln!(
                f,
                "| {side} | {} | {} … {} | {} |",
                grouped(median),
                grouped(least),
                grouped(most),
                ratio_text(ratio)
            )?;
        }
        if !latencies.is_empty() {
            writeln!(
                f,
                "\n| one row of | peer | p50, µs | min … max | p99, µs | peer / dlrm |\n\
                 |---|---|---|---|---|---|"
            )?;
        }
        for row in latencies.into_iter().flatten() {
            let ([p50, least, most], case) = (row.percentile(0), row.case());
            let ratio = ours(&cases, case).map(|ours| p50 / ours.percentile(0)[0]);
            let (workload, p99) = (case.workload.to_uppercase(), row.percentile(1)[0]);
            let side = format!("{workload} | {}", row.side);
            writeln!(f, "| {side} | {p50:.1} | {least:.1} … {most:.1} | {p99:.1} | {} |", ratio_text(ratio))?;
        }
        for [job, side, why] in &self.left_out {
            writeln!(f, "\nLeft out: {side} in {job}: {why}")?;
        }
        Ok(())
    }
}

fn ours<'a>(cases: &[Vec<&'a Row>], case: &Case) -> Option<&'a Row> {
    cases.iter().flatten().find(|row| row.side == OURS && row.case() == case).copied()
}

fn ratio_text(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(results: &mut Results, side: &str, printed: &str) {
        parse(printed).expect("samples").into_iter().for_each(|sample| results.add(side, sample));
    }

    #[test]
    fn lines_that_are_no_measurement_are_skipped() {
        let printed = "a warning\n{\"task\": \"train\"}\n\
             {\"task\": \"train\", \"workload\": \"k\", \"batch\": 128, \"rows_per_s\": 5.0}\n";
        let samples = parse(printed).expect("samples");
        assert_eq!((samples.len(), samples[0].case.batch, samples[0].rows_per_s), (1, 128, 5.0));
        assert!(parse("a warning\n").is_none());
    }

    #[test]
    fn tables() {
        let train = |rate: f64| {
            format!(r#"{{"task": "train", "workload": "k", "batch": 2048, "rows_per_s": {rate}}}"#)
        };
        let infer = |p50: f64| {
            format!(
                "{{\"task\": \"infer\", \"workload\": \"k\", \"batch\": 1, \"rows_per_s\": 1.0, \
                 \"p50_us\": {p50}, \"p99_us\": 90.0}}"
            )
        };
        let mut results = Results::default();
        for (ours, theirs) in [(69000.0, 30000.0), (71000.0, 40000.0)] {
            add(&mut results, OURS, &train(ours));
            add(&mut results, "A", &train(theirs));
            add(&mut results, OURS, &infer(ours / 1000.0));
            add(&mut results, "A", &infer(theirs / 100.0));
        }
        add(&mut results, "A", r#"{"task": "train", "workload": "p", "batch": 8, "rows_per_s": 999}"#);
        results.leave_out("train-k", "B", "ImportError".into());
        assert!(results.left_out("train-k", "B") && !results.left_out("infer-k", "B"));
        let expected = "\
| task | workload | batch | peer | rows/s | min … max | dlrm / peer |
|---|---|---|---|---|---|---|
| train | K | 2048 | dlrm | 70,000 | 69,000 … 71,000 | 1.00 |
| train | K | 2048 | A | 35,000 | 30,000 … 40,000 | 2.00 |
| train | P | 8 | A | 999 | 999 … 999 | – |

| one row of | peer | p50, µs | min … max | p99, µs | peer / dlrm |
|---|---|---|---|---|---|
| K | dlrm | 70.0 | 69.0 … 71.0 | 90.0 | 1.00 |
| K | A | 350.0 | 300.0 … 400.0 | 90.0 | 5.00 |

Left out: B in train-k: ImportError
";
        assert_eq!(results.to_string(), expected);
    }
}
