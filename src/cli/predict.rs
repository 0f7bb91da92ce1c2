//! `dlrm predict`: one line per row, in order; a skipped malformed row leaves its line empty.
use super::args::PredictArgs;
use super::failure::{Failure, io};
use super::session::Session;
use super::{output, requests};
use dlrm::data::parse::Labels;
use dlrm::data::schema::Task;
use dlrm::engine::{Parallel, Predictor, Workspace, learner};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Rows scored at a time.
const CHUNK: usize = 16_384;

/// Runs the subcommand.
pub fn run(session: &Session, args: &PredictArgs) -> Result<(), Failure> {
    let (pool, mut workspace) = (learner::pool(session.threads)?, Workspace::new());
    let predictor = Predictor::load(&args.model, session.isa)?;
    let schema = predictor.encoder().schema();
    let needed: Vec<&str> = schema
        .dense
        .iter()
        .map(|c| c.name.as_str())
        .chain(schema.categorical.iter().map(|c| c.name.as_str()))
        .collect();
    let input = requests::input(&args.input, &args.paths).for_model(&predictor.config().input, &needed)?;
    let mut rows = predictor.open(&input, Labels::Ignored, args.input.max_bad_rows.unwrap_or(0))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let header = if predictor.task() == Task::Binary { "probability" } else { "rating" };
    let mut write = |text: String| out.write_all(text.as_bytes());
    let mut written = if session.json { Ok(()) } else { write(format!("{header}\n")) };
    loop {
        let scores = predictor.score(&mut rows, CHUNK, &mut workspace, Parallel::Pool(&pool))?;
        for (i, &skipped) in scores.skipped.iter().enumerate() {
            for _ in 0..skipped {
                written =
                    written.and_then(|()| write(if session.json { "null\n".into() } else { "\n".into() }));
            }
            if let Some(&logit) = scores.logits.get(i) {
                let prediction = predictor.prediction(logit);
                let line = if session.json {
                    format!("{{\"{header}\":{prediction},\"logit\":{logit}}}\n")
                } else {
                    format!("{prediction}\n")
                };
                written = written.and_then(|()| write(line));
            }
        }
        if written.is_err() || scores.logits.is_empty() {
            break;
        }
    }
    match written.and_then(|()| out.flush()) {
        // The reader of the pipe has seen enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
        other => other.map_err(io("write", Path::new("standard output")))?,
    }
    output::bad_rows(session, rows.bad(), rows.bad_rows());
    if rows.bad_rows() > 0 && !session.quiet {
        output::tell("note: the lines of these rows are empty");
    }
    Ok(())
}
