//! `dlrm demo`: simulated clicks, a DLRM and a logistic regression, and the best that any model could do.
use super::demo_args::DemoArgs;
use super::failure::{Failure, io};
use super::progress::Progress;
use super::session::Session;
use super::{output, train};
use dlrm::data::RowSource;
use dlrm::data::format;
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::Pooling;
use dlrm::data::split::Split;
use dlrm::engine::RunConfig;
use dlrm::engine::ranks::Ranks;
use dlrm::engine::rows::GivenRows;
use dlrm::engine::{Resources, Run, Start};
use dlrm::metrics::Metric;
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::report::summary::{self, Context};
use dlrm::report::{InputCard, Optimum, Report, kept, terminal};
use dlrm::synth::{Bayes, ClickConfig, ClickSimulator};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A range of simulated rows.
struct Simulated {
    simulator: Arc<ClickSimulator>,
    range: Range<u64>,
}

impl OpenRows for Simulated {
    fn open_rows(&self) -> dlrm::data::Result<Box<dyn RowSource>> {
        Ok(Box::new(self.simulator.rows(self.range.clone())))
    }

    fn name(&self) -> String {
        "simulated clicks".into()
    }
}

/// The demo's configuration.
fn config(args: &DemoArgs) -> RunConfig {
    let mut config = RunConfig { schema: Some(ClickSimulator::schema()), ..RunConfig::default() };
    config.data.split = Split::Random { validation: 0.0, test: 0.0, seed: args.seed };
    config.model = ModelConfig::Dlrm(DlrmConfig {
        embedding_dim: 8,
        bottom: vec![32],
        top: vec![64, 32],
        pooling: Pooling::Mean,
        ..DlrmConfig::default()
    });
    config.train.seed = args.seed;
    config.train.precision = args.precision;
    config.train.table_precision = args.table_precision;
    config.train.resolve(dlrm::data::schema::Task::Binary);
    config
}

/// The sample that is written beside the model, and its rows.
pub(super) const SAMPLE_FILE: &str = "sample.csv";
const SAMPLE: u64 = 10_000;

/// The simulated log, the last two tenths of which validate and test.
struct Log {
    simulator: Arc<ClickSimulator>,
    rows: u64,
}

impl Log {
    fn new(args: &DemoArgs) -> Self {
        let config = ClickConfig { rows: args.rows, seed: args.seed, ..ClickConfig::default() };
        Log { simulator: Arc::new(ClickSimulator::new(config)), rows: args.rows }
    }

    fn test(&self) -> Range<u64> {
        self.rows * 9 / 10..self.rows
    }

    fn given(&self) -> GivenRows {
        let part = |range| Arc::new(Simulated { simulator: self.simulator.clone(), range });
        let validation = self.rows * 8 / 10;
        GivenRows {
            main: part(0..validation),
            validation: Some(part(validation..self.test().start)),
            test: Some(part(self.test())),
        }
    }

    /// The best result that is possible on the test rows.
    fn best(&self) -> Bayes {
        let truth: Vec<f64> = self.test().map(|row| self.simulator.probability(row)).collect();
        Bayes::of(&truth)
    }

    /// The first test rows as CSV.
    fn sample(&self) -> Result<Vec<u8>, Failure> {
        let (mut text, Range { start, end }) = (Vec::new(), self.test());
        let written = self.simulator.write_csv(start..(start + SAMPLE).min(end), &mut text);
        written.map_err(io("write", Path::new(SAMPLE_FILE)))?;
        Ok(text)
    }
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &DemoArgs) -> Result<(), Failure> {
    let log = Log::new(args);
    // Its own directory holds nothing that cannot be made again; any other might.
    let (output, start) = match &args.output {
        Some(output) => (output.clone(), Start::Fresh),
        None => (PathBuf::from("runs/demo"), Start::Overwrite),
    };
    let resources = Resources { threads: session.threads, isa: session.isa, memory_limit: None };
    let run = Run {
        config: config(args),
        rows: Some(log.given()),
        out: Some(output.clone()),
        start,
        resources,
        ranks: Ranks::default(),
    };
    let mut progress = Progress::new(session, None);
    progress.line(&format!(
        "{} simulated rows, seed {}: the true click probability of each is known",
        format::count(args.rows),
        args.seed
    ));
    let mut outcome = run.execute(&mut progress)?;
    drop(progress);
    let best = log.best();
    let report = summary::report(&outcome, context(session, args, &best))?;
    kept::write(&mut outcome, &report)?;
    outcome.write(SAMPLE_FILE, &log.sample()?)?;
    outcome.finish()?;
    let sample = output.join(SAMPLE_FILE);
    output::print(&shown(session, &report, &best, (&output, &sample)))
}

/// What the report says beside the numbers of the run.
fn context(session: &Session, args: &DemoArgs, best: &Bayes) -> Context {
    let (name, format) = ("simulated clicks".to_owned(), "generated".to_owned());
    Context {
        title: "DLRM on simulated clicks".into(),
        inputs: vec![InputCard { name, format, rows: Some(args.rows), bytes: None }],
        run: train::run_card(session),
        optimum: Some(Optimum { log_loss: best.log_loss, auc: best.auc }),
        notes: Vec::new(),
    }
}

/// The result, for people or for machines.
fn shown(session: &Session, report: &Report, best: &Bayes, (out, sample): (&Path, &Path)) -> String {
    if session.json {
        let mut value = terminal::run_json(report, out);
        value["label_entropy"] = best.label_entropy.into();
        value["gap_closed"] = gap_closed(report, best.log_loss).into();
        return format!("{value}\n");
    }
    let mut text = terminal::run_text(report, out);
    text.push_str(&format!(
        "label entropy {:.5} (knowing the click rate alone), best possible {:.5}\n",
        best.label_entropy, best.log_loss
    ));
    let (out, sample) = (out.display(), sample.display());
    let mut next = vec![
        format!("show {out}"),
        format!("evaluate {out} {sample}"),
        format!("predict {out} {sample} > scores.csv"),
        format!("inspect {sample}"),
        format!("train {sample} --label click -o runs/mine"),
    ];
    if cfg!(feature = "serve") {
        next.push(format!("serve {out}   (a page at http://127.0.0.1:8000)"));
    }
    let mark = |(i, command): (usize, &String)| {
        format!(
            "{} dlrm \
        {command}\n",
            if i == 0 { "next:  " } else { "       " }
        )
    };
    text.extend(next.iter().enumerate().map(mark));
    text
}

/// Share of the log loss between logistic regression and the optimum that the model recovers.
fn gap_closed(report: &Report, best: f64) -> Option<f64> {
    let log_loss = |c: &dlrm::report::Candidate| Metric::LogLoss.of(&c.on(&report.verdict_part)?.metrics);
    let (model, linear) = (log_loss(&report.model)?, log_loss(report.baselines.first()?)?);
    Some((linear - model) / (linear - best))
}
