//! What a run will be on several machines, before it is started on any.
use super::{Resources, Run};
use crate::config::RunConfig;
use crate::error::Result;
use crate::exchange::check_lanes;
use crate::plan::Plan;
use crate::rows::with_rows;
use crate::traffic::{StepShape, Traffic, Uses};
use dlrm_data::batch::Layout;
use dlrm_data::batches::RowStream;
use dlrm_data::source::DataSource;
use dlrm_data::{Batch, Stop};
use dlrm_nn::{Builder, Holder, Placement, SlotSpec};
use std::ops::Range;

/// Rows that are looked at for how many ids they have.
const ROWS: usize = 4096;

/// A run as several ranks will share it.
#[derive(Debug, Clone)]
pub struct Foreseen {
    /// Its complete configuration.
    pub config: RunConfig,
    /// The shape of encoded rows.
    pub layout: Layout,
    /// Ids in a row of each feature, on average.
    pub ids_per_row: Vec<f64>,
    /// What one process would need.
    pub alone: Plan,
    /// What the rank needs that holds most.
    pub most: Plan,
    /// Who holds each table.
    pub holders: Vec<Holder>,
    /// Rows of a step that each rank computes.
    pub rows: Vec<usize>,
    /// What each rank sends in a step. Of tables that lie apart it is what rows have on average.
    pub traffic: Vec<Traffic>,
}

impl Run {
    /// How `ranks` ranks will share this run, each with the memory of its resources.
    ///
    /// # Errors
    /// If rows cannot be read, or the run is not for so many ranks.
    pub fn foresee(&self, ranks: usize, stop: &Stop) -> Result<Foreseen> {
        self.config.check()?;
        let Resources { threads, memory_limit, .. } = self.resources;
        with_rows(&self.config, self.rows.as_ref(), (threads, stop), |source: DataSource<'_>| {
            let schema = self.config.complete_schema()?;
            let fitted = source.fit(schema)?;
            let run = self.settled(&fitted)?;
            let layout = fitted.encoder.layout();
            let mut rows = Batch::new(&layout);
            source.stream(&fitted)?.append_rows(&mut rows, ROWS)?;
            let alone = Plan::new(&run.config, &fitted)?;
            run.foreseen((alone, layout, &rows), ranks, memory_limit)
        })
    }

    /// With these rows for an example.
    fn foreseen(
        self,
        (alone, layout, example): (Plan, Layout, &Batch),
        ranks: usize,
        limit: Option<u64>,
    ) -> Result<Foreseen> {
        let sharding = self.config.train.sharding();
        check_lanes(ranks, sharding.lanes)?;
        let (most, holders) = alone.clone().among(ranks, limit)?;
        most.check(limit)?;
        let mut model = Builder::new(&layout);
        self.config.model.build(&mut model)?;
        let mean = |ids: usize| ids as f64 / example.len().max(1) as f64;
        let ids_per_row: Vec<f64> = example.bags.iter().map(|bags| mean(bags.ids.len())).collect();
        let shape = StepShape {
            model: &model,
            precision: self.config.train.table_precision,
            placement: &Placement { rank: 0, ranks, holders: holders.clone() },
            sharding,
            rows: alone.batch_size,
            clips: self.config.train.clip_norm.is_some(),
        };
        let uses = |slot: &SlotSpec, _: usize, rows: Range<usize>| {
            // As if ids came to ranks by chance.
            let (rows, ids, share) = (rows.len() as f64, ids_per_row[slot.feature], 1.0 / ranks as f64);
            let bags = rows * (1.0 - libm::pow(1.0 - share, ids));
            Uses { ids: (ids * rows * share).round() as u64, bags: bags.round() as u64 }
        };
        let (traffic, rows) = (shape.traffic(&uses), shape.rows_of_ranks());
        drop(model);
        Ok(Foreseen { config: self.config, layout, ids_per_row, alone, most, holders, rows, traffic })
    }
}

/// The way from rank to rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// Bytes that a rank sends in a second.
    pub bytes_per_second: f64,
    /// Seconds until a message is there.
    pub latency: f64,
}

/// How long a step takes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct StepTime {
    /// Seconds of computing.
    pub computing: f64,
    /// Seconds of sending.
    pub sending: f64,
}

/// Exchanges of a step that are waited for: the first vectors, gradients, updated parameters, and what the
/// first rank decides.
const EXCHANGES: f64 = 4.0;

impl Foreseen {
    /// The time of a step where one rank alone trains so many rows a second with the threads that each has:
    /// the computing of the rank with most rows, then the bytes of the one that sends most. Three quarters of
    /// the vectors come while a quarter of the rows is computed; what else is computed while messages are on
    /// their way is little, and counted for nothing.
    pub fn step_time(&self, rows_per_second: f64, network: Network) -> StepTime {
        let rows = self.rows.iter().max().copied().unwrap_or(0);
        let most = self.traffic.iter().max_by_key(|sent| sent.bytes()).copied().unwrap_or_default();
        let way = |bytes: f64| bytes / network.bytes_per_second;
        let (computing, later) = (rows as f64 / rows_per_second, 0.75 * most.vectors as f64);
        let waited = EXCHANGES * network.latency + way(most.bytes() as f64 - later);
        let sending = waited + (way(later) - computing / 4.0).max(0.0);
        StepTime { computing, sending: if self.traffic.len() > 1 { sending } else { 0.0 } }
    }
}
