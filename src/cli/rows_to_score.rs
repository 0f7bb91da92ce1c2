//! The rows that a trained model is asked about: files, standard input or a prepared data set.
use super::failure::Failure;
use super::scoring_args::{OutputArgs, RowArgs};
use super::session::Session;
use super::{output, requests};
use dlrm::data::Error;
use dlrm::data::new_file::NewFile;
use dlrm::data::parse::Labels;
use dlrm::data::prepared::Prepared;
use dlrm::data::readers::{Input, Stream};
use dlrm::data::rows::{OpenRows, StreamRows};
use dlrm::data::split::Part;
use dlrm::engine::{InputScorer, Predictor};
use std::path::Path;

/// Rows scored at a time.
pub(super) const CHUNK: usize = 16_384;

/// Rows, and how they are read.
pub(super) enum RowsToScore {
    /// Of files.
    Files(Input),
    /// Of standard input.
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
        if !args.paths.iter().any(|path| path == Path::new("-")) {
            return Ok(RowsToScore::Files(request.for_model(stored, &needed)?));
        }
        if args.paths.len() > 1 {
            let message = "-: expected standard input alone, found other files beside it";
            return Err(Failure::usage(
                message,
                "join them before (cat a.csv - | …), or name the files only",
            ));
        }
        let stream = Stream::new("standard input", std::io::stdin())?;
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

    /// Refuses an output that is one of the files.
    pub(super) fn check_output(&self, output: &Path) -> Result<(), Failure> {
        let RowsToScore::Files(input) = self else { return Ok(()) };
        let Ok(output) = std::fs::canonicalize(output) else { return Ok(()) };
        let is_output = |path: &Path| std::fs::canonicalize(path).is_ok_and(|path| path == output);
        match input.files()?.iter().find(|path| is_output(path)) {
            Some(file) => {
                let message = format!("-o: expected a file of its own, found {}, an input", file.display());
                Err(Failure::usage(message, "name another file: the rows would be lost"))
            }
            None => Ok(()),
        }
    }

    /// Begins the file of figures that was asked for, if one was: that a name is taken is found out before
    /// the work.
    pub(super) fn output(&self, session: &Session, to: &OutputArgs) -> Result<Option<NewFile>, Failure> {
        let Some(path) = &to.output else { return Ok(None) };
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if !ending.as_deref().is_some_and(|ending| ["json", "jsonl", "ndjson"].contains(&ending)) {
            let message = format!("-o: expected a file name that ends in .json, found {}", path.display());
            return Err(Failure::usage(
                message,
                "figures are written as JSON; leave -o out to see them as text",
            ));
        }
        self.check_output(path)?;
        output::create(session, path, to.overwrite).map(Some)
    }

    /// The failure of an input without a row.
    pub(super) fn none(&self, columns: &[String]) -> Failure {
        Error::no_rows(self.name(), columns).into()
    }
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
