//! The rows that a trained model is asked about: files, standard input or a prepared data set.
use super::failure::{self, Failure};
use super::files::{Begun, Target};
use super::requests;
use super::scoring_args::{OutputArgs, RowArgs};
use super::session::Session;
use dlrm::data::Error;
use dlrm::data::parse::Labels;
use dlrm::data::prepared::Prepared;
use dlrm::data::readers::{Input, Stream};
use dlrm::data::rows::{OpenRows, StreamRows};
use dlrm::data::split::Part;
use dlrm::engine::{InputScorer, Predictor};
use std::path::{Path, PathBuf};

/// Rows scored at a time.
pub(super) const CHUNK: usize = 16_384;

/// Rows, and how they are read.
pub(super) enum RowsToScore {
    /// Of files.
    Files(Input),
    /// Of standard input, or of a pipe.
    Stream(Box<StreamRows>),
    /// Of a part of a prepared data set.
    Prepared(Box<Prepared>, Part),
}

impl RowsToScore {
    /// What was asked for; labels are needed where `labels` says so.
    pub(super) fn of(args: &RowArgs, predictor: &Predictor, labels: Labels) -> Result<Self, Failure> {
        if let [dir] = &args.paths[..]
            && Prepared::is_in(dir)
        {
            return prepared(args, dir);
        }
        if args.part.is_some() {
            let message = "--part: expected a prepared data set, found raw files, which have no parts";
            return Err(Failure::usage(message, "leave it out: all rows of the files are taken"));
        }
        let schema = predictor.encoder().schema();
        let needed: Vec<&str> = match labels {
            Labels::Ignored => schema.inputs(),
            // The time is read for splits only.
            _ => schema.columns().filter(|name| schema.time.as_deref() != Some(name)).collect(),
        };
        let (request, stored) = (requests::input(&args.input, &args.paths), &predictor.config().input);
        let Some(once) = args.paths.iter().find(|path| is_read_once(path)) else {
            return Ok(RowsToScore::Files(request.for_model(stored, &needed)?));
        };
        if args.paths.len() > 1 {
            let path = once.display();
            let message = format!("{path}: expected what can be read only once alone, found other files too");
            return Err(Failure::usage(
                message,
                "join them before (cat a.csv - | …), or name the files only",
            ));
        }
        let stream = if once == Path::new("-") {
            Stream::new("standard input", std::io::stdin())?
        } else {
            let file = std::fs::File::open(once).map_err(failure::io("open", once))?;
            Stream::new(&once.display().to_string(), file)?
        };
        let input = request.for_model_of_stream(stored, &needed, &stream)?;
        Ok(RowsToScore::Stream(Box::new(StreamRows { input, stream })))
    }

    /// Starts the pass over them.
    pub(super) fn scorer<'a>(
        &self,
        args: &RowArgs,
        predictor: &'a Predictor,
        labels: Labels,
    ) -> Result<InputScorer<'a>, Failure> {
        let most_bad = args.input.max_bad_rows.unwrap_or(0);
        Ok(match self {
            RowsToScore::Files(input) => InputScorer::open(predictor, input, labels, most_bad)?,
            RowsToScore::Stream(rows) => InputScorer::open(predictor, &**rows, labels, most_bad)?,
            RowsToScore::Prepared(set, part) => InputScorer::open_prepared(predictor, set, *part)?,
        })
    }

    /// How messages call them.
    pub(super) fn name(&self) -> String {
        match self {
            RowsToScore::Files(input) => input.name(),
            RowsToScore::Stream(rows) => rows.name(),
            RowsToScore::Prepared(set, part) => format!("{} rows of {}", part.name(), set.dir().display()),
        }
    }

    /// The files that are read.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        match self {
            RowsToScore::Files(input) => Ok(input.files()?),
            _ => Ok(Vec::new()),
        }
    }

    /// Begins the file of figures that was asked for, if one was: that a name is taken is found out before
    /// the work.
    pub(super) fn output<'a>(
        &self,
        session: &Session,
        to: &'a OutputArgs,
    ) -> Result<Option<Begun<'a>>, Failure> {
        let Some(path) = &to.output else { return Ok(None) };
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if !ending.as_deref().is_some_and(|ending| ["json", "jsonl", "ndjson"].contains(&ending)) {
            let message = format!("-o: expected a file name that ends in .json, found {}", path.display());
            let hint = "figures are written as JSON; without -o they are text";
            return Err(Failure::usage(message, hint));
        }
        let target = Target { flag: "-o", path, overwrite: to.overwrite };
        target.begin(session, &self.files()?).map(Some)
    }

    /// The failure of an input without a row.
    pub(super) fn none(&self, columns: &[String]) -> Failure {
        Error::no_rows(self.name(), columns).into()
    }
}

/// Whether a path stands for standard input, a pipe (as of a shell's `<(…)`) or a device.
fn is_read_once(path: &Path) -> bool {
    let other = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    path == Path::new("-") || std::fs::metadata(path).is_ok_and(other)
}

fn prepared(args: &RowArgs, dir: &Path) -> Result<RowsToScore, Failure> {
    let input = &args.input;
    let given = [
        ("--format", input.format.is_some()),
        ("--delimiter", input.delimiter.is_some()),
        ("--columns", !input.columns.is_empty()),
        ("--header", input.header.is_some()),
        ("--quote", input.quote.is_some()),
        ("--trim", input.trim.is_some()),
        ("--max-bad-rows", input.max_bad_rows.is_some()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        let found = format!("the prepared data set {}, whose rows are read already", dir.display());
        return Err(Failure::usage(format!("{flag}: expected raw files, found {found}"), "leave it out"));
    }
    let name = args.part.as_deref().unwrap_or(Part::Test.name());
    let part = Part::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| {
        let message = format!("--part: expected train, validation or test, found \"{name}\"");
        Failure::usage(message, "leave it out for the test rows")
    })?;
    Ok(RowsToScore::Prepared(Box::new(Prepared::open(dir)?), part))
}
