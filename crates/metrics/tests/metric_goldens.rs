//! Metrics and intervals against scikit-learn, scipy and an independent DeLong
//! (`make_metric_goldens.py`), and against their own promise: coverage.
use dlrm_metrics::normal::two_sided_p;
use dlrm_metrics::{Bootstrap, Metric, Metrics, Ranking, Scored, bootstrap, delong, interval};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
    tails: Vec<Tail>,
}

#[derive(Deserialize)]
struct Tail {
    z: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    a: Vec<f32>,
    b: Vec<f32>,
    labels: Vec<f32>,
    weights: Vec<f32>,
    auc: f64,
    log_loss: f64,
    accuracy: f64,
    brier: f64,
    weighted_auc: f64,
    weighted_log_loss: f64,
    weighted_brier: f64,
    delong_variance: f64,
    delong_low: f64,
    delong_high: f64,
    difference: f64,
    difference_variance: f64,
    difference_z: f64,
    difference_p: f64,
    rmse: f64,
    mae: f64,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("data/metric_goldens.json")).unwrap()
}

#[track_caller]
fn close(what: &str, found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(
        error < 1e-12 || found == expected,
        "{what}: found {found:e}, expected {expected:e}, off by {error:e}"
    );
}

#[test]
fn metrics_equal_scikit_learn() {
    for case in goldens().cases {
        let found = Metrics::binary(&case.a, &case.labels, None).unwrap();
        close(&case.name, found.auc.unwrap(), case.auc);
        close(&case.name, found.log_loss.unwrap(), case.log_loss);
        close(&case.name, found.accuracy.unwrap(), case.accuracy);
        close(&case.name, found.brier.unwrap(), case.brier);
        let found = Metrics::binary(&case.a, &case.labels, Some(&case.weights)).unwrap();
        close(&case.name, found.auc.unwrap(), case.weighted_auc);
        close(&case.name, found.log_loss.unwrap(), case.weighted_log_loss);
        close(&case.name, found.brier.unwrap(), case.weighted_brier);
        let found = Metrics::rating(&case.a, &case.labels, None).unwrap();
        close(&case.name, found.rmse.unwrap(), case.rmse);
        close(&case.name, found.mae.unwrap(), case.mae);
    }
}

#[test]
fn delong_equals_the_matrix_of_pairs() {
    for case in goldens().cases {
        let a = Scored::binary(&case.a, &case.labels, None).unwrap();
        let b = Scored::binary(&case.b, &case.labels, None).unwrap();
        let (a_ranking, b_ranking) = (Ranking::new(&a), Ranking::new(&b));
        let one = delong::auc(&a, &a_ranking).unwrap();
        close(&case.name, one.variance, case.delong_variance);
        close(&case.name, one.interval.low, case.delong_low);
        close(&case.name, one.interval.high, case.delong_high.min(1.0));
        let both = delong::difference((&a, &a_ranking), (&b, &b_ranking)).unwrap().unwrap();
        close(&case.name, both.interval.estimate, case.difference);
        close(&case.name, both.variance, case.difference_variance);
        close(&case.name, both.z(0.0).unwrap(), case.difference_z);
        close(&case.name, both.p_value(0.0).unwrap(), case.difference_p);
    }
}

#[test]
fn normal_tails_equal_scipy() {
    for Tail { z, p } in goldens().tails {
        close(&format!("z = {z}"), two_sided_p(z), p);
        close(&format!("z = -{z}"), two_sided_p(-z), p);
    }
}

/// A small generator of its own: the tests must not share a bug with the bootstrap.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.next()).ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }

    /// Clicks from known logits, seen through noise: (logits, labels).
    fn clicks(&mut self, rows: usize) -> (Vec<f32>, Vec<f32>) {
        (0..rows)
            .map(|_| {
                let truth = 1.5 * self.normal() - 1.0;
                let click = self.next() < 1.0 / (1.0 + (-truth).exp());
                ((truth + 0.5 * self.normal()) as f32, f32::from(u8::from(click)))
            })
            .unzip()
    }
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    const SIMULATIONS: usize = 200;
    let metrics = [Metric::Auc, Metric::LogLoss, Metric::Accuracy, Metric::NormalizedEntropy];
    let mut uniform = Uniform(0x1234_5678_9abc_def1);
    let (logits, labels) = uniform.clicks(400_000);
    let truth = Metrics::binary(&logits, &labels, None).unwrap();
    let mut covered = [0; 4];
    for simulation in 0..SIMULATIONS {
        let (logits, labels) = uniform.clicks(400);
        let rows = Scored::binary(&logits, &labels, None).unwrap();
        let bootstrap = Bootstrap { resamples: 300, seed: simulation as u64 };
        for (count, metric) in covered.iter_mut().zip(metrics) {
            let found = interval(metric, &rows, &Ranking::new(&rows), &bootstrap).unwrap();
            let value = metric.of(&truth).unwrap();
            *count += usize::from(found.low <= value && value <= found.high);
        }
    }
    for (count, metric) in covered.into_iter().zip(metrics) {
        let share = count as f64 / SIMULATIONS as f64;
        assert!((0.90..=0.99).contains(&share), "{metric}: {share}");
    }
}

#[test]
fn paired_intervals_cover_the_true_difference() {
    const SIMULATIONS: usize = 200;
    let mut uniform = Uniform(77);
    let blurred = |uniform: &mut Uniform, logits: &[f32]| -> Vec<f32> {
        logits.iter().map(|z| z + (0.6 * uniform.normal()) as f32).collect()
    };
    let (a, labels) = uniform.clicks(400_000);
    let b = blurred(&mut uniform, &a);
    let auc = |z: &[f32]| Metrics::binary(z, &labels, None).unwrap().auc.unwrap();
    let loss = |z: &[f32]| Metrics::binary(z, &labels, None).unwrap().log_loss.unwrap();
    let truth = [auc(&a) - auc(&b), loss(&a) - loss(&b)];
    let mut covered = [0; 2];
    for simulation in 0..SIMULATIONS {
        let (a, labels) = uniform.clicks(400);
        let b = blurred(&mut uniform, &a);
        let a = Scored::binary(&a, &labels, None).unwrap();
        let b = Scored::binary(&b, &labels, None).unwrap();
        let (ra, rb) = (Ranking::new(&a), Ranking::new(&b));
        let bootstrap = bootstrap::Bootstrap { resamples: 300, seed: simulation as u64 };
        let by_delong = delong::difference((&a, &ra), (&b, &rb)).unwrap().unwrap().interval;
        let by_bootstrap = bootstrap.difference(Metric::LogLoss, (&a, &ra), (&b, &rb)).unwrap().unwrap();
        for ((count, found), value) in covered.iter_mut().zip([by_delong, by_bootstrap]).zip(truth) {
            *count += usize::from(found.low <= value && value <= found.high);
        }
    }
    for count in covered {
        let share = count as f64 / SIMULATIONS as f64;
        assert!((0.90..=0.99).contains(&share), "{share}");
    }
}
