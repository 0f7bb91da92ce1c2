//! `dlrm predict`: one line per row, in order, on standard output or in a file; a skipped malformed row
//! leaves its line empty but for its ids.
use super::failure::{self, Failure, USAGE};
use super::files::Target;
use super::output;
use super::rows_to_score::{CHUNK, RowsToScore};
use super::scoring_args::PredictArgs;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::data::error::nearest;
use dlrm::data::parse::Labels;
use dlrm::data::schema::Task;
use dlrm::data::table::{self, Cell, Column, ColumnKind, TableFormat, TableWriter};
use dlrm::engine::{InputScorer, Parallel, Predictor, Workspace, learner};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &PredictArgs) -> Result<(), Failure> {
    let format = args.output.as_deref().map(table_format).transpose()?;
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let rows = RowsToScore::of(&args.rows, &predictor, Labels::Ignored)?;
    let scorer = rows.scorer(&args.rows, &predictor, Labels::Ignored)?;
    let ids = places(&args.id, &rows, scorer.columns())?;
    let format = format.unwrap_or(if session.json { TableFormat::JsonLines } else { TableFormat::Csv });
    let logits = args.logits || format == TableFormat::JsonLines;
    let columns = columns(&args.id, &predictor, logits)?;
    let scorer = scorer.keeping(ids.clone());
    // The column's name stays what programs look for; people are told what it is the probability of.
    if let Some(positive) = predictor.encoder().schema().label.says().filter(|_| !session.quiet) {
        output::tell(&format!("note: each line is the probability that {positive}"));
    }
    let mut scores = Scores { session, predictor: &predictor, scorer, ids, logits, bare: false, rows: 0 };
    let Some(path) = &args.output else {
        // Without ids a line is told by its place alone.
        scores.bare = args.id.is_empty();
        let place = Path::new("standard output");
        let out = output::rows();
        if scores.write(|| table::writer(format, out, columns), place)? {
            scores.tell_of_rows();
        }
        return Ok(());
    };
    let target = Target { flag: "-o", path, overwrite: args.overwrite };
    let mut file = target.begin(session, &rows.files()?)?;
    let out = Box::new(&mut file);
    scores.write(|| table::writer(format, out, columns), path)?;
    file.finish()?;
    scores.tell_of_rows();
    if session.json {
        let (rows, skipped) = (scores.rows, scores.scorer.bad_rows());
        // A path need not be text, which JSON is.
        let output = path.display().to_string();
        let value = serde_json::json!({"output": output, "rows": rows, "skipped_rows": skipped});
        return output::print(&format!("{value}\n"));
    }
    if !session.quiet {
        output::tell(&format!("{} rows scored: {}", output::count(scores.rows), path.display()));
    }
    Ok(())
}

/// The format that the ending of a file's name asks for.
fn table_format(path: &Path) -> Result<TableFormat, Failure> {
    if path == Path::new("-") {
        return Err(Failure::usage("-o: expected a file name, found -", "leave -o out for standard output"));
    }
    TableFormat::of_path(path).map_err(|error| Failure { code: USAGE, ..error.into() })
}

/// Places of the columns of ids among those of the rows.
fn places(ids: &[String], rows: &RowsToScore, columns: &[String]) -> Result<Vec<usize>, Failure> {
    let place = |id: &String| {
        if let RowsToScore::Prepared(..) = rows {
            let message = format!("--id: expected raw files, found {}, which have no text", rows.name());
            return Err(Failure::usage(
                message,
                "score the raw files, or leave --id out: rows keep their order",
            ));
        }
        columns.iter().position(|column| column == id).ok_or_else(|| {
            let message = format!("--id: expected a column of {}, found \"{id}\"", rows.name());
            let near = nearest(id, columns.iter().map(String::as_str));
            let hint = near.map(|near| format!("did you mean \"{near}\"?"));
            Failure::usage(message, hint.unwrap_or_else(|| format!("its columns are {}", columns.join(", "))))
        })
    };
    ids.iter().map(place).collect()
}

