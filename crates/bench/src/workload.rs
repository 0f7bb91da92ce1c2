//! A shape of DLRM and the random batches that it is trained on.
use dlrm_data::Batch;
use dlrm_data::batch::{Bags, Feature, Layout, TableLayout};
use dlrm_data::error::nearest;
use dlrm_data::rng::Rng;
use dlrm_data::schema;
use dlrm_engine::error::{Error, Result};
use dlrm_engine::learner::{self, Learner};
use dlrm_engine::network::Network;
use dlrm_models::{DlrmConfig, Interaction, ModelConfig};
use dlrm_nn::{
    Builder, DenseOptimizer, Isa, Loss, Optimizer, Precision, Sharding, TableOptimizer, TablePrecision,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Rows of the 26 tables of the Criteo Kaggle data set, in the order of its columns.
const KAGGLE: [usize; 26] = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992,
    5_461_306, 10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];

/// Rows of the 26 tables of Criteo's terabyte log as MLPerf trains on it, at most 40 million each.
const TERABYTE: [usize; 26] = [
    39_884_406, 39_043, 17_289, 7420, 20_263, 3, 7120, 1543, 63, 38_532_951, 2_953_546, 403_346, 10, 2208,
    11_938, 155, 4, 976, 14, 39_979_771, 25_641_295, 39_664_984, 585_935, 12_972, 108, 36,
];

/// A synthetic workload. What a file leaves out is as in [`Workload::kaggle`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// What it is called: a letter of [`Workload::NAMES`] or the name of the file.
    #[serde(skip_deserializing)]
    pub name: String,
    /// Rows of each table.
    pub tables: Vec<usize>,
    /// Width of the vectors.
    pub embedding_dim: usize,
    /// Number of dense inputs.
    pub dense: usize,
    /// Hidden widths of the bottom MLP; its last layer, as wide as the vectors, is added.
    pub bottom: Vec<usize>,
    /// Hidden widths of the top MLP; its last layer, of width 1, is added.
    pub top: Vec<usize>,
    /// How vectors meet.
    pub interaction: Interaction,
    /// Ids of each row in each table.
    pub ids_per_row: usize,
    /// Ids have a density falling as x^-exponent; with 0 all are as frequent.
    pub exponent: f64,
}

impl Default for Workload {
    fn default() -> Self {
        Workload::kaggle()
    }
}

impl Workload {
    /// Names of the workloads that need no file.
    pub const NAMES: [&str; 5] = ["k", "p", "w", "m", "t"];

    /// `k`: the shape of Criteo Kaggle, with the published cardinalities.
    pub fn kaggle() -> Self {
        Workload {
            name: "k".into(),
            tables: KAGGLE.to_vec(),
            embedding_dim: 16,
            dense: 13,
            bottom: vec![512, 256, 64],
            top: vec![512, 256],
            interaction: Interaction::Dot,
            ids_per_row: 1,
            exponent: 1.05,
        }
    }

    /// `p`: the model that is profiled in section 5.2 of the DLRM paper (arXiv:1906.00091).
    pub fn paper() -> Self {
        Workload {
            name: "p".into(),
            tables: vec![1_000_000; 8],
            embedding_dim: 64,
            dense: 512,
            bottom: vec![512],
            top: vec![1024; 3],
            interaction: Interaction::Dot,
            ids_per_row: 100,
            exponent: 0.0,
        }
    }

    /// `w`: a wide bottom tower, whose weights are large beside a shard.
    pub fn wide() -> Self {
        Workload {
            name: "w".into(),
            tables: vec![2_000_000; 10],
            embedding_dim: 32,
            dense: 2560,
            bottom: vec![1024, 256],
            top: vec![512, 256],
            ids_per_row: 20,
            ..Workload::kaggle()
        }
    }

    /// `m`: the tables of `k` with at most a million rows, four times as wide, ten ids each.
    pub fn many_ids() -> Self {
        Workload {
            name: "m".into(),
            tables: KAGGLE.map(|rows| rows.min(1_000_000)).to_vec(),
            embedding_dim: 64,
            ids_per_row: 10,
            ..Workload::kaggle()
        }
    }

    /// `t`: the model that MLPerf trains on Criteo's terabyte log, with tables of at most 2.4 million rows: 8
    /// GB.
    pub fn terabyte() -> Self {
        Workload {
            name: "t".into(),
            tables: TERABYTE.map(|rows| rows.min(2_400_000)).to_vec(),
            embedding_dim: 128,
            bottom: vec![512, 256],
            top: vec![1024, 1024, 512, 256],
            ..Workload::kaggle()
        }
    }

