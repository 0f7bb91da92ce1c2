//! Reports over simulated rows, as the trainer would fill them.
pub(crate) mod compared;

use dlrm_data::batch::Bags;
use dlrm_data::schema::Task;
use dlrm_engine::run::Stage;
use dlrm_metrics::slices::{SliceColumn, worst_slices};
use dlrm_metrics::{Bootstrap, Metric, Metrics, Ranking, Scored};
use dlrm_report::{
    Best, Candidate, ColumnCard, Comparison, Curve, CurvePoint, DataCard, Fact, InputCard, Optimum, PartCard,
    PartMetrics, Pictures, Report, RunCard, TableHealth, TrainingCard, VERSION,
};

pub(crate) const ROWS: usize = 20_000;

/// xorshift64.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Predictions of three candidates beside labels and one categorical column.
struct Rows {
    labels: Vec<f32>,
    truth: Vec<f32>,
    model: Vec<f32>,
    linear: Vec<f32>,
    mean: Vec<f32>,
    sites: Bags,
}

fn simulate(task: Task, noise: f64) -> Rows {
    let mut random = Random(0x5eed_5eed_5eed);
    let mut rows = Rows {
        labels: Vec::new(),
        truth: Vec::new(),
        model: Vec::new(),
        linear: Vec::new(),
        mean: Vec::new(),
        sites: Bags::new(),
    };
    for _ in 0..ROWS {
        let site = (random.uniform().powi(3) * 40.0) as u32;
        let signal = 1.1 * random.normal();
        let shift = (f64::from(site % 7) * 0.25 - 0.75) * if task == Task::Binary { 1.0 } else { 0.4 };
        let (truth, label) = match task {
            Task::Binary => {
                let z = signal + shift - 1.2;
                (z, f64::from(u8::from(random.uniform() < 1.0 / (1.0 + (-z).exp()))))
            }
            Task::Rating => {
                let z = 3.5 + 0.5 * signal + shift;
                (z, (z + 0.7 * random.normal()).clamp(1.0, 5.0).round())
            }
        };
        let blind = if site == 5 { 1.5 } else { 0.0 };
        rows.labels.push(label as f32);
        rows.truth.push(truth as f32);
        rows.model.push((truth + (noise * 0.3 + blind) * random.normal()) as f32);
        rows.linear.push((truth - shift * 0.9 + 0.35 * random.normal()) as f32);
        rows.sites.ids.push(site);
        rows.sites.offsets.push(rows.sites.ids.len() as u32);
    }
    let mean = rows.labels.iter().sum::<f32>() / ROWS as f32;
    let constant = if task == Task::Binary { (mean / (1.0 - mean)).ln() } else { mean };
    rows.mean = vec![constant; ROWS];
    rows
}

/// A report whose model sees the truth through `noise`.
pub(crate) fn report(task: Task, noise: f64) -> Report {
    let rows = simulate(task, noise);
    let bootstrap = Bootstrap { resamples: 200, seed: 1 };
    let scored = |predictions| Scored::new(task, predictions, &rows.labels, None).unwrap();
    let model = scored(&rows.model);
    let ranking = Ranking::new(&model);
    let candidate = |name: &str, predictions, parameters| {
        let scored = Scored::new(task, predictions, &rows.labels, None).unwrap();
        let ranking = Ranking::new(&scored);
        let test = PartMetrics::of("test", &scored, &ranking, &bootstrap);
        let validation = PartMetrics { part: "validation".into(), intervals: Vec::new(), ..test.clone() };
        let pictures = Some(Pictures::of(&scored, &ranking));
        let parts = vec![validation, test];
        Candidate { name: name.into(), parameters, converged: None, parts, pictures }
    };
    let mut comparisons = Vec::new();
    for (name, predictions) in [("logistic regression", &rows.linear), ("label mean", &rows.mean)] {
        let other = scored(predictions);
        let found =
            Comparison::all(name, "test", (&model, &ranking), (&other, &Ranking::new(&other)), &bootstrap)
                .unwrap();
        comparisons.extend(found);
    }
    let text = |id: u32| format!("site-{id:02}.example");
    let column = SliceColumn { name: "site", values: &rows.sites, text: &text };
    let optimum = (task == Task::Binary).then(|| {
        let best = Metrics::binary(&rows.truth, &rows.labels, None).unwrap();
        Optimum { log_loss: best.log_loss.unwrap(), auc: best.auc.unwrap() }
    });
    Report {
        version: VERSION,
        title: "DLRM on simulated clicks".into(),
        task,
        verdict_part: "test".into(),
        data: data(task, &rows),
        model: candidate("DLRM", &rows.model, Some(1_482_113)),
        baselines: vec![
            candidate("logistic regression", &rows.linear, Some(48_211)),
            candidate("label mean", &rows.mean, Some(1)),
        ],
        comparisons,
        optimum,
        caution: None,
        notes: vec!["Column \"referrer\": 12.4 % of the test values were never seen in training.".into()],
        training: training(task),
        choice: None,
        folds: None,
        slices: worst_slices(&model, &[column], 10).unwrap(),
        calibrated: None,
        importance: None,
        tables: tables(),
        run: run(),
    }
}