/// The columns of the answer.
fn columns(ids: &[String], predictor: &Predictor, logits: bool) -> Result<Vec<Column>, Failure> {
    let prediction = if predictor.task() == Task::Binary { "probability" } else { "rating" };
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    let mut columns: Vec<Column> = ids.iter().map(|id| column(id, ColumnKind::Text)).collect();
    columns.push(column(prediction, ColumnKind::Double));
    columns.extend(logits.then(|| column("logit", ColumnKind::Float)));
    for (place, Column { name, .. }) in columns.iter().enumerate() {
        if columns[..place].iter().any(|before| before.name == *name) {
            let message = format!("--id: expected columns of different names, found \"{name}\" twice");
            let hint = match ids.iter().filter(|id| *id == name).count() {
                1 => format!("{name} is what predictions are called: rename the column of the input"),
                _ => "name it once".to_owned(),
            };
            return Err(Failure::usage(message, hint));
        }
    }
    Ok(columns)
}

/// The rows with their scores.
struct Scores<'a> {
    session: &'a Session,
    predictor: &'a Predictor,
    scorer: InputScorer<'a>,
    /// Fields that stand before the scores.
    ids: Vec<usize>,
    logits: bool,
    /// Whether the line of a malformed row is empty, whatever the columns.
    bare: bool,
    /// Rows that were scored.
    rows: u64,
}

impl Scores<'_> {
    /// Writes all rows to the table in `place`; `false` if whoever reads them has seen enough.
    fn write<'w>(
        &mut self,
        open: impl FnOnce() -> io::Result<Box<dyn TableWriter + 'w>>,
        place: &Path,
    ) -> Result<bool, Failure> {
        let (pool, mut workspace) = (learner::pool(self.session.threads)?, Workspace::new());
        let mut logits = Vec::new();
        let mut table = match open() {
            Ok(table) => table,
            Err(error) => return closed(error, place),
        };
        while !self.scorer.is_done() {
            self.scorer.score(CHUNK, &mut workspace, Parallel::Pool(&pool), &mut logits)?;
            self.rows += logits.len() as u64;
            if let Err(error) = self.piece(&logits, &mut *table) {
                return closed(error, place);
            }
        }
        table.finish().map_or_else(|error| closed(error, place), |()| Ok(true))
    }

    /// The lines of scored rows, and of malformed ones: so many before each, and after the last.
    fn piece(&self, logits: &[f32], table: &mut dyn TableWriter) -> io::Result<()> {
        let (mut cells, mut malformed) = (Vec::new(), self.scorer.skipped_fields().iter());
        for (row, &skipped) in self.scorer.skipped_before().iter().enumerate() {
            for _ in 0..skipped {
                if self.bare {
                    table.empty_row()?;
                    continue;
                }
                cells.clear();
                cells.extend(malformed.next().into_iter().flatten().map(|text| id(text)));
                cells.extend([Cell::Missing, Cell::Missing].iter().take(1 + usize::from(self.logits)));
                table.row(&cells)?;
            }
            if let Some(&logit) = logits.get(row) {
                cells.clear();
                cells.extend(self.ids.iter().map(|&field| id(self.scorer.field(row, field))));
                cells.push(Cell::Double(self.predictor.prediction(logit)));
                cells.extend(self.logits.then_some(Cell::Float(logit)));
                table.row(&cells)?;
            }
        }
        Ok(())
    }

    /// What is to be said of values that the model does not know, and of malformed rows.
    fn tell_of_rows(&self) {
        output::unknown_values(self.session, self.predictor, self.scorer.counts());
        output::bad_rows(self.session, self.scorer.bad(), self.scorer.bad_rows());
        if self.scorer.bad_rows() > 0 && !self.session.quiet {
            let but = if self.ids.is_empty() { "" } else { " but for their ids" };
            output::tell(&format!("note: the lines of these rows are empty{but}"));
        }
    }
}

/// A field as a cell; an empty one is a missing value.
fn id(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Missing } else { Cell::Text(text) }
}

/// What a failing write ends in: nothing, if whoever reads has seen enough.
fn closed(error: io::Error, place: &Path) -> Result<bool, Failure> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(false) } else { Err(failure::io("write", place)(error)) }
}
