//! A pass over raw rows on several threads: each reads some rows in its turn, parses them and works on them
//! by itself, and hands over what came of it in the order of the rows. Rows stay with the core that read
//! them, which matters more than who waits for whom: to fetch a row from another core takes as long as to
//! read it.
use crate::error::{BadRow, Error, Result};
use crate::parse::{Labels, RowParser, TextPlace};
use crate::row::{RawRow, RowSource};
use crate::rows::{GoodRow, OpenRows, Picked, Skipped, read_row};
use crate::schema::Schema;
use crate::split::Part;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Rows that go together: enough lookups to wait for memory together, few enough to stay in the second-level
/// cache.
const ROWS: usize = 512;
/// Blocks that may wait for their turn, for each thread.
const WAITING: usize = 4;

/// One input of a pass.
pub(crate) struct PassInput<'a> {
    /// Its rows.
    pub rows: &'a dyn OpenRows,
    /// What is read of them.
    pub labels: Labels,
    /// Column of given folds.
    pub fold: Option<&'a str>,
}

/// Where a pass stands behind some block: enough for another pass to go on there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ResumePoint {
    read: ReadPlace,
    /// Good rows of the input so far.
    number: u64,
    /// Malformed rows of the input.
    skipped: Skipped,
    /// Malformed rows of the inputs before, and the number of them.
    bad: Vec<BadRow>,
    bad_rows: u64,
}

impl ResumePoint {
    /// The beginning, from where `most_bad` malformed rows of each input may be skipped.
    pub(crate) fn start(most_bad: u64) -> Self {
        ResumePoint { skipped: Skipped::new(most_bad), ..ResumePoint::default() }
    }
}

/// Where the reader of a pass stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ReadPlace {
    /// Number of the input.
    input: usize,
    /// The file of the last good row; empty before the first one.
    file: String,
    /// How often a row was asked for since that file's first good one, or since the beginning.
    asked: u64,
}

/// What blocks of the same input have in common.
#[derive(Default)]
struct Common {
    /// Number of the input.
    input: usize,
    name: String,
    parser: Option<RowParser>,
    fields: Vec<TextPlace>,
    columns: Vec<String>,
    fold: Option<usize>,
}

/// Some rows of a pass, in order.
#[derive(Default)]
pub(crate) struct Block {
    rows: Vec<GoodRow>,
    /// Raw rows at first, good ones in the end.
    len: usize,
    parts: Vec<Part>,
    /// Malformed rows, each with the number of the raw rows before it.
    bad: Vec<(usize, BadRow)>,
    /// What ends the pass behind these rows.
    fatal: Option<Error>,
    /// Where reading goes on.
    end: ReadPlace,
    common: Arc<Common>,
    /// Whether the input ends here.
    last: bool,
}

impl Block {
    pub(crate) fn rows(&self) -> &[GoodRow] {
        &self.rows[..self.len]
    }

    /// Part of each row; known only where blocks come in order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Names of the fields.
    pub(crate) fn columns(&self) -> &[String] {
        &self.common.columns
    }

    /// Text of the fold column of a row of these.
    pub(crate) fn fold<'r>(&self, row: &'r GoodRow) -> &'r str {
        self.common.fold.map_or("", |index| row.raw.field(index))
    }

    /// Refills `picks` with the numbers of the rows of `part`.
    pub(crate) fn pick(&self, part: Part, picks: &mut Vec<u32>) {
        picks.clear();
        picks.extend((0..).zip(&self.parts).filter(|&(_, &own)| own == part).map(|(number, _)| number));
    }

    pub(crate) fn picked<'a>(&'a self, picks: &'a [u32]) -> Picked<'a> {
        Picked { rows: &self.rows, picks, fields: &self.common.fields }
    }

    /// Parses the raw rows and keeps the good ones.
    fn parse(&mut self) {
        let (mut good, common) = (0, self.common.clone());
        let Some(parser) = &common.parser else { return };
        for raw in 0..self.len {
            match read_row(parser, common.columns.len(), &mut self.rows[raw]) {
                Ok(true) => {
                    self.rows.swap(good, raw);
                    good += 1;
                }
                Ok(false) => {}
                Err(Error::Row(mut bad)) => {
                    bad.keep(&self.rows[raw].raw.to_line());
                    self.bad.push((raw, *bad));
                }
                Err(other) => self.fatal = self.fatal.take().or(Some(other)),
            }
        }
        self.len = good;
        // What the reader found malformed stands before the row that it read next.
        self.bad.sort_by_key(|&(before, _)| before);
    }
}

/// The inputs, read one after another.
struct Reader<'a, 'i> {
    inputs: std::slice::Iter<'i, PassInput<'a>>,
    schema: &'i Schema,
    current: Option<(Box<dyn RowSource>, Arc<Common>)>,
    place: ReadPlace,
    /// The file of the place, as rows carry it.
    file: Arc<str>,
    blocks: u64,
    ended: bool,
}

