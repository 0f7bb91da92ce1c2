//! Networks with all that trains them.
use super::Resources;
use crate::error::Result;
use crate::learner::{self, Learner};
use crate::network::Network;
use crate::train_config::TrainConfig;
use dlrm_data::batch::Layout;
use dlrm_models::ModelConfig;

/// A network at its start, ready to be trained.
pub(crate) fn new_learner(
    model: &ModelConfig,
    config: &TrainConfig,
    layout: &Layout,
    negative_downsampling_rate: f64,
    resources: Resources,
) -> Result<Learner> {
    let made = || Network::with_tables(model, layout, config.table_precision, config.seed, resources.isa);
    ready(made, config, negative_downsampling_rate, resources.threads)
}

/// A network that goes on from a checkpoint, which is yet to be read: nothing is drawn in vain.
pub(super) fn unfilled(
    model: &ModelConfig,
    config: &TrainConfig,
    layout: &Layout,
    negative_downsampling_rate: f64,
    resources: Resources,
) -> Result<Learner> {
    let made = || Network::unfilled(model, layout, config.table_precision, config.seed, resources.isa);
    ready(made, config, negative_downsampling_rate, resources.threads)
}

fn ready(
    network: impl FnOnce() -> Result<Network> + Send,
    config: &TrainConfig,
    negative_downsampling_rate: f64,
    threads: usize,
) -> Result<Learner> {
    let network = learner::pool(threads)?.install(network)?.with_precision(config.precision);
    let network = network.with_negative_downsampling(negative_downsampling_rate);
    let optimizer = config.optimizer_of(network.weights());
    Learner::new(network, optimizer, config.loss.unwrap_or_default(), config.sharding(), threads)
}
