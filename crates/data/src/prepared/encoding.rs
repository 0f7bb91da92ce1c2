//! The rounds of encoding of a preparation, each a pass over all rows.
use super::ENCODER;
use super::fitting::{Fit, SEEN};
use super::preparation::{PassOf, Preparation, PrepareObserver, going_on};
use super::round::{self, Round};
use super::shards::{Done, SavedShards, Shards};
use super::work::WorkDir;
use crate::batch::Batch;
use crate::dataset::Fitting;
use crate::durable::remove_directory;
use crate::encoder::Encoder;
use crate::error::{BadRow, Error, Result};
use crate::fit::{EncoderFit, SavedFit};
use crate::pass::{Block, ResumePoint};
use crate::schema::Schema;
use crate::sum::sum_of;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a round stands.
#[derive(Serialize, Deserialize)]
enum RoundPoint {
    /// Some rows are encoded.
    Going(Going),
    /// All.
    Done(Done),
}

/// A round that was interrupted.
#[derive(Serialize, Deserialize)]
struct Going {
    /// Rows that are encoded.
    rows: u64,
    place: ResumePoint,
    shards: SavedShards,
    /// What has been seen of them, where no pass before has done that.
    seen: Option<Box<(Fitting, SavedFit)>>,
}

/// A round on its way.
struct Progress<'a> {
    encoder: &'a Encoder,
    shards: Shards<'a>,
    /// Sees the rows while they are encoded, where no pass before has done that.
    seeing: Option<(Fitting, EncoderFit)>,
    /// Rows that are encoded.
    rows: u64,
    /// Rows that were when it was saved last.
    saved: u64,
}

/// The rounds of a preparation in the directory `dir`.
pub(super) struct Encoding<'a> {
    pub preparation: &'a Preparation<'a>,
    pub dir: &'a Path,
    pub work: &'a WorkDir,
    pub rounds: &'a [Round],
}

