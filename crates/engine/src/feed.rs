//! Training rows for the trainer: from memory or from a stream, decoded ahead.
use crate::downsampling::NegativeDownsampling;
use crate::error::Result;
use crate::training_rows::TrainingRows;
use dlrm_data::batch::Layout;
use dlrm_data::batches::{MemoryBatches, Prefetch, StreamBatches};
use dlrm_data::dataset::Fitted;
use dlrm_data::negatives::{SampledBatches, Sampler};
use dlrm_data::prepared::Cache;
use dlrm_data::rng::Rng;
use dlrm_data::source::DataSource;
use dlrm_data::{Batch, BatchSource};
use std::sync::Arc;

/// Rows in memory, in a new order every epoch.
pub struct MemoryFeed {
    rows: Arc<Batch>,
    layout: Layout,
    batch_size: usize,
    seed: u64,
    sampler: Option<Arc<Sampler>>,
    without: Vec<usize>,
    current: Option<Prefetch>,
}

impl MemoryFeed {
    /// Over `rows` of this layout.
    pub fn new(rows: Arc<Batch>, layout: Layout, batch_size: usize, seed: u64) -> Self {
        MemoryFeed { rows, layout, batch_size, seed, sampler: None, without: Vec::new(), current: None }
    }

    /// Adds negatives, which a sampler over the same rows draws afresh in each epoch.
    #[must_use]
    pub fn with_negatives(self, sampler: Option<Arc<Sampler>>) -> Self {
        MemoryFeed { sampler, ..self }
    }

    /// Leaves the ids of these features out, unless negatives are drawn.
    #[must_use]
    pub fn without(self, features: Vec<usize>) -> Self {
        MemoryFeed { without: features, ..self }
    }
}

impl TrainingRows for MemoryFeed {
    fn start(&mut self, epoch: u64, skip: u64, _stop: &mut dyn FnMut() -> bool) -> Result<bool> {
        let (size, seed) = (self.batch_size, self.seed);
        let batches: Box<dyn BatchSource> = match &self.sampler {
            Some(sampler) => Box::new(SampledBatches::new(sampler.clone(), size, seed, epoch, skip)),
            None => {
                let batches = MemoryBatches::new(self.rows.clone(), size, seed, epoch, skip);
                Box::new(batches.without(&self.without))
            }
        };
        self.current = Some(Prefetch::new(batches, &self.layout)?);
        Ok(true)
    }

    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        Ok(self.current.as_mut().expect("an epoch has been started").next_batch(out)?)
    }

    fn batches(&self) -> Option<u64> {
        let rows = self.sampler.as_ref().map_or(self.rows.len(), |sampler| sampler.len());
        Some(rows.div_ceil(self.batch_size) as u64)
    }
}

/// Rows read anew every epoch, or from a cache after the first.
pub struct StreamFeed<'a> {
    source: DataSource<'a>,
    fitted: &'a Fitted,
    layout: Layout,
    batch_size: usize,
    window: usize,
    seed: u64,
    cache: Option<Cache>,
    downsampling: Option<NegativeDownsampling>,
    without: Vec<usize>,
    current: Option<Prefetch>,
}

impl<'a> StreamFeed<'a> {
    /// Over the training rows of `source`, shuffled in windows.
    pub fn new(
        source: DataSource<'a>,
        fitted: &'a Fitted,
        batch_size: usize,
        window: usize,
        seed: u64,
    ) -> Self {
        let layout = fitted.encoder.layout();
        StreamFeed {
            source,
            fitted,
            layout,
            batch_size,
            window,
            seed,
            cache: None,
            downsampling: None,
            without: Vec::new(),
            current: None,
        }
    }

    /// Keeps the rows in `cache` from the first whole epoch on; they and their order stay the same.
    #[must_use]
    pub fn with_cache(self, cache: Option<Cache>) -> Self {
        StreamFeed { cache, ..self }
    }

    /// Trains on a share of the negative rows only.
    #[must_use]
    pub fn with_negative_downsampling(self, downsampling: Option<NegativeDownsampling>) -> Self {
        StreamFeed { downsampling, ..self }
    }

    /// Leaves the ids of these features out.
    #[must_use]
    pub fn without(self, features: Vec<usize>) -> Self {
        StreamFeed { without: features, ..self }
    }
}

impl TrainingRows for StreamFeed<'_> {
    fn start(&mut self, epoch: u64, skip: u64, stop: &mut dyn FnMut() -> bool) -> Result<bool> {
        // An epoch that was left early must not write to the cache any longer.
        self.current = None;
        // A cache keeps all that is read.
        let unread = if self.cache.is_some() { &[][..] } else { &self.without };
        let source = Box::new(self.source.stream_without(self.fitted, unread)?);
        let rng = Rng::new(self.seed, epoch);
        let rows = match &self.cache {
            Some(cache) => cache.rows(source),
            None => source,
        };
        let rows = match self.downsampling {
            Some(downsampling) => downsampling.stream(rows, &self.layout),
            None => rows,
        };
        let batches = StreamBatches::new(rows, &self.layout, self.batch_size, self.window, rng);
        let mut batches = batches.without(self.without.clone());
        let mut dropped = Batch::new(&self.layout);
        for _ in 0..skip {
            if stop() {
                return Ok(false);
            }
            batches.next_batch(&mut dropped)?;
        }
        self.current = Some(Prefetch::new(Box::new(batches), &self.layout)?);
        Ok(true)
    }

    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        Ok(self.current.as_mut().expect("an epoch has been started").next_batch(out)?)
    }

    fn take_warning(&mut self) -> Option<String> {
        self.cache.as_ref().and_then(Cache::take_warning)
    }
}
