//! The pass that fits the encoder, with its counts on disk.
use super::ENCODER;
use super::preparation::{PassOf, Preparation, PrepareObserver, going_on};
use super::work::WorkDir;
use crate::dataset::{FitWatch, Fitting, Saving, Seen};
use crate::error::Result;
use crate::fit::{EncoderFit, SavedFit, VocabularySize};
use crate::pass::ResumePoint;
use crate::split::Assigner;
use crate::sum::{FileSum, sum_of};
use serde::{Deserialize, Serialize};

pub(super) const SEEN: &str = "seen.json";
const FITTING: &str = "fitting.json";
const COUNTS: &str = "counts";

/// What fitting has left in `.work`.
#[derive(Serialize, Deserialize)]
pub(super) struct Fit {
    pub seen: Seen,
    pub sizes: Vec<VocabularySize>,
    pub encoder: FileSum,
    /// Whether all rows have been seen; else they are while they are encoded, as nothing in their codes
    /// depends on others.
    pub is_whole: bool,
}

/// Where fitting stands.
#[derive(Serialize, Deserialize)]
struct FitPoint {
    fitting: Fitting,
    place: ResumePoint,
    fit: SavedFit,
}

/// Tells of fitting, and saves it from time to time.
struct Saver<'a> {
    observer: &'a mut dyn PrepareObserver,
    work: &'a WorkDir,
    every: u64,
    /// Rows read when it was saved last.
    saved: Option<u64>,
    /// The pass that is under way, and the rows of those before it.
    pass: PassOf,
    before: u64,
    /// Whether the next pass sees the same rows.
    same_rows: bool,
}

impl Saver<'_> {
    /// The pass that looks what the split must know is over.
    fn surveyed(&mut self, rows: u64) {
        if self.pass.number + 1 < self.pass.of {
            self.before = rows;
            self.pass =
                PassOf { number: self.pass.number + 1, rows: self.same_rows.then_some(rows), ..self.pass };
            self.observer.pass(self.pass);
        }
    }
}

impl FitWatch for Saver<'_> {
    fn rows(&mut self, rows: u64) -> Result<()> {
        going_on(self.observer.rows(rows - self.before))
    }

    fn point(
        &mut self,
        fit: &mut EncoderFit,
        fitting: &Fitting,
        at: &ResumePoint,
        saving: Saving,
    ) -> Result<()> {
        self.surveyed(fitting.read - fitting.seen.rows.values().sum::<u64>());
        if saving == Saving::WhenDue && self.saved.is_some_and(|saved| fitting.read < saved + self.every) {
            return Ok(());
        }
        self.saved = Some(fitting.read);
        let Some(fit) = fit.save()? else { return Ok(()) };
        self.work.store(FITTING, &FitPoint { fitting: fitting.clone(), place: at.clone(), fit })
    }
}

impl Preparation<'_> {
    /// Fits the encoder, or finds it fitted.
    pub(super) fn fit(&self, work: &WorkDir, observer: &mut dyn PrepareObserver) -> Result<Fit> {
        if let Some(fit) = work.stored::<Fit>(SEEN)
            && sum_of(&work.join(ENCODER)).is_ok_and(|sum| sum == fit.encoder)
        {
            return Ok(fit);
        }
        if let Some(assigner) = self.sources.known_before(self.schema)? {
            return self.unfitted(work, assigner);
        }
        observer.stage("fitting the encoder");
        let (mut fit, from) = self.begun(work)?;
        let saved = from.as_ref().map(|(fitting, _)| fitting.read);
        let pass = PassOf { number: 1, of: self.passes_to_fit() + 1, rows: None };
        let same_rows = self.sources.validation.is_none() && self.sources.test.is_none();
        let every = self.limits.save_rows;
        let mut saver = Saver { observer, work, every, saved, pass, before: 0, same_rows };
        saver.observer.pass(pass);
        if let Some((fitting, _)) = &from {
            saver.surveyed(fitting.read - fitting.seen.rows.values().sum::<u64>());
        }
        let seen = self.sources.observe(self.schema, &mut fit, from, &mut saver)?;
        let encoder = work.join(ENCODER);
        let sizes = fit.finish_to(&encoder)?;
        let fit = Fit { seen, sizes, encoder: sum_of(&encoder)?, is_whole: true };
        work.store(SEEN, &fit)?;
        crate::durable::remove_directory(&work.join(COUNTS))?;
        Ok(fit)
    }

    /// Passes before the rows are encoded.
    pub(super) fn passes_to_fit(&self) -> usize {
        1 + usize::from(self.sources.split.needs_survey())
    }

    /// The encoder of a schema that needs no rows; these are seen while they are encoded.
    fn unfitted(&self, work: &WorkDir, assigner: Assigner) -> Result<Fit> {
        let encoder = work.join(ENCODER);
        let sizes = EncoderFit::new(self.schema).finish_to(&encoder)?;
        let seen = Fitting::new(assigner).seen;
        Ok(Fit { seen, sizes, encoder: sum_of(&encoder)?, is_whole: false })
    }

    /// Fitting as an earlier attempt has left it, or at its beginning.
    fn begun(&self, work: &WorkDir) -> Result<(EncoderFit, Option<(Fitting, ResumePoint)>)> {
        let counts = work.join(COUNTS);
        let most = self.limits.counts.map_or(usize::MAX, |limit| limit as usize);
        let begin = || EncoderFit::new(self.schema).with_spill(&counts, most);
        if let Some(FitPoint { fitting, place, fit: saved }) = work.stored(FITTING) {
            let mut fit = begin();
            if fit.restore(saved) {
                return Ok((fit, Some((fitting, place))));
            }
        }
        work.empty(COUNTS)?;
        Ok((begin(), None))
    }
}