impl Encoding<'_> {
    /// Does round `number`, or finds it done.
    pub(super) fn round(
        &self,
        number: usize,
        fit: &mut Fit,
        observer: &mut dyn PrepareObserver,
    ) -> Result<Done> {
        let into = self.directory(number);
        fs::create_dir_all(&into).map_err(Error::io("create", &into))?;
        let saved = match self.work.stored(&point_name(number)) {
            Some(RoundPoint::Done(done)) if done.is_in(&into) => return Ok(done),
            Some(RoundPoint::Going(going)) => Some(going),
            _ => None,
        };
        observer.stage(&self.stage(number));
        let fitted = if fit.is_whole { self.preparation.passes_to_fit() } else { 0 };
        let rows = fit.is_whole.then(|| fit.seen.rows.values().sum());
        observer.pass(PassOf { number: fitted + number + 1, of: fitted + self.rounds.len(), rows });
        let encoder = round::encoder(&self.work.join(ENCODER), &self.rounds[number], &fit.sizes)?;
        let earlier = number.checked_sub(1).map(|before| self.done(before)).transpose()?;
        let begin = || Progress {
            encoder: &encoder,
            shards: Shards::new(&encoder, self.preparation.limits, &into, earlier.as_ref()),
            seeing: (!fit.is_whole).then(|| self.unseen(fit)),
            rows: 0,
            saved: 0,
        };
        let (mut progress, mut from) = (begin(), None);
        if let Some(saved) = saved {
            from = progress.resume(self.work.path(), saved);
            if from.is_none() {
                progress = begin();
            }
        }
        let (skipped, bad_rows) = self.encode(number, &mut progress, &*fit, from, observer)?;
        if let Some(seeing) = progress.seeing {
            *fit = self.seen(seeing, skipped, bad_rows)?;
            self.work.store(SEEN, &*fit)?;
        }
        let done = progress.shards.finish()?;
        self.work.store(&point_name(number), &RoundPoint::Done(done.clone()))?;
        if let Some((before, _)) = &earlier {
            remove_directory(before)?;
        }
        Ok(done)
    }

    /// Encodes the rows behind `from`. The malformed rows of all.
    fn encode(
        &self,
        number: usize,
        progress: &mut Progress<'_>,
        fit: &Fit,
        from: Option<ResumePoint>,
        observer: &mut dyn PrepareObserver,
    ) -> Result<(u64, Vec<BadRow>)> {
        let Preparation { sources, schema, limits, .. } = *self.preparation;
        let (name, encoder) = (point_name(number), progress.encoder);
        let encode = |block: &Block| encoder.encode_block(block);
        sources.pass(schema, &fit.seen.assigner, from, &encode, &mut |block, encoded, point| {
            progress.push(schema, block, &encoded)?;
            let go_on = going_on(observer.rows(progress.rows));
            if go_on.is_err() || progress.rows >= progress.saved + limits.save_rows {
                let going = progress.save(self.work.path(), point)?;
                let begun: Vec<String> = going.shards.names().map(str::to_owned).collect();
                self.work.store(&name, &RoundPoint::Going(going))?;
                self.work.forget_begun(&begun)?;
            }
            go_on
        })
    }

    /// What sees rows that no pass has seen.
    fn unseen(&self, fit: &Fit) -> (Fitting, EncoderFit) {
        let rows = EncoderFit::new(self.preparation.schema).with_spill(self.work.path(), usize::MAX);
        (Fitting::new(fit.seen.assigner.clone()), rows)
    }

    /// The fit of rows that have been seen while they were encoded.
    fn seen(&self, seeing: (Fitting, EncoderFit), skipped: u64, bad_rows: Vec<BadRow>) -> Result<Fit> {
        let (fitting, rows) = seeing;
        let path = self.work.join(ENCODER);
        let sizes = rows.finish_to(&path)?;
        let seen = self.preparation.sources.seen(fitting, skipped, bad_rows)?;
        Ok(Fit { seen, sizes, encoder: sum_of(&path)?, is_whole: true })
    }

    /// The directory and the files of a round that is done.
    fn done(&self, number: usize) -> Result<(PathBuf, Done)> {
        match self.work.stored(&point_name(number)) {
            Some(RoundPoint::Done(done)) => Ok((self.directory(number), done)),
            _ => {
                let what = self.work.path().display().to_string();
                Err(Error::input(what, "the files of the round before", "none"))
            }
        }
    }

    /// Where a round puts its files: the last one where they stay.
    fn directory(&self, number: usize) -> PathBuf {
        let is_last = number + 1 == self.rounds.len();
        if is_last { self.dir.to_owned() } else { self.work.join(&format!("round-{number}")) }
    }

    fn stage(&self, number: usize) -> String {
        match self.rounds.len() {
            1 => "encoding".into(),
            rounds => format!("encoding (round {} of {rounds})", number + 1),
        }
    }
}

/// The file of `.work` that tells where a round stands.
fn point_name(number: usize) -> String {
    format!("round-{number}.json")
}

impl Progress<'_> {
    /// Goes to where `saved` stands; `None` if a part of it is not what it was, after which this is of no
    /// use.
    fn resume(&mut self, work: &Path, saved: Going) -> Option<ResumePoint> {
        if let Some((fitting, fit)) = &mut self.seeing {
            let (seen, rows) = *saved.seen?;
            *fitting = seen;
            if !fit.restore(rows) {
                return None;
            }
        }
        (self.rows, self.saved) = (saved.rows, saved.rows);
        self.shards.restore(work, saved.shards).then_some(saved.place)
    }

    /// Takes in a block of rows, which are encoded.
    fn push(&mut self, schema: &Schema, block: &Block, encoded: &Batch) -> Result<()> {
        self.shards.push(block, encoded)?;
        if let Some((fitting, fit)) = &mut self.seeing {
            fitting.observe(schema, block, fit)?;
        }
        self.rows += block.rows().len() as u64;
        Ok(())
    }

    /// What a later attempt resumes from, at `point`.
    fn save(&mut self, work: &Path, point: &ResumePoint) -> Result<Going> {
        self.saved = self.rows;
        let shards = self.shards.save(work, self.rows)?;
        let seen = match &mut self.seeing {
            Some((fitting, fit)) => fit.save()?.map(|fit| Box::new((fitting.clone(), fit))),
            None => None,
        };
        Ok(Going { rows: self.rows, place: point.clone(), shards, seen })
    }
}
