//! Networks with all that trains them.
use super::Resources;
use crate::error::Result;
use crate::learner::{self, Learner};
use crate::network::{Network, Values};
use crate::train_config::TrainConfig;
use dlrm_data::batch::Layout;
use dlrm_models::ModelConfig;
use dlrm_nn::Placement;

/// A network with these values, of whose tables this process holds its share, ready to be trained.
pub(crate) fn new_learner(
    values: Values,
    (model, config): (&ModelConfig, &TrainConfig),
    layout: &Layout,
    negative_downsampling_rate: f64,
    (resources, placement): (Resources, Placement),
) -> Result<Learner> {
    let of = (config.table_precision, config.seed, resources.isa);
    let made = || Network::placed(values, (model, layout), of, placement);
    let network = learner::pool(resources.threads)?.install(made)?.with_precision(config.precision);
    let network = network.with_negative_downsampling(negative_downsampling_rate);
    let optimizer = config.optimizer_of(network.weights());
    Learner::new(network, optimizer, config.loss.unwrap_or_default(), config.sharding(), resources.threads)
}
