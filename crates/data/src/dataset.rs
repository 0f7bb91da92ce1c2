//! A data set in memory: surveyed, fitted on the training rows, encoded and split.
use crate::batch::Batch;
use crate::encoded::{EncodedRows, Opened};
use crate::encoder::{Encoder, ValueCounts};
use crate::error::{BadRow, Error, Hint, Result, quoted};
use crate::fit::EncoderFit;
use crate::parse::Labels;
use crate::pass::{Block, PassInput, Place, pass};
use crate::prepared::Sample;
use crate::rows::{GoodRow, GoodRows, OpenRows};
use crate::schema::Schema;
use crate::split::{Assigner, Part, Split, Survey};
use serde::{Deserialize, Serialize};
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
}

/// How the rows of a part looked to the encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartStats {
    /// Good rows.
    pub rows: u64,
    /// Sum of the labels, weighted where rows carry weights.
    pub label_sum: f64,
    /// Sum of the weights of the rows (their number where they carry none).
    pub weight_sum: f64,
    /// Per categorical column.
    pub counts: Vec<ValueCounts>,
    /// Hash of the rows' text, where they are not kept; else 0.
    pub text_hash: u64,
}

/// The fitted encoder and what fitting saw.
pub struct Fitted {
    /// The encoder.
    pub encoder: Arc<Encoder>,
    /// Rows of (train, validation, test).
    pub rows: [u64; 3],
    /// Ids of all rows, for estimates of memory.
    pub values: u64,
    /// Decides parts in later passes.
    assigner: Assigner,
    /// Number of malformed rows that were skipped.
    pub skipped: u64,
    /// The first of them.
    pub bad_rows: Vec<BadRow>,
}

/// What a pass over the rows for fitting has seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Rows of (train, validation, test).
    pub rows: [u64; 3],
    pub values: u64,
    pub assigner: Assigner,
    pub skipped: u64,
    pub bad_rows: Vec<BadRow>,
}

/// What fitting has seen so far, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fitting {
    pub seen: Seen,
    /// Texts of given folds.
    folds: BTreeSet<String>,
    /// Rows that have been read, all passes together.
    pub read: u64,
}

impl Fitting {
    /// Nothing seen yet.
    pub fn new(assigner: Assigner) -> Self {
        let seen = Seen { rows: [0; 3], values: 0, assigner, skipped: 0, bad_rows: Vec::new() };
        Fitting { seen, folds: BTreeSet::new(), read: 0 }
    }

    /// Takes in a block of rows, and shows those to `fit` that it is to see.
    ///
    /// # Errors
    /// As `fit`.
    pub fn observe(&mut self, schema: &Schema, block: &Block, fit: &mut EncoderFit) -> Result<()> {
        let Fitting { seen, folds, read } = self;
        let column = |name: &String| schema.categorical.iter().position(|c| c.name == *name);
        let crosses: Vec<Vec<usize>> =
            schema.crosses.iter().map(|x| x.columns.iter().filter_map(column).collect()).collect();
        for (row, &part) in block.rows().iter().zip(block.parts()) {
            seen.rows[part as usize] += 1;
            if part != Part::Train && !folds.contains(block.fold(row)) {
                folds.insert(block.fold(row).to_owned());
            }
            let of = |c: usize| row.parsed.values(c).len().max(1) as u64;
            seen.values += (0..schema.categorical.len()).map(of).sum::<u64>();
            seen.values +=
                crosses.iter().map(|columns| columns.iter().map(|&c| of(c)).product::<u64>()).sum::<u64>();
        }
        let mut picks = Vec::new();
        block.pick(Part::Train, &mut picks);
        fit.observe(block.picked(&picks))?;
        if fit.needs_all_rows() {
            picks.clear();
            picks.extend(0..block.rows().len() as u32);
            fit.observe_all(block.picked(&picks))?;
        }
        *read += block.rows().len() as u64;
        Ok(())
    }
}

/// What is told of fitting while it goes.
pub(crate) trait FitWatch: Send {
    /// So many rows have gone by, all passes together.
    fn rows(&mut self, rows: u64) -> Result<()>;
    /// A place to go on from, the last one where `ends` says so. What has been seen and where the pass stands belong together.
    fn place(&mut self, fit: &mut EncoderFit, fitting: &Fitting, place: &Place, ends: bool) -> Result<()>;
}