fn data(task: Task, rows: &Rows) -> DataCard {
    let mean_label = rows.labels.iter().map(|&y| f64::from(y)).sum::<f64>() / ROWS as f64;
    let part = |name: &str, rows| PartCard { name: name.into(), rows, mean_label };
    let dense = |name: &str, encoding: &str, missing| ColumnCard {
        name: name.into(),
        kind: "dense".into(),
        encoding: encoding.into(),
        table: None,
        table_rows: None,
        missing: Some(missing),
        unseen: None,
    };
    let categorical = |name: &str, kind: &str, encoding: &str, rows, unseen| ColumnCard {
        name: name.into(),
        kind: kind.into(),
        encoding: encoding.into(),
        table: Some(name.into()),
        table_rows: Some(rows),
        missing: Some(0.0003),
        unseen: Some(unseen),
    };
    DataCard {
        inputs: vec![
            InputCard {
                name: "clicks-01.csv.gz".into(),
                format: "csv.gz".into(),
                rows: Some(120_000),
                bytes: Some(9_482_113),
            },
            InputCard {
                name: "clicks-02.csv.gz".into(),
                format: "csv.gz".into(),
                rows: Some(80_000),
                bytes: Some(6_282_999),
            },
        ],
        label: if task == Task::Binary { "click" } else { "rating" }.into(),
        split_by: "random by seeded hash, 80/10/10".into(),
        parts: vec![part("train", 160_000), part("validation", 20_000), part("test", 20_000)],
        columns: vec![
            dense("age", "standardize, missing indicator", 0.041),
            dense("price", "log1p, clipped to quantiles 0.01 to 0.99", 0.0),
            categorical("site", "categorical", "vocabulary, min count 2", 42, 0.0),
            categorical("referrer", "categorical", "hash into 100,000", 100_001, 0.124),
            categorical("genres", "multi-valued", "vocabulary", 21, 0.0001),
        ],
        skipped_rows: 3,
    }
}

fn training(task: Task) -> TrainingCard {
    let mut random = Random(7);
    let metric = Metric::usual(task);
    let mut curve = |part: &str, metric, every: u64, noise: f64, value: &dyn Fn(f64) -> f64| Curve {
        part: part.into(),
        metric,
        points: (1..=4_000 / every)
            .map(|k| CurvePoint {
                step: k * every,
                epoch: (k * every) as f64 / 1250.0,
                value: value((k * every) as f64 / 1250.0) + noise * random.normal(),
            })
            .collect(),
    };
    let train = curve("train", metric, 5, 0.004, &|e| 0.475 + 0.12 * (-2.0 * e).exp() - 0.006 * e);
    let validation = curve("validation", metric, 250, 0.0, &|e| {
        0.479 + 0.11 * (-2.0 * e).exp() + 0.002 * (e - 2.0).max(0.0)
    });
    let mut curves = vec![train, validation.clone()];
    if task == Task::Binary {
        curves.push(curve("validation", Metric::Auc, 250, 0.0, &|e| {
            0.809 - 0.1 * (-2.0 * e).exp() - 0.002 * (e - 2.0).max(0.0)
        }));
    }
    let best = validation.points.iter().min_by(|a, b| a.value.total_cmp(&b.value)).unwrap();
    TrainingCard {
        curves,
        best: Some(Best { step: best.step, epoch: best.epoch, metric, value: best.value }),
        ended: "Training stopped early: 5 evaluations without a better validation value.".into(),
    }
}

fn tables() -> Vec<TableHealth> {
    [("site", 42, 0.0, 0.0), ("referrer", 100_001, 0.371, 0.124), ("genres", 21, 0.048, 0.0001)]
        .map(|(name, rows, untouched, unseen)| TableHealth {
            name: name.into(),
            rows,
            dim: 16,
            untouched,
            mean_norm: 0.412_3,
            max_norm: 2.917,
            unseen: Some(unseen),
        })
        .to_vec()
}

fn run() -> RunCard {
    let fact = |name: &str, value: &str| Fact { name: name.into(), value: value.into() };
    let stage = |name: &str, seconds, rows| Stage { name: name.into(), seconds, rows };
    RunCard {
        command: "dlrm train clicks-01.csv.gz clicks-02.csv.gz --label click --seed 7 -o runs/clicks".into(),
        config_toml: "seed = 7\n\n[model]\nkind = \"dlrm\"\nembedding_dim = 16\n\
                      bottom = [512, 256, 64, 16]\ntop = [512, 256]\n\n\
                      [train]\nbatch_size = 128\nepochs = 5\n"
            .into(),
        seed: 7,
        threads: 2,
        facts: vec![
            fact("dlrm", "0.1.0"),
            fact("CPU", "x86-64 with AVX-512"),
            fact("started", "2026-11-24 03:24 UTC"),
        ],
        stages: vec![
            stage("inspect and fit the encoder", 0.42, Some(200_000)),
            stage("train", 14.3, Some(512_000)),
            stage("evaluate", 0.31, Some(40_000)),
        ],
    }
}
