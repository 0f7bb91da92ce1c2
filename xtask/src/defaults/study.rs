//! The exported tables and what the peers made of them.
use super::options::{Half, Options};
use crate::run::number;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// What is measured on test rows; not a number where it was not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scores {
    pub auc: f64,
    pub log_loss: f64,
}

impl Scores {
    pub(super) const UNKNOWN: Scores = Scores { auc: f64::NAN, log_loss: f64::NAN };

    pub(super) fn of(value: &Value) -> Scores {
        Scores { auc: number(&value["auc"]), log_loss: number(&value["log_loss"]) }
    }

    pub(super) fn mean(all: &[Scores]) -> Scores {
        let mean = |of: fn(&Scores) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Scores { auc: mean(|s| s.auc), log_loss: mean(|s| s.log_loss) }
    }
}

/// The peers on one split.
#[derive(Clone, Copy)]
pub(super) struct Peers {
    /// Logistic regression as scikit-learn sets it.
    pub lr: Scores,
    /// With its L2 chosen by cross-validation.
    pub lr_cv: Scores,
    pub lightgbm: Scores,
}

impl Peers {
    /// The better of the two logistic regressions, by each metric.
    pub(super) fn best_lr(&self) -> Scores {
        Scores { auc: self.lr.auc.max(self.lr_cv.auc), log_loss: self.lr.log_loss.min(self.lr_cv.log_loss) }
    }
}

/// One exported table.
pub(super) struct Table {
    pub name: String,
    pub half: Half,
    /// Whether users, items and other ids lead it.
    pub ids: bool,
    pub rows: f64,
    /// By split.
    pub peers: Vec<Peers>,
}

/// All tables that are asked for.
pub(super) struct Study {
    /// Where they lie.
    pub dir: PathBuf,
    pub tables: Vec<Table>,
}

impl Study {
    pub(super) fn read(options: &Options) -> Result<Study, String> {
        let json = |name: &str| -> Result<Value, String> {
            let path = options.out.join(name);
            let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
        };
        let (index, peers) = (json("tables.json")?, json("peers.json")?);
        let all = index.as_object().into_iter().flatten();
        let mut tables: Vec<Table> =
            all.filter_map(|(name, about)| table(name, about, &peers[name], options.splits)).collect();
        tables.retain(|table| options.half.is_none_or(|half| half == table.half));
        if !options.only.is_empty() {
            tables.retain(|table| options.only.contains(&table.name));
        }
        tables.sort_by(|a, b| a.ids.cmp(&b.ids).then(a.rows.total_cmp(&b.rows)));
        if tables.is_empty() {
            return Err(format!("no table is left in {}", options.out.display()));
        }
        Ok(Study { dir: options.out.clone(), tables })
    }

    /// Where the rows of a split lie.
    pub(super) fn folder(&self, table: &str, split: usize) -> PathBuf {
        self.dir.join(table).join(split.to_string())
    }
}

fn table(name: &str, about: &Value, peers: &Value, splits: usize) -> Option<Table> {
    let of_split = |split: usize| {
        let of = |peer: &str| Scores::of(&peers[split.to_string()][peer]);
        Peers { lr: of("lr"), lr_cv: of("lr_cv"), lightgbm: of("lightgbm") }
    };
    Some(Table {
        name: name.to_owned(),
        half: Half::named(about["half"].as_str()?)?,
        ids: about["kind"] == "ids",
        rows: number(&about["rows"]),
        peers: (0..splits).map(of_split).collect(),
    })
}
