//! A comparison as the engine would fill it.
use dlrm_data::schema::Task;
use dlrm_engine::compare::{Compared, Diverged, Measured, SeedRun};
use dlrm_metrics::{Interval, Metric};
use serde_json::{Value, json};

fn metrics(auc: f64) -> Value {
    json!({
        "rows": 8_700, "mean_label": 0.287, "mean_prediction": 0.276, "positives": 2_500,
        "log_loss": 1.2 - auc, "auc": auc, "accuracy": 0.71,
    })
}

fn run(seed: u64, auc: f64) -> SeedRun {
    let evaluation = |epoch: i32| {
        let validation = metrics(auc - 0.1 * 0.5f64.powi(epoch));
        json!({"step": 50 * epoch, "epoch": epoch, "train_loss": 0.6, "validation": validation})
    };
    let run = json!({
        "seed": seed, "validation": metrics(auc + 0.002), "test": metrics(auc),
        "seconds": 61.5, "seconds_to_best": 48.2, "best_epoch": 4.0, "epochs": 6.0,
        "peak_bytes": 1_512_402_400u64, "rows_per_second": 434_368.6,
        "history": (1..=6).map(evaluation).collect::<Vec<_>>(),
    });
    serde_json::from_value(run).unwrap()
}

fn model(name: &str, auc: f64, training_multiply_adds: f64, against_best: Option<[f64; 2]>) -> Measured {
    Measured {
        name: name.into(),
        kind: "dlrm",
        order: "2 + implicit",
        unit: "vector + bit",
        table_parameters: 33_762_577,
        dense_parameters: 1_350_401,
        forward_multiply_adds: training_multiply_adds / 3.0,
        training_multiply_adds,
        memory_bytes: 1_023_964_000,
        inference_rows_per_second: 3_150_803.9,
        runs: (0..2).map(|seed| run(seed, auc + 0.001 * seed as f64)).collect(),
        against_best: against_best.map(|[low, high]| Interval { estimate: 0.5 * (low + high), low, high }),
    }
}

/// Three models; one more diverged.
pub(crate) fn compared() -> Compared {
    Compared {
        rows: [81_500, 9_800, 8_700].into(),
        task: Task::Binary,
        metric: Metric::Auc,
        seeds: 2,
        models: vec![
            model("dlrm", 0.802, 40_830.0, None),
            model("deepfm", 0.798, 1_212_000.0, Some([-0.009, 0.001])),
            model("lr", 0.741, 24.4, Some([-0.071, -0.052])),
        ],
        diverged: vec![Diverged { name: "ncf <\"&\">".into(), seed: 1, step: 512 }],
    }
}
