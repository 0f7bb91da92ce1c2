//! Partial sums of the dense gradients.
use crate::param::ParamId;
use crate::weights::Weights;
use dlrm_kernels::Buffer;

/// One partial sum of the dense gradients. A parameter's first contribution overwrites, so lanes need no
/// clearing between steps.
#[derive(Debug)]
pub struct Lane {
    pub(crate) dense: Buffer,
    fresh: Vec<bool>,
    /// Parameters that are not summed here, but when all shards are done.
    postponed: Vec<bool>,
}

impl Lane {
    pub(crate) fn new(weights: &Weights) -> Self {
        let params = weights.params.len();
        let dense = Buffer::hot(weights.dense.len());
        Lane { dense, fresh: vec![true; params], postponed: vec![false; params] }
    }

    /// What is not summed here from now on.
    pub(crate) fn postpone(&mut self, postponed: impl Iterator<Item = ParamId>) {
        self.postponed.fill(false);
        postponed.for_each(|param| self.postponed[param.0 as usize] = true);
    }

    /// Whether the gradient of a parameter is computed when all shards are done.
    pub(crate) fn postpones(&self, param: ParamId) -> bool {
        self.postponed[param.0 as usize]
    }

    /// Forgets the last step.
    pub fn restart(&mut self) {
        self.fresh.fill(true);
    }

    /// Whether this is the parameter's first contribution in this step.
    pub(crate) fn take_fresh(&mut self, param: ParamId) -> bool {
        std::mem::replace(&mut self.fresh[param.0 as usize], false)
    }

    /// The sum of a parameter's gradient so far in this step.
    pub(crate) fn slot(&mut self, weights: &Weights, param: ParamId) -> &mut [f32] {
        let [slot] = self.slots(weights, [param]);
        slot
    }

    /// The sums of the gradients of several different parameters so far in this step.
    pub(crate) fn slots<const N: usize>(
        &mut self,
        weights: &Weights,
        params: [ParamId; N],
    ) -> [&mut [f32]; N] {
        let ranges = params.map(|param| {
            let range = weights.param(param).range.clone();
            if self.take_fresh(param) {
                self.dense[range.clone()].fill(0.0);
            }
            range
        });
        self.dense.get_disjoint_mut(ranges).expect("parameters lie apart")
    }

    /// The sum of all dense gradients, after [`Lane::settle`].
    pub fn values(&self) -> &[f32] {
        &self.dense
    }

    /// The sum of all dense gradients, to be replaced by one that was computed elsewhere.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.dense
    }

    /// Zeroes what no shard touched; the end of the lane's part of a step.
    pub fn settle(&mut self, weights: &Weights) {
        for ((param, fresh), postponed) in weights.params.iter().zip(&self.fresh).zip(&self.postponed) {
            if *fresh && !postponed {
                self.dense[param.range.clone()].fill(0.0);
            }
        }
    }
}
