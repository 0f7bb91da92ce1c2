//! A model with its weights, and its one forward pass: training, evaluation, prediction and later the server
//! all score through [`Network::logits`]'s tape, so a row gets the same bits everywhere.
use crate::error::Result;
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_models::{Model, ModelConfig};
use dlrm_nn::{Arena, Builder, Graph, Isa, Precision, TablePrecision, Tape, TapeTimes, Timing, Weights};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Rows that one worker scores at a time in inference: activations stay in the second-level cache.
const ROWS: usize = 128;

/// A model and its weights.
pub struct Network {
    model: Box<dyn Model>,
    weights: Weights,
    /// Memory of tapes that are not in use: fresh memory would cost a page fault for every 4 kB, in every step.
    arenas: Mutex<Vec<Arena>>,
    timing: Timing,
    /// What is added to logits when rows are scored.
    shift: f32,
}

impl Network {
    /// A freshly initialised network for data of this layout.
    ///
    /// # Errors
    /// If the model does not fit the layout.
    pub fn new(config: &ModelConfig, layout: &Layout, seed: u64, isa: Isa) -> Result<Self> {
        Network::with_tables(config, layout, TablePrecision::F32, seed, isa)
    }

    /// The same with tables kept in another form.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_tables(
        config: &ModelConfig,
        layout: &Layout,
        storage: TablePrecision,
        seed: u64,
        isa: Isa,
    ) -> Result<Self> {
        let mut builder = Builder::new(layout);
        let model = config.build(&mut builder)?;
        Ok(Network {
            model,
            weights: builder.finish(seed, isa, storage),
            arenas: Mutex::default(),
            timing: Timing::Off,
            shift: 0.0,
        })
    }

    /// The same with training steps that multiply in another precision. Scores stay the same bits.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Network { weights: self.weights.with_precision(precision), ..self }
    }

    /// The same with scores for all rows where training sees this share of the negative ones.
    #[must_use]
    pub fn with_negative_downsampling(self, rate: f64) -> Self {
        Network { shift: rate.ln() as f32, ..self }
    }

    /// The layers.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The weights, for loading and updating.
    pub fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    /// The operations of one row with their cost, recorded over `batch`.
    pub fn graph(&self, batch: &Batch) -> Graph {
        let mut arena = Arena::default();
        let mut tape = Tape::new(&self.weights, batch, 0..batch.len().min(1), &mut arena);
        self.model.forward(&mut tape);
        tape.graph()
    }

    /// Does `work` with the memory of a tape, which is kept for the next.
    pub fn with_arena<R>(&self, work: impl FnOnce(&mut Arena) -> R) -> R {
        // A panic elsewhere leaves nothing here that a tape would not overwrite.
        let arenas = || self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let mut arena = arenas().pop().unwrap_or_else(|| {
            let mut arena = Arena::default();
            arena.time(self.timing);
            arena
        });
        let done = work(&mut arena);
        arenas().push(arena);
        done
    }

    /// Takes the times of tapes' operations from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> TapeTimes {
        self.timing = timing;
        let mut total = TapeTimes::default();
        self.arenas
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
            .for_each(|arena| total.add(&arena.time(timing)));
        total
    }

    /// Logits of all rows of `batch`, on the current rayon pool.
    pub fn logits(&self, batch: &Batch) -> Vec<f32> {
        let mut logits = vec![0.0; batch.len()];
        let score = |(chunk, out): (usize, &mut [f32])| {
            let start = chunk * ROWS;
            self.with_arena(|arena| {
                let mut tape = Tape::new(&self.weights, batch, start..start + out.len(), arena);
                let output = self.model.forward(&mut tape);
                out.copy_from_slice(tape.value(output));
                if self.shift != 0.0 {
                    out.iter_mut().for_each(|logit| *logit += self.shift);
                }
            });
        };
        if logits.len() <= ROWS {
            // Another thread would take longer to wake than this takes.
            logits.chunks_mut(ROWS).enumerate().for_each(score);
        } else {
            logits.par_chunks_mut(ROWS).enumerate().for_each(score);
        }
        logits
    }
}
