//! The encoded rows of a run, and batches of those to train on.
use crate::config::{Loading, RunConfig};
use crate::downsampling::NegativeDownsampling;
use crate::error::Result;
use crate::feed::{MemoryFeed, StreamFeed};
use crate::training_rows::TrainingRows;
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_data::batches::RowStream;
use dlrm_data::dataset::{Dataset, Fitted, PartStats};
use dlrm_data::negatives::Sampler;
use dlrm_data::prepared::Cache;
use dlrm_data::source::DataSource;
use dlrm_data::split::{Part, Parts};
use dlrm_nn::LocalTables;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Encoded rows, as all models of a run or a comparison see them.
pub(crate) struct EncodedParts<'a> {
    source: DataSource<'a>,
    fitted: &'a Fitted,
    config: &'a RunConfig,
    loading: Loading,
    pub(crate) layout: Layout,
    /// Rows of each part; those to train on are absent when streaming.
    pub(crate) parts: Parts<Arc<Batch>>,
    /// How they looked.
    pub(crate) stats: Parts<PartStats>,
    /// The rows in memory that are trained on: those of the part, or the share of them that downsampling
    /// keeps.
    pub(crate) train: Arc<Batch>,
    downsampling: Option<NegativeDownsampling>,
    sampler: Option<Arc<Sampler>>,
    cache: Option<Cache>,
}

impl<'a> EncodedParts<'a> {
    /// Encodes the rows of `source`.
    ///
    /// # Errors
    /// If they cannot be read, or no negatives can be drawn for them.
    pub(crate) fn encode(
        source: DataSource<'a>,
        fitted: &'a Fitted,
        config: &'a RunConfig,
        loading: Loading,
    ) -> Result<Self> {
        let streaming = loading == Loading::Stream;
        let Dataset { parts, stats } = source.encode(fitted, |part| !(streaming && part == Part::Train))?;
        let (parts, layout) = (parts.map(Arc::new), fitted.encoder.layout());
        let downsampling =
            NegativeDownsampling::new(config.data.negative_downsampling_rate, config.train.seed);
        let train = match downsampling {
            Some(downsampling) if !streaming => Arc::new(downsampling.apply(&parts[Part::Train], &layout)),
            _ => parts[Part::Train].clone(),
        };
        let sampler = match &config.data.negatives {
            Some(negatives) => Some(Arc::new(Sampler::new(parts[Part::Train].clone(), &layout, negatives)?)),
            None => None,
        };
        Ok(EncodedParts {
            source,
            fitted,
            config,
            loading,
            layout,
            parts,
            stats,
            train,
            downsampling,
            sampler,
            cache: None,
        })
    }

    /// Keeps the encoded rows of a stream in `cache` from the first whole epoch on.
    pub(crate) fn keep_in(&mut self, cache: Option<Cache>) {
        self.cache = cache;
    }

    /// Training rows in batches, in the order of `seed`; of features of which this rank holds no rows, ids
    /// may be left out.
    pub(crate) fn feed(
        &self,
        batch_size: usize,
        seed: u64,
        tables: &LocalTables,
    ) -> Box<dyn TrainingRows + '_> {
        let held = tables.features_of(tables.placement().rank);
        let without = (0..self.layout.features.len()).filter(|feature| !held.contains(feature)).collect();
        if self.is_streaming() {
            let window = self.config.data.shuffle_window;
            let feed = StreamFeed::new(self.source, self.fitted, batch_size, window, seed);
            let feed = feed.with_cache(self.cache.clone()).with_negative_downsampling(self.downsampling);
            Box::new(feed.without(without))
        } else {
            let feed = MemoryFeed::new(self.train.clone(), self.layout.clone(), batch_size, seed);
            Box::new(feed.with_negatives(self.sampler.clone()).without(without))
        }
    }

    /// A pass over the training rows, where they are not in memory.
    ///
    /// # Errors
    /// If the files cannot be opened.
    pub(crate) fn stream(&self) -> Result<Option<Box<dyn RowStream>>> {
        if !self.is_streaming() {
            return Ok(None);
        }
        let rows = Box::new(self.source.stream(self.fitted)?);
        Ok(Some(match self.downsampling {
            Some(downsampling) => downsampling.stream(rows, &self.layout),
            None => rows,
        }))
    }

    /// The validation rows, if there are any.
    pub(crate) fn validation(&self) -> Option<&Batch> {
        Some(&*self.parts[Part::Validation]).filter(|rows| !rows.is_empty())
    }

    /// Whether validation rows are trained on too where they have done their part: they are as the training
    /// rows are, and other rows tell what comes of it.
    pub(crate) fn refits(&self) -> bool {
        self.downsampling.is_none() && !self.parts[Part::Test].is_empty()
    }

    /// Mean label of the rows that are trained on, drawn negatives included.
    pub(crate) fn mean_label(&self) -> f64 {
        let stats = &self.stats[Part::Train];
        self.sampler.as_ref().map_or_else(|| stats.mean_label(), |sampler| sampler.mean_label())
    }

    /// Rows of an epoch, drawn negatives included.
    pub(crate) fn epoch_rows(&self) -> u64 {
        let own = if self.is_streaming() { self.stats[Part::Train].rows } else { self.train.len() as u64 };
        self.sampler.as_ref().map_or(own, |sampler| sampler.len() as u64)
    }

    /// A hash of the encoded rows (of what is known of them where they are streamed).
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Xxh3::new();
        for (part, stats) in self.parts.values().zip(self.stats.values()) {
            hash.update(&stats.rows.to_le_bytes());
            hash.update(&stats.label_sum.to_le_bytes());
            if stats.text_hash != 0 {
                hash.update(&stats.text_hash.to_le_bytes());
            }
            hash.update(bytemuck::cast_slice(&part.dense));
            hash.update(bytemuck::cast_slice(&part.labels));
            hash.update(bytemuck::cast_slice(part.weights.as_deref().unwrap_or_default()));
            hash.update(bytemuck::cast_slice(part.groups.as_deref().unwrap_or_default()));
            for bags in &part.bags {
                hash.update(bytemuck::cast_slice(&bags.ids));
                hash.update(bytemuck::cast_slice(&bags.offsets));
                hash.update(bytemuck::cast_slice(bags.weights.as_deref().unwrap_or_default()));
            }
        }
        format!("xxh3 {:016x}\n", hash.digest())
    }

    fn is_streaming(&self) -> bool {
        self.loading == Loading::Stream
    }
}
