//! What an earlier run of `dlrm bench --json` measured.
use super::{Machine, Measured, Rate, Workload};
use dlrm_engine::error::{Error, Result};
use dlrm_nn::{Precision, TablePrecision};
use serde::Deserialize;
use std::path::Path;

/// The measurements of an earlier run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Earlier {
    machine: EarlierMachine,
    workloads: Vec<EarlierMeasured>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EarlierMachine {
    isa: String,
    threads: usize,
    all: EarlierPeaks,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EarlierPeaks {
    fma_flops: f64,
    read_bytes: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EarlierMeasured {
    workload: EarlierWorkload,
    batch: usize,
    threads: usize,
    precision: Precision,
    table_precision: TablePrecision,
    rows_per_second: Rate,
}

/// A workload with its name, which that of a file never holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EarlierWorkload {
    name: String,
    #[serde(flatten)]
    shape: serde_json::Map<String, serde_json::Value>,
}

/// The machine then and now: rates of the machine itself say how far two measurements can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineThen {
    /// Instruction set.
    pub isa: String,
    /// Worker threads.
    pub threads: usize,
    /// Floating-point operations of f32 per second.
    pub fma_flops: f64,
    /// Bytes per second read from end to end.
    pub read_bytes: f64,
}

impl Earlier {
    /// Reads what `dlrm bench --json` printed.
    ///
    /// # Errors
    /// If the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        serde_json::from_str(&text).map_err(|error| {
            let expected = "what `dlrm bench --json` prints";
            Error::config(path.display().to_string(), expected, error.to_string())
                .with_hint("write it by `dlrm bench k --json > FILE`")
        })
    }

    /// The machine as it was then.
    pub fn machine(&self) -> MachineThen {
        let EarlierMachine { isa, threads, all } = self.machine.clone();
        MachineThen { isa, threads, fma_flops: all.fma_flops, read_bytes: all.read_bytes }
    }

    /// Whether it was the same number of threads with the same instruction set.
    pub fn is_like(&self, machine: &Machine) -> bool {
        (self.machine.isa.as_str(), self.machine.threads) == (machine.isa, machine.threads)
    }

    /// The rows per second of the same workload with the same batch, threads and precision, if it was
    /// measured.
    pub fn rows_per_second(&self, now: &Measured) -> Option<Rate> {
        let same = |then: &&EarlierMeasured| {
            (then.batch, then.threads) == (now.batch, now.threads)
                && (then.precision, then.table_precision) == (now.precision, now.table_precision)
                && then.workload.is(&now.workload)
        };
        self.workloads.iter().find(same).map(|then| then.rows_per_second)
    }
}

impl EarlierWorkload {
    fn is(&self, workload: &Workload) -> bool {
        let shape = serde_json::from_value::<Workload>(serde_json::Value::Object(self.shape.clone()));
        shape.is_ok_and(|shape| Workload { name: self.name.clone(), ..shape } == *workload)
    }
}