    /// The workload of that name, or that a TOML file describes.
    ///
    /// # Errors
    /// An unknown name, a file that cannot be read, an unknown key (with the nearest known one), a shape that
    /// cannot be.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "k" => Ok(Workload::kaggle()),
            "p" => Ok(Workload::paper()),
            "w" => Ok(Workload::wide()),
            "m" => Ok(Workload::many_ids()),
            "t" => Ok(Workload::terabyte()),
            file if file.ends_with(".toml") => {
                let text = std::fs::read_to_string(file).map_err(Error::io("read", Path::new(file)))?;
                Workload::parse(&text, file)
            }
            other => {
                let whole = ["kaggle", "paper", "wide", "many", "terabyte"];
                let hint = match nearest(&other.to_lowercase(), Workload::NAMES.into_iter().chain(whole)) {
                    Some(near) => format!("did you mean \"{}\"?", &near[..1]),
                    None => "a file of your own ends in .toml: tables = [1000, 2000], embedding_dim = 32, …"
                        .into(),
                };
                let expected = format!("one of {} or a TOML file", Workload::NAMES.join(", "));
                Err(Error::config("workload", expected, format!("\"{other}\"")).with_hint(hint))
            }
        }
    }

    fn parse(text: &str, file: &str) -> Result<Self> {
        let mut workload: Workload =
            toml::from_str(text).map_err(|e| Error::of_config(schema::toml_error(file, &e)))?;
        workload.name = Path::new(file)
            .file_stem()
            .map_or_else(|| file.into(), |stem| stem.to_string_lossy().into_owned());
        workload.check(file)?;
        Ok(workload)
    }

    fn check(&self, file: &str) -> Result<()> {
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::config(format!("{file}: {key}"), expected, found))
        };
        if let Some(rows) = self.tables.iter().find(|&&rows| rows == 0 || u32::try_from(rows).is_err()) {
            return refuse("tables", "1 to 4294967295 rows in each table", rows.to_string());
        }
        if self.ids_per_row == 0 {
            return refuse("ids_per_row", "at least 1", "0".into());
        }
        if !(self.exponent >= 0.0 && self.exponent.is_finite()) {
            return refuse("exponent", "a number from 0", self.exponent.to_string());
        }
        // Whatever else is wrong, the model says.
        Ok(self.config().build(&mut Builder::new(&self.layout())).map(|_| ())?)
    }

    /// The workload with tables smaller by `factor`.
    #[must_use]
    pub fn scaled(self, factor: usize) -> Self {
        // Three rows, as the smallest table of Criteo has.
        Workload {
            tables: self.tables.iter().map(|&rows| (rows / factor).max(rows.min(3))).collect(),
            ..self
        }
    }

    /// The shape of its rows.
    pub fn layout(&self) -> Layout {
        let name = |i: usize| format!("C{}", i + 1);
        let feature = |i| Feature::new(name(i), i);
        Layout {
            dense: (0..self.dense).map(|i| format!("I{}", i + 1)).collect(),
            features: (0..self.tables.len()).map(feature).collect(),
            tables: self
                .tables
                .iter()
                .enumerate()
                .map(|(i, &rows)| TableLayout { name: name(i), rows })
                .collect(),
            ..Layout::default()
        }
    }

    /// Its model.
    pub fn config(&self) -> ModelConfig {
        let (bottom, top) = (self.bottom.clone(), self.top.clone());
        let (embedding_dim, interaction) = (self.embedding_dim, self.interaction);
        ModelConfig::Dlrm(DlrmConfig { embedding_dim, bottom, top, interaction, ..DlrmConfig::default() })
    }

    /// A freshly initialised network.
    ///
    /// # Errors
    /// If the shape cannot be built.
    pub fn network(&self, isa: Isa, storage: TablePrecision) -> Result<Network> {
        Network::with_tables(&self.config(), &self.layout(), storage, 0, isa)
    }

    /// A freshly initialised network, learning by plain gradient descent on `threads` workers.
    ///
    /// # Errors
    /// If the shape cannot be built or the threads cannot be started.
    pub fn learner(
        &self,
        sharding: Sharding,
        isa: Isa,
        (precision, storage): (Precision, TablePrecision),
        threads: usize,
    ) -> Result<Learner> {
        let made = || self.network(isa, storage);
        let network = learner::pool(threads)?.install(made)?.with_precision(precision);
        let (dense, tables) = (
            DenseOptimizer::Sgd { lr: 0.1, momentum: 0.0, l2: 0.0 },
            TableOptimizer::Sgd { lr: 0.1, l2: 0.0 },
        );
        let optimizer = Optimizer::new(network.weights(), dense, tables, None);
        Learner::new(network, optimizer, Loss::default(), sharding, threads)
    }

    /// Ids of one batch.
    pub fn ids(&self, rows: usize) -> usize {
        rows * self.tables.len() * self.ids_per_row
    }

    /// How many batches are trained on by turns: many, but not so many that their ids fill the memory.
    pub fn batch_count(&self, rows: usize) -> usize {
        const MOST_IDS: usize = 32 << 20;
        (MOST_IDS / self.ids(rows).max(1)).clamp(4, 64)
    }

    /// Random rows.
    pub fn batch(&self, rows: usize, rng: &mut Rng) -> Batch {
        let bags = self.tables.iter().map(|&n| Bags {
            ids: (0..rows * self.ids_per_row).map(|_| power_law(rng, n, self.exponent)).collect(),
            weights: None,
            offsets: (0..=rows).map(|row| (row * self.ids_per_row) as u32).collect(),
        });
        Batch {
            bags: bags.collect(),
            dense: (0..rows * self.dense).map(|_| rng.normal() as f32).collect(),
            labels: (0..rows).map(|_| f32::from(rng.uniform() < 0.25)).collect(),
            weights: None,
            groups: None,
        }
    }

    /// Bytes of memory that training on batches of at most `rows` rows needs.
    ///
    /// # Errors
    /// If the shape cannot be built.
    pub fn memory_bytes(&self, rows: usize, sharding: Sharding, storage: TablePrecision) -> Result<u64> {
        let layout = self.layout();
        let mut builder = Builder::new(&layout);
        self.config().build(&mut builder)?;
        let (dense, tables) = (builder.count().0, builder.table_bytes(storage));
        // Weights, up to three packed forms of them, and the partial sums of their gradients.
        let parameters = 4 * dense * (4 + sharding.lanes) + tables;
        let batches = self.batch_count(rows) * 4 * (self.ids(rows) + rows * (self.dense + self.tables.len()));
        // Sorted keys and places of the ids, twice, and the gradients of the vectors.
        let kept = builder.kept_numbers(rows, sharding);
        let step = 32 * self.ids(rows) + 4 * (rows * self.tables.len() * self.embedding_dim + kept);
        Ok((parameters + batches + step) as u64)
    }
}

