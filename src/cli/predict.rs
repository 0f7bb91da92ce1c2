//! `dlrm predict`: one line per row, in order; a skipped malformed row leaves its line empty.
use super::args::PredictArgs;
use super::failure::{Failure, io};
use super::session::Session;
use super::{memory, output, requests};
use dlrm::data::parse::Labels;
use dlrm::data::schema::Task;
use dlrm::engine::{InputScorer, Parallel, Predictor, Workspace, learner};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

/// Rows scored at a time.
const CHUNK: usize = 16_384;

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &PredictArgs) -> Result<(), Failure> {
    let (pool, mut workspace) = (learner::pool(session.threads)?, Workspace::new());
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let needed = predictor.encoder().schema().inputs();
    let input = requests::input(&args.input, &args.paths).for_model(&predictor.config().input, &needed)?;
    let max_bad_rows = args.input.max_bad_rows.unwrap_or(0);
    let mut scorer = InputScorer::open(&predictor, &input, Labels::Ignored, max_bad_rows)?;
    let mut lines = Lines {
        predictor: &predictor,
        header: if predictor.task() == Task::Binary { "probability" } else { "rating" },
        json: session.json,
        out: BufWriter::new(std::io::stdout().lock()),
    };
    // The column's name stays what programs look for; people are told what it is the probability of.
    if let Some(positive) = predictor.encoder().schema().label.says().filter(|_| !session.quiet) {
        output::tell(&format!("note: each line is the probability that {positive}"));
    }
    let mut written = lines.header();
    let mut logits = Vec::new();
    while written.is_ok() {
        scorer.score(CHUNK, &mut workspace, Parallel::Pool(&pool), &mut logits)?;
        written = lines.piece(&logits, scorer.skipped_before());
        if logits.is_empty() {
            break;
        }
    }
    match written.and_then(|()| lines.out.flush()) {
        // The reader of the pipe has seen enough.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
        other => other.map_err(io("write", Path::new("standard output")))?,
    }
    output::unknown_values(session, &predictor, scorer.rows().counts());
    output::bad_rows(session, scorer.bad(), scorer.bad_rows());
    if scorer.bad_rows() > 0 && !session.quiet {
        output::tell("note: the lines of these rows are empty");
    }
    Ok(())
}

/// The lines of the answer.
struct Lines<'a, W> {
    predictor: &'a Predictor,
    header: &'static str,
    json: bool,
    out: W,
}

impl<W: Write> Lines<'_, W> {
    fn header(&mut self) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(self.out, "{}", self.header) }
    }

    /// The lines of scored rows, and of malformed ones: so many before each, and after the last.
    fn piece(&mut self, logits: &[f32], skipped_before: &[u64]) -> io::Result<()> {
        for (i, &skipped) in skipped_before.iter().enumerate() {
            for _ in 0..skipped {
                self.out.write_all(if self.json { b"null\n" } else { b"\n" })?;
            }
            if let Some(&logit) = logits.get(i) {
                self.line(logit)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, logit: f32) -> io::Result<()> {
        let (header, prediction) = (self.header, self.predictor.prediction(logit));
        if self.json {
            writeln!(self.out, "{{\"{header}\":{prediction},\"logit\":{logit}}}")
        } else {
            writeln!(self.out, "{prediction}")
        }
    }
}
