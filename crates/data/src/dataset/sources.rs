//! Raw rows of every part: surveyed, fitted, encoded and split, pass by pass.
use super::fitting::{FitWatch, Fitted, Fitting, Saving, Seen, Unwatched};
use super::{Dataset, PartStats, StoredRows};
use crate::batch::Batch;
use crate::encoded::{EncodedRows, Opened};
use crate::encoder::Encoder;
use crate::error::{BadRow, Error, Hint, Result, quoted};
use crate::fit::EncoderFit;
use crate::parse::Labels;
use crate::pass::{Block, Pass, PassInput, ResumePoint};
use crate::ranks::Ranks;
use crate::rows::{GoodRow, GoodRows, OpenRows};
use crate::schema::Schema;
use crate::split::{Assigner, Part, Parts, Shares, Split, Survey, cut_times};
use crate::stop::Stop;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where the rows of each part come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Split by `split`, unless further inputs are given.
    pub main: &'a dyn OpenRows,
    /// Explicit validation rows.
    pub validation: Option<&'a dyn OpenRows>,
    /// Explicit test rows.
    pub test: Option<&'a dyn OpenRows>,
    /// How the main input is split. With explicit test rows its test share trains instead, with
    /// explicit validation rows likewise.
    pub split: &'a Split,
    /// Malformed rows that each pass may skip.
    pub max_bad_rows: u64,
    /// Threads that read; no result depends on it.
    pub threads: usize,
    /// Whether to end a pass before the last row.
    pub stop: &'a Stop,
}

impl<'a> Sources<'a> {
    /// The rows of one input, none of them malformed, read by so many threads to the last one.
    pub fn of(main: &'a dyn OpenRows, split: &'a Split, threads: usize) -> Self {
        Sources { main, validation: None, test: None, split, max_bad_rows: 0, threads, stop: Stop::never() }
    }
}

/// The part of a row. What the split would give to a part that has explicit rows trains instead.
fn part_of(assigner: &Assigner, explicit: [bool; 2], row: u64, time: f64, fold: &str) -> Part {
    let part = assigner.part(row, time, fold);
    let given = match part {
        Part::Validation => explicit[0],
        Part::Test => explicit[1],
        Part::Train => false,
    };
    if given && !matches!(assigner, Assigner::All(_)) { Part::Train } else { part }
}

