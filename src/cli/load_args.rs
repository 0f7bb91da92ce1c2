//! Flags of `dlrm bench` that say how a server is put under load.
use super::values;
use clap::Args;
use dlrm::bench::load::Arrivals;
use std::path::PathBuf;

/// How a server is put under load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of a server")]
pub(super) struct LoadArgs {
    /// Requests a second, at times fixed ahead: how long an answer takes is counted from when its request
    /// was due (default: 100)
    #[arg(long, value_name = "R", value_parser = values::rate)]
    pub rate: Option<f64>,
    /// Let the server rank N items for a context in each request, in place of scoring rows
    #[arg(long, value_name = "N", value_parser = values::batch, conflicts_with = "rows")]
    pub rank: Option<usize>,
    /// Rows to score in each request (default: 1)
    #[arg(long, value_name = "N", value_parser = values::batch)]
    pub rows: Option<usize>,
    /// Columns that differ from item to item (default: those of the server's catalogue; without one, the
    /// latter half)
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', requires = "rank")]
    pub items: Vec<String>,
    /// Table whose rows are asked about, in their order (default: the model's example row with other digits
    /// each time)
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Model that is asked (default: none is named, so the server chooses)
    #[arg(long = "model", value_name = "NAME")]
    pub served: Option<String>,
    /// Requests that can be under way at once, each on a connection that stays (default: 64)
    #[arg(long, value_name = "N", value_parser = values::connections)]
    pub connections: Option<usize>,
    /// How requests are spread over time: poisson (independent of each other) or even (default: poisson)
    #[arg(long, value_name = "HOW", value_parser = values::arrivals)]
    pub arrivals: Option<Arrivals>,
    /// Seed of times and values (default: 0)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Key that the server asks for; better in the environment, where others do not see it
    #[arg(long, value_name = "KEY", env = "DLRM_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

impl LoadArgs {
    /// The first flag that was given, but for the key, which the environment may hold for other commands.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--rate", self.rate.is_some()),
            ("--rank", self.rank.is_some()),
            ("--rows", self.rows.is_some()),
            ("--items", !self.items.is_empty()),
            ("--data", self.data.is_some()),
            ("--model", self.served.is_some()),
            ("--connections", self.connections.is_some()),
            ("--arrivals", self.arrivals.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}