/// Ids below `n` with density falling as x^-exponent.
pub(super) fn power_law(rng: &mut Rng, n: usize, exponent: f64) -> u32 {
    let (e, end) = (1.0 - exponent, n as f64 + 1.0);
    let x = match exponent {
        0.0 => return rng.below(n) as u32,
        1.0 => end.powf(rng.uniform()),
        _ => (1.0 + rng.uniform() * (end.powf(e) - 1.0)).powf(1.0 / e),
    };
    (x as usize).clamp(1, n) as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_power_law() {
        let mut rng = Rng::new(0, 0);
        for (exponent, low, high) in [(0.0, 0.09, 0.11), (1.0, 0.48, 0.53), (1.05, 0.54, 0.61)] {
            // The share of the first 100 of 1000 · 10 ids: uniform 1/10 of 1000; of the density 1/x, ln 101 /
            // ln 10001 = 0.50.
            let n = if exponent == 0.0 { 1000 } else { 10_000 };
            let share =
                (0..20_000).filter(|_| power_law(&mut rng, n, exponent) < 100).count() as f64 / 20_000.0;
            assert!((low..high).contains(&share), "exponent {exponent}: {share}");
        }
        assert!((0..1000).all(|_| power_law(&mut rng, 3, 1.05) < 3));
    }

    #[test]
    fn a_file_starts_from_the_kaggle_shape() {
        let own = Workload::parse("tables = [7, 9]\nids_per_row = 3\n", "a/b.toml").unwrap();
        assert_eq!((own.name.as_str(), own.embedding_dim, own.ids(10)), ("b", 16, 60));
        for (text, part) in [
            ("table = [3]\n", "did you mean \"tables\"?"),
            ("tables = [0]\n", "tables"),
            ("ids_per_row = 0\n", "ids_per_row"),
            ("exponent = -1.0\n", "exponent"),
            ("top = [0]\n", "top"),
        ] {
            let error = Workload::parse(text, "b.toml").unwrap_err();
            assert!(
                format!("{error} {:?}", error.hint()).replace('\\', "").contains(part),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn all_that_have_a_name_can_be_built() {
        for name in Workload::NAMES {
            let workload = Workload::named(name).unwrap();
            workload.check(name).unwrap();
            assert_eq!(workload.name, name);
        }
        let table_bytes =
            |workload: Workload| 4 * workload.tables.iter().sum::<usize>() * workload.embedding_dim;
        assert_eq!(table_bytes(Workload::terabyte()) / 1_000_000_000, 7);
    }

    #[test]
    fn tables_are_scaled_down_to_a_few_rows() {
        let small = Workload::kaggle().scaled(1000);
        assert_eq!(small.tables.iter().min(), Some(&3));
        assert_eq!(small.tables[2], 10_131);
    }
}