impl Sources<'_> {
    /// The parts of an input, one after another, with what decides each row's part.
    fn inputs(&self, assigner: &Assigner) -> Vec<(&dyn OpenRows, Assigner)> {
        let mut all = vec![(self.main, assigner.clone())];
        all.extend(self.validation.map(|rows| (rows, Assigner::All(Part::Validation))));
        all.extend(self.test.map(|rows| (rows, Assigner::All(Part::Test))));
        all
    }

    /// Whether validation and test rows are given by themselves.
    fn explicit(&self) -> [bool; 2] {
        [self.validation.is_some(), self.test.is_some()]
    }

    fn part(&self, assigner: &Assigner, row: u64, time: f64, fold: &str) -> Part {
        part_of(assigner, self.explicit(), row, time, fold)
    }

    /// Only a split by time reads times; explicit files need none.
    fn labels(&self, assigner: &Assigner) -> Labels {
        if matches!(assigner, Assigner::Time(..)) { Labels::WithTime } else { Labels::Required }
    }

    fn fold(&self) -> Option<&str> {
        match self.split {
            Split::Column { column, .. } => Some(column),
            _ => None,
        }
    }

    /// One pass over all inputs, from `from` on or from the beginning; `each` gets every good row, in blocks
    /// with the part of each, what `work` has made of them, and the point behind them. Returns the skipped
    /// rows.
    ///
    /// # Errors
    /// If reading or `each` fails.
    pub(crate) fn pass<W: Send>(
        &self,
        schema: &Schema,
        assigner: &Assigner,
        from: Option<ResumePoint>,
        work: &(dyn Fn(&Block) -> W + Sync),
        each: &mut (dyn FnMut(&Block, W, &ResumePoint) -> Result<()> + Send),
    ) -> Result<(u64, Vec<BadRow>)> {
        let assigned = self.inputs(assigner);
        let input = |(rows, assigner): &(_, Assigner)| PassInput {
            rows: *rows,
            labels: self.labels(assigner),
            fold: self.fold().filter(|_| !matches!(assigner, Assigner::All(_))),
        };
        let inputs: Vec<PassInput<'_>> = assigned.iter().map(input).collect();
        let mut part = |input: usize, number, row: &GoodRow, fold: &str| {
            self.part(&assigned[input].1, number, row.parsed.time, fold)
        };
        let from = from.unwrap_or_else(|| ResumePoint::start(self.max_bad_rows));
        Pass { inputs: &inputs, schema, threads: self.threads }.run(
            from,
            work,
            &mut part,
            &mut |block, made, place| {
                self.stop.check()?;
                each(block, made, place)
            },
        )
    }

    /// Surveys (where the split needs it) and fits the encoder, on the training rows alone.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows; if
    /// the split leaves no rows to train on.
    pub fn fit(&self, schema: &Schema) -> Result<Fitted> {
        let mut fit = EncoderFit::new(schema);
        let seen = self.observe(schema, &mut fit, None, &mut Unwatched)?;
        let counting = fit.counting_bytes();
        Ok(seen.fitted(Arc::new(fit.finish()?)).counted_in(counting))
    }

    /// Surveys (where the split needs it) and grows `base` by the values that are frequent enough in the
    /// training rows and new to it.
    ///
    /// # Errors
    /// As [`Sources::fit`], or if `base` was fitted for another schema or cannot grow.
    pub fn grow(&self, schema: &Schema, base: &Encoder) -> Result<Fitted> {
        base.check_growth(schema)?;
        let mut fit = EncoderFit::new(schema);
        let seen = self.observe(schema, &mut fit, None, &mut Unwatched)?;
        let counting = fit.counting_bytes() + base.vocabulary_bytes();
        Ok(seen.fitted(Arc::new(fit.grow(base)?)).counted_in(counting))
    }

    /// How rows are assigned and encoded, if that does not depend on any of them: by a schema without
    /// vocabularies and statistics, and a split that decides row by row.
    ///
    /// # Errors
    /// A split that contradicts itself.
    pub(crate) fn known_before(&self, schema: &Schema) -> Result<Option<Assigner>> {
        self.split.check()?;
        let is_known = !schema.needs_rows() && matches!(self.split, Split::Random { .. });
        Ok(is_known.then(|| Assigner::new(self.split, Survey::default())))
    }

    /// Shows the training rows to `fit`, from a point on that `watch` has been told of, or from the
    /// beginning.
    ///
    /// # Errors
    /// If reading or `watch` fails; a split without training rows.
    pub(crate) fn observe(
        &self,
        schema: &Schema,
        fit: &mut EncoderFit,
        from: Option<(Fitting, ResumePoint)>,
        watch: &mut dyn FitWatch,
    ) -> Result<Seen> {
        self.split.check()?;
        let (mut fitting, from) = match from {
            Some(from) => from,
            None => {
                let survey = self.survey(schema, watch)?;
                let read = survey.rows;
                let fitting = Fitting { read, ..Fitting::new(Assigner::new(self.split, survey)) };
                let start = ResumePoint::start(self.max_bad_rows);
                watch.point(fit, &fitting, &start, Saving::WhenDue)?;
                (fitting, start)
            }
        };
        let assigner = fitting.seen.assigner.clone();
        let (skipped, bad_rows) =
            self.pass(schema, &assigner, Some(from), &|_| (), &mut |block, (), point| {
                fitting.observe(schema, block, fit)?;
                let go_on = watch.rows(fitting.read);
                let saving = if go_on.is_ok() { Saving::WhenDue } else { Saving::Now };
                watch.point(fit, &fitting, point, saving)?;
                go_on
            })?;
        self.seen(fitting, skipped, bad_rows)
    }

    /// What a pass has seen that went to the end.
    ///
    /// # Errors
    /// A split without training rows, or by texts that no row holds.
    pub(crate) fn seen(&self, fitting: Fitting, skipped: u64, bad_rows: Vec<BadRow>) -> Result<Seen> {
        let Fitting { seen, folds, .. } = fitting;
        if seen.rows[Part::Train] == 0 {
            let error = Error::input(self.main.name(), "rows to train on", "none after the split");
            return Err(error.with_hint("lower the shares of validation and test, or split at random"));
        }
        if let Split::Column { column, validation, test } = self.split {
            self.check_folds(column, validation, test, &folds)?;
        }
        Ok(Seen { skipped, bad_rows, ..seen })
    }

    /// A text that is in no row was meant to be another one.
    fn check_folds(
        &self,
        column: &str,
        validation: &[String],
        test: &[String],
        found: &BTreeSet<String>,
    ) -> Result<()> {
        for (key, texts) in [("validation", validation), ("test", test)]
            .into_iter()
            .zip(self.explicit())
            .filter_map(|(t, e)| (!e).then_some(t))
        {
            if let Some(none) = texts.iter().find(|text| !found.contains(*text)) {
                let what = format!("data.split.{key}");
                let error = Error::input(
                    what,
                    format!("a text of column \"{column}\""),
                    format!("{}, which no row holds", quoted(none)),
                );
                return Err(
                    error.with_hint("folds are compared as text: write them as they stand in the file")
                );
            }
        }
        Ok(())
    }

    /// What the split must know of the rows.
    fn survey(&self, schema: &Schema, watch: &mut dyn FitWatch) -> Result<Survey> {
        if matches!(self.split, Split::Time { .. }) && schema.time.is_none() {
            return Err(Error::input(
                "data.split",
                "a `time` column in the schema for a split by time",
                "none",
            )
            .with_hint(
                "set `time = \"<column>\"` in the schema, or split by \"order\" if the rows are \
                    in time order",
            ));
        }
        let mut survey = Survey::default();
        if !self.split.needs_survey() {
            return Ok(survey);
        }
        let by_time = self.split.shares().filter(|_| matches!(self.split, Split::Time { .. }));
        let (mut times, mut file): (_, Arc<str>) = (Ranks::default(), "".into());
        self.over_main(schema, &mut |block| {
            // Rows of one file are together, so most have the same name in the same place.
            for (number, row) in (survey.rows..).zip(block.rows()) {
                if !Arc::ptr_eq(&file, &row.raw.file) && file != row.raw.file {
                    survey.last_file = number;
                }
                file = row.raw.file.clone();
                if by_time.is_some() {
                    times.add(row.parsed.time);
                }
            }
            survey.rows += block.rows().len() as u64;
            watch.rows(survey.rows)
        })?;
        if let Some(shares) = by_time {
            survey.cut_times = Some(self.cut_times(schema, shares, &times, watch)?);
        }
        Ok(survey)
    }

    /// The times at which the parts of a split by time begin. Where there are too many different times to
    /// be counted at once, further passes over the rows find them.
    fn cut_times(
        &self,
        schema: &Schema,
        shares: Shares,
        times: &Ranks,
        watch: &mut dyn FitWatch,
    ) -> Result<(f64, f64)> {
        if times.second().is_none() {
            let column = schema.time.as_deref().unwrap_or_default();
            let what = format!("time column \"{column}\"");
            let error = Error::input(what, "different times to split by", "the same in every row");
            return Err(error.with_hint("split at random, or by \"order\" if the rows are in time order"));
        }
        let cuts = cut_times(shares, times, |each| {
            let mut rows = 0;
            self.over_main(schema, &mut |block| {
                block.rows().iter().for_each(|row| each(row.parsed.time));
                rows += block.rows().len() as u64;
                watch.rows(rows)
            })
        })?;
        cuts.ok_or_else(|| {
            let error = Error::input(self.main.name(), "the same times in every pass", "others");
            error.with_hint("the files were changed meanwhile: start again")
        })
    }

    /// A pass over the rows that the split decides on, with their times where it needs them.
    fn over_main(&self, schema: &Schema, each: &mut (dyn FnMut(&Block) -> Result<()> + Send)) -> Result<()> {
        let by_time = matches!(self.split, Split::Time { .. });
        let labels = if by_time { Labels::WithTime } else { Labels::Required };
        let main = [PassInput { rows: self.main, labels, fold: None }];
        let mut part = |_, _, _: &GoodRow, _: &str| Part::Train;
        let pass = Pass { inputs: &main, schema, threads: self.threads };
        let from = ResumePoint::start(self.max_bad_rows);
        let mut each = |block: &Block, (), _: &ResumePoint| self.stop.check().and_then(|()| each(block));
        pass.run(from, &|_| (), &mut part, &mut each).map(drop)
    }

    /// Encodes the parts that `wanted` says, into memory.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows.
    pub fn encode(&self, fitted: &Fitted, wanted: impl Fn(Part) -> bool + Sync) -> Result<Dataset> {
        let (encoder, layout) = (&*fitted.encoder, fitted.encoder.layout());
        let mut data = Dataset {
            parts: Parts::from_fn(|_| Batch::new(&layout)),
            stats: Parts::from_fn(|_| PartStats { counts: encoder.counts(), ..PartStats::default() }),
        };
        for part in Part::ALL.into_iter().filter(|&p| wanted(p)) {
            data.parts[part].reserve(fitted.rows[part] as usize, layout.dense.len());
        }
        let (mut picks, arities) = (Vec::new(), encoder.arities());
        let work = |block: &Block| encoder.encode_block(block);
        self.pass(encoder.schema(), &fitted.assigner, None, &work, &mut |block, encoded, _| {
            for part in Part::ALL {
                let stats = &mut data.stats[part];
                block.pick(part, &mut picks);
                let rows = block.picked(&picks);
                rows.iter().for_each(|row| stats.add(row));
                if !wanted(part) {
                    if stats.text_hash == 0 {
                        // The same text under other names is something else.
                        stats.text_hash = block
                            .columns()
                            .iter()
                            .fold(1, |hash, name| xxh3_64_with_seed(name.as_bytes(), hash));
                    }
                    stats.text_hash = rows.iter().fold(stats.text_hash, |hash, row| row.raw.hash(hash));
                    continue;
                }
                let batch = &mut data.parts[part];
                batch.push_rows_of(&encoded, &picks, &arities);
                if batch.bags.iter().any(|bags| bags.ids.len() > u32::MAX as usize) {
                    return Err(Error::input(
                        self.main.name(),
                        "fewer than 2^32 values of a column in memory",
                        "more",
                    )
                    .with_hint(Hint::from("train with ").set("data.loading", "stream")));
                }
            }
            Ok(())
        })?;
        for (part, stats) in data.stats.iter_mut() {
            stats.counts = encoder.counts_of(&data.parts[part]);
        }
        Ok(data)
    }

    /// The first rows of a part as text, at most `most`.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows.
    pub fn sample(&self, fitted: &Fitted, wanted: Part, most: usize) -> Result<StoredRows> {
        let mut sample = StoredRows::default();
        for (input, assigner) in self.inputs(&fitted.assigner) {
            let fold = self.fold().filter(|_| !matches!(assigner, Assigner::All(_)));
            let mut rows =
                GoodRows::open(input, fitted.encoder.schema(), self.labels(&assigner), self.max_bad_rows)?
                    .with_fold(fold)?;
            let mut number = 0;
            while sample.rows.len() < most && rows.advance()? {
                if self.part(&assigner, number, rows.parsed().time, rows.fold()) == wanted {
                    sample.columns = rows.columns().to_vec();
                    sample.rows.push(rows.raw().fields().map(str::to_owned).collect());
                }
                number += 1;
            }
        }
        Ok(sample)
    }

    /// A pass over the encoded training rows, for streaming.
    ///
    /// # Errors
    /// If the input cannot be opened or lacks a column of the schema.
    pub fn stream(&self, fitted: &Fitted) -> Result<EncodedRows> {
        let assigner = fitted.assigner.clone();
        let source = self.main.open_rows()?;
        let opened = Opened {
            source: Mutex::new(Some(source)),
            name: self.main.name(),
            labels: self.labels(&assigner),
            fold: self.fold().map(str::to_owned),
        };
        let explicit = self.explicit();
        let part = move |row, time, fold: &str| part_of(&assigner, explicit, row, time, fold);
        EncodedRows::new(opened, fitted.encoder.clone(), Box::new(part), self.max_bad_rows, self.threads)
    }
}