/// Fitting that nobody watches.
struct Unwatched;

impl FitWatch for Unwatched {
    fn rows(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn place(&mut self, _: &mut EncoderFit, _: &Fitting, _: &Place, _: bool) -> Result<()> {
        Ok(())
    }
}

impl Seen {
    /// With the encoder fitted on them.
    pub fn fitted(self, encoder: Arc<Encoder>) -> Fitted {
        let Seen { rows, values, assigner, skipped, bad_rows } = self;
        Fitted { encoder, rows, values, assigner, skipped, bad_rows }
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

impl Fitted {
    /// Bytes that the encoded rows will take in memory.
    pub fn encoded_bytes(&self) -> u64 {
        let layout = self.encoder.layout();
        let rows: u64 = self.rows.iter().sum();
        let weighted = layout.features.iter().any(|f| f.weighted);
        rows * 4 * (layout.dense.len() + layout.features.len() + 1) as u64
            + self.values * if weighted { 8 } else { 4 }
    }
}

/// The parts of an input, one after another, with what decides each row's part.
impl Sources<'_> {
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

    /// One pass over all inputs on this many threads, from `place` on or from the beginning; `each` gets every good row, in blocks
    /// with the part of each, what `work` has made of them, and the place behind them. Returns the skipped rows.
    ///
    /// # Errors
    /// As reading and `each`.
    pub(crate) fn pass<W: Send>(
        &self,
        schema: &Schema,
        assigner: &Assigner,
        place: Option<Place>,
        work: &(dyn Fn(&Block) -> W + Sync),
        each: &mut (dyn FnMut(&Block, W, &Place) -> Result<()> + Send),
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
        let place = place.unwrap_or_else(|| Place::start(self.max_bad_rows));
        pass(&inputs, schema, place, self.threads, work, &mut part, each)
    }

    /// Surveys (where the split needs it) and fits the encoder, on the training rows alone.
    ///
    /// # Errors
    /// As reading; a split without training rows.
    pub fn fit(&self, schema: &Schema) -> Result<Fitted> {
        let mut fit = EncoderFit::new(schema);
        let seen = self.observe(schema, &mut fit, None, &mut Unwatched)?;
        Ok(seen.fitted(Arc::new(fit.finish()?)))
    }

    /// How rows are assigned and encoded, if that does not depend on any of them: by a schema without vocabularies and statistics,
    /// and a split that decides row by row.
    ///
    /// # Errors
    /// A split that contradicts itself.
    pub(crate) fn known_before(&self, schema: &Schema) -> Result<Option<Assigner>> {
        self.split.check()?;
        let is_known = !schema.needs_rows() && matches!(self.split, Split::Random { .. });
        Ok(is_known.then(|| Assigner::new(self.split, Survey::default())))
    }

    /// Shows the training rows to `fit`, from a place on that `watch` has been told of, or from the beginning.
    ///
    /// # Errors
    /// As reading and `watch`; a split without training rows.
    pub(crate) fn observe(
        &self,
        schema: &Schema,
        fit: &mut EncoderFit,
        from: Option<(Fitting, Place)>,
        watch: &mut dyn FitWatch,
    ) -> Result<Seen> {
        self.split.check()?;
        let (mut fitting, place) = match from {
            Some(from) => from,
            None => {
                let survey = self.survey(schema, watch)?;
                let read = survey.rows;
                let fitting = Fitting { read, ..Fitting::new(Assigner::new(self.split, survey)) };
                let begun = (fitting, Place::start(self.max_bad_rows));
                watch.place(fit, &begun.0, &begun.1, false)?;
                begun
            }
        };
        let assigner = fitting.seen.assigner.clone();
        let (skipped, bad_rows) =
            self.pass(schema, &assigner, Some(place), &|_| (), &mut |block, (), place| {
                fitting.observe(schema, block, fit)?;
                let go_on = watch.rows(fitting.read);
                watch.place(fit, &fitting, place, go_on.is_err())?;
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
        if seen.rows[0] == 0 {
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
            return Err(Error::input("data.split", "a `time` column in the schema for a split by time", "none")
                .with_hint("set `time = \"<column>\"` in the schema, or split by \"order\" if the rows are in time order"));
        }
        let mut survey = Survey::default();
        if self.split.needs_survey() {
            let by_time = matches!(self.split, Split::Time { .. });
            let labels = if by_time { Labels::WithTime } else { Labels::Required };
            let main = [PassInput { rows: self.main, labels, fold: None }];
            let mut part = |_, _, _: &GoodRow, _: &str| Part::Train;
            let mut file: Arc<str> = "".into();
            pass(
                &main,
                schema,
                Place::start(self.max_bad_rows),
                self.threads,
                &|_| (),
                &mut part,
                &mut |block, (), _| {
                    // Rows of one file are together, so most have the same name in the same place.
                    for (number, row) in (survey.rows..).zip(block.rows()) {
                        if !Arc::ptr_eq(&file, &row.raw.file) && file != row.raw.file {
                            survey.last_file = number;
                        }
                        file = row.raw.file.clone();
                    }
                    survey.rows += block.rows().len() as u64;
                    if by_time {
                        survey.times.extend(block.rows().iter().map(|row| row.parsed.time));
                    }
                    watch.rows(survey.rows)
                },
            )?;
        }
        if let (Some(column), Some(&first)) = (&schema.time, survey.times.first())
            && survey.times.iter().all(|&time| time == first)
        {
            let error = Error::input(
                format!("time column \"{column}\""),
                "different times to split by",
                "the same in every row",
            );
            return Err(error.with_hint("split at random, or by \"order\" if the rows are in time order"));
        }
        Ok(survey)
    }

    /// Encodes the parts that `wanted` says, into memory.
    ///
    /// # Errors
    /// As reading.
    pub fn encode(&self, fitted: &Fitted, wanted: impl Fn(Part) -> bool + Sync) -> Result<Dataset> {
        let (encoder, layout) = (&*fitted.encoder, fitted.encoder.layout());
        let mut data = Dataset {
            parts: [0; 3].map(|_| Batch::new(&layout)),
            stats: [0; 3].map(|_| PartStats { counts: encoder.counts(), ..PartStats::default() }),
        };
        for part in Part::ALL.into_iter().filter(|&p| wanted(p)) {
            data.parts[part as usize].reserve(fitted.rows[part as usize] as usize, layout.dense.len());
        }
        let (mut picks, arities) = (Vec::new(), encoder.arities());
        let work = |block: &Block| encoder.encode_block(block);
        self.pass(encoder.schema(), &fitted.assigner, None, &work, &mut |block, encoded, _| {
            for part in Part::ALL {
                let stats = &mut data.stats[part as usize];
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
                let batch = &mut data.parts[part as usize];
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
        for (stats, batch) in data.stats.iter_mut().zip(&data.parts) {
            stats.counts = encoder.counts_of(batch);
        }
        Ok(data)
    }

    /// The first rows of a part as text, at most `most`.
    ///
    /// # Errors
    /// As reading.
    pub fn sample(&self, fitted: &Fitted, wanted: Part, most: usize) -> Result<Sample> {
        let mut sample = Sample::default();
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
    /// As opening the input.
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
        Ok(EncodedRows::new(opened, fitted.encoder.clone(), Box::new(part), self.max_bad_rows, self.threads))
    }
}

/// Encoded rows of (train, validation, test).
pub struct Dataset {
    /// The rows.
    pub parts: [Batch; 3],
    /// How they looked.
    pub stats: [PartStats; 3],
}

impl PartStats {
    /// Takes in a row but for its values.
    pub(crate) fn add(&mut self, row: &GoodRow) {
        let parsed = &row.parsed;
        self.rows += 1;
        self.label_sum += f64::from(parsed.weight) * f64::from(parsed.label);
        self.weight_sum += f64::from(parsed.weight);
    }

    /// Mean label, weighted where rows carry weights.
    pub fn mean_label(&self) -> f64 {
        if self.weight_sum > 0.0 { self.label_sum / self.weight_sum } else { 0.0 }
    }
}

impl Dataset {
    /// Rows of a part.
    pub fn part(&self, part: Part) -> &Batch {
        &self.parts[part as usize]
    }
}