impl Reader<'_, '_> {
    /// Refills `block`; its number, or `None` at the end.
    fn read(&mut self, block: &mut Block) -> Option<u64> {
        if self.ended {
            return None;
        }
        (block.len, block.last, block.fatal) = (0, false, None);
        block.bad.clear();
        if let Err(error) = self.fill(block) {
            block.fatal = Some(error);
        }
        block.end.clone_from(&self.place);
        self.ended |= block.fatal.is_some();
        if self.ended && block.fatal.is_none() && block.len == 0 && !block.last {
            return None;
        }
        self.blocks += 1;
        Some(self.blocks - 1)
    }

    fn fill(&mut self, block: &mut Block) -> Result<()> {
        if self.current.is_none() && !self.open()? {
            self.ended = true;
            return Ok(());
        }
        let (source, common) = self.current.as_mut().expect("an open input");
        block.common = common.clone();
        while block.len < ROWS {
            if block.rows.len() == block.len {
                block.rows.push(GoodRow::default());
            }
            let raw = &mut block.rows[block.len].raw;
            match source.next_row(raw) {
                Ok(true) => {
                    if !Arc::ptr_eq(&self.file, &raw.file) && self.place.file != *raw.file {
                        (self.place.file, self.place.asked) = (raw.file.to_string(), 0);
                    }
                    self.file.clone_from(&raw.file);
                    self.place.asked += 1;
                    block.len += 1;
                }
                Ok(false) => {
                    block.last = true;
                    self.current = None;
                    self.place = ReadPlace { input: self.place.input + 1, ..ReadPlace::default() };
                    break;
                }
                Err(Error::Row(mut bad)) => {
                    self.place.asked += 1;
                    bad.keep(&raw.to_line());
                    block.bad.push((block.len, *bad));
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<bool> {
        let Some(input) = self.inputs.next() else { return Ok(false) };
        let mut source = input.rows.open_rows_from(&self.place.file)?;
        skip(&mut *source, &self.place)?;
        let parser = RowParser::new(self.schema, source.columns(), input.labels, &input.rows.name())?;
        let common = Common {
            input: self.place.input,
            name: input.rows.name(),
            fields: parser.fields(),
            columns: source.columns().to_vec(),
            fold: input.fold.map(|name| crate::rows::fold_column(source.columns(), name)).transpose()?,
            parser: Some(parser),
        };
        self.current = Some((source, Arc::new(common)));
        Ok(true)
    }
}

/// Goes to `place` in a source that begins with its file or before it.
fn skip(source: &mut dyn RowSource, place: &ReadPlace) -> Result<()> {
    let (mut raw, mut asked) = (RawRow::default(), 0);
    let mut there = place.file.is_empty();
    while asked < place.asked {
        match source.next_row(&mut raw) {
            Ok(false) => break,
            Ok(true) => there |= *raw.file == *place.file,
            Err(Error::Row(_)) => {}
            Err(other) => return Err(other),
        }
        asked += u64::from(there);
    }
    Ok(())
}

/// What is done in the order of the rows.
struct Turn<'e, W> {
    next: u64,
    /// Blocks that are done before their turn: their threads go on to other ones.
    waiting: BTreeMap<u64, (Block, W)>,
    /// Memory for further blocks.
    free: Vec<Block>,
    place: ResumePoint,
    part: &'e mut PartOfRow<'e>,
    each: &'e mut EachBlock<'e, W>,
    failed: Option<Error>,
    stopped: bool,
}

impl<W> Turn<'_, W> {
    /// Takes in the blocks whose turn it is.
    fn go_on(&mut self) {
        while !self.stopped
            && let Some((mut block, work)) = self.waiting.remove(&self.next)
        {
            if let Err(error) = self.take(&mut block, work) {
                self.failed = Some(error);
                self.stopped = true;
            }
            self.next += 1;
            self.free.push(block);
        }
    }

    fn take(&mut self, block: &mut Block, work: W) -> Result<()> {
        let place = &mut self.place;
        block.bad.drain(..).try_for_each(|(_, bad)| place.skipped.skip(bad))?;
        let common = block.common.clone();
        block.parts.clear();
        for row in &block.rows[..block.len] {
            let fold = common.fold.map_or("", |index| row.raw.field(index));
            block.parts.push((self.part)(common.input, place.number, row, fold));
            place.number += 1;
        }
        place.read.clone_from(&block.end);
        if block.last {
            if place.number == 0 {
                return Err(Error::no_rows(common.name.clone(), &common.columns));
            }
            place.number = 0;
            let (bad, bad_rows) = place.skipped.next_input();
            place.bad.extend(bad);
            place.bad_rows += bad_rows;
        }
        if block.len > 0 {
            (self.each)(block, work, place)?;
        }
        block.fatal.take().map_or(Ok(()), Err)
    }
}

/// Ends the waiting of the others if this thread panics.
struct OnPanic<'a, 'e, W>(&'a Mutex<Turn<'e, W>>, &'a Condvar);

impl<W> Drop for OnPanic<'_, '_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(self.0).stopped = true;
            self.1.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panics ends the pass; nobody looks at what it left.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pass over inputs, one after another.
pub(crate) struct Pass<'a> {
    pub inputs: &'a [PassInput<'a>],
    pub schema: &'a Schema,
    /// Threads that read; no result depends on it.
    pub threads: usize,
}

/// Decides the part of each good row from (input, number in it, row, fold).
pub(crate) type PartOfRow<'e> = dyn FnMut(usize, u64, &GoodRow, &str) -> Part + Send + 'e;
/// Takes in a block with what was made of it and the point behind it.
pub(crate) type EachBlock<'e, W> = dyn FnMut(&Block, W, &ResumePoint) -> Result<()> + Send + 'e;

impl Pass<'_> {
    /// Runs the pass from `from` on. `work` is done for each block by itself; `part` and `each` see the
    /// blocks in order. Returns the number of malformed rows and the first of them, also those before `from`.
    ///
    /// # Errors
    /// If reading or `each` fails; an input without rows; too many malformed ones.
    pub(crate) fn run<W: Send>(
        &self,
        from: ResumePoint,
        work: &(dyn Fn(&Block) -> W + Sync),
        part: &mut PartOfRow<'_>,
        each: &mut EachBlock<'_, W>,
    ) -> Result<(u64, Vec<BadRow>)> {
        let reader = Mutex::new(self.reader(&from.read));
        let (waiting, free) = (BTreeMap::new(), Vec::new());
        let turn = Turn { next: 0, waiting, free, place: from, part, each, failed: None, stopped: false };
        let (turn, moved) = (Mutex::new(turn), Condvar::new());
        let worker = || {
            let _guard = OnPanic(&turn, &moved);
            let mut block = Block::default();
            loop {
                let Some(number) = lock(&reader).read(&mut block) else { return };
                block.parse();
                let made = work(&block);
                let mut turn = lock(&turn);
                while turn.waiting.len() >= WAITING * self.threads && turn.next != number && !turn.stopped {
                    turn = moved.wait(turn).unwrap_or_else(PoisonError::into_inner);
                }
                turn.waiting.insert(number, (std::mem::take(&mut block), made));
                turn.go_on();
                block = turn.free.pop().unwrap_or_default();
                let stopped = turn.stopped;
                drop(turn);
                moved.notify_all();
                if stopped {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            // Fewer do where the system has no more: no result depends on their number.
            (1..self.threads.max(1)).for_each(|_| drop(Builder::new().spawn_scoped(scope, worker)));
            worker();
        });
        let turn = turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        match turn.failed {
            Some(error) => Err(error),
            None => Ok((turn.place.bad_rows, turn.place.bad)),
        }
    }

    /// A reader that goes on at `place`.
    fn reader(&self, place: &ReadPlace) -> Reader<'_, '_> {
        Reader {
            inputs: self.inputs[place.input.min(self.inputs.len())..].iter(),
            schema: self.schema,
            current: None,
            place: place.clone(),
            file: Arc::from(place.file.as_str()),
            blocks: 0,
            ended: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::Input;

    #[test]
    fn a_pass_can_begin_at_any_place_of_another() {
        let dir = tempfile::tempdir().expect("a directory");
        // Files of many lengths; malformed rows stand at the start, at the end and within.
        for (file, rows) in [1usize, 700, 3, 1200, 511, 90].into_iter().enumerate() {
            let line = |row: usize| {
                if (row + 1).is_multiple_of(97) || row == 0 {
                    "1;2\n".to_owned()
                } else {
                    format!("1,{file}-{row}\n")
                }
            };
            let text: String = (0..=rows).map(line).collect();
            std::fs::write(dir.path().join(format!("{file}.csv")), format!("y,x\n{text}")).expect("written");
        }
        let input = Input::new([dir.path()]).resolve().expect("an input");
        let schema =
            Schema::from_toml("label = { column = \"y\" }\ncategorical = [{ name = \"x\" }]", "schema")
                .expect("a schema");
        let run = |place: ResumePoint| {
            let inputs = [(); 2].map(|()| PassInput { rows: &input, labels: Labels::Required, fold: None });
            let (mut rows, mut places) = (Vec::new(), Vec::new());
            let mut part = |input: usize, number: u64, _: &GoodRow, _: &str| {
                rows.push((input, number));
                Part::Train
            };
            let mut texts = Vec::new();
            let pass = Pass { inputs: &inputs, schema: &schema, threads: 2 };
            let bad = pass.run(place, &|_| (), &mut part, &mut |block, (), place| {
                texts.extend(block.rows().iter().map(|row| row.raw.to_line()));
                places.push((texts.len(), serde_json::to_string(place).expect("json")));
                Ok(())
            });
            let (skipped, bad) = bad.expect("a pass");
            (rows, texts, skipped, bad, places)
        };
        let (rows, texts, skipped, bad, places) = run(ResumePoint::start(1000));
        assert!(places.len() > 8 && skipped > 40, "{} {skipped}", places.len());
        for (done, place) in &places {
            let rest = run(serde_json::from_str(place).expect("a place"));
            assert_eq!((&rest.0[..], &rest.1[..]), (&rows[*done..], &texts[*done..]), "{place}");
            assert_eq!((rest.2, &rest.3), (skipped, &bad), "{place}");
        }
    }
}
