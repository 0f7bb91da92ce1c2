//! `dlrm demo`: simulated clicks, a DLRM and a logistic regression, and the best that any model could do.
use super::args::DemoArgs;
use super::failure::Failure;
use super::progress::Progress;
use super::session::Session;
use super::{output, train};
use dlrm::data::RowSource;
use dlrm::data::rows::OpenRows;
use dlrm::data::schema::Pooling;
use dlrm::data::split::Split;
use dlrm::engine::RunConfig;
use dlrm::engine::rows::GivenRows;
use dlrm::engine::{Resources, Run, Start};
use dlrm::metrics::Metric;
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::report::summary::{self, Context};
use dlrm::report::{InputCard, Optimum, Report};
use dlrm::synth::{Bayes, ClickConfig, ClickSimulator};
use std::ops::Range;
use std::path::PathBuf;
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
    config.train.epochs = 6;
    config.train.seed = args.seed;
    config.train.precision = args.precision;
    config.train.table_precision = args.table_precision;
    config.train.resolve(dlrm::data::schema::Task::Binary);
    config
}

/// Runs the subcommand.
pub fn run(session: &Session, args: &DemoArgs) -> Result<(), Failure> {
    let simulator = Arc::new(ClickSimulator::new(ClickConfig {
        rows: args.rows,
        seed: args.seed,
        ..ClickConfig::default()
    }));
    let (validation, test) = (args.rows * 8 / 10, args.rows * 9 / 10);
    let part = |range| Arc::new(Simulated { simulator: simulator.clone(), range });
    let rows = GivenRows {
        main: part(0..validation),
        validation: Some(part(validation..test)),
        test: Some(part(test..args.rows)),
    };
    // Its own directory holds nothing that cannot be made again; any other might.
    let (output, start) = match &args.output {
        Some(output) => (output.clone(), Start::Fresh),
        None => (PathBuf::from("runs/demo"), Start::Overwrite),
    };
    let run = Run {
        config: config(args),
        rows: Some(rows),
        out: Some(output.clone()),
        start,
        resources: Resources { threads: session.threads, isa: session.isa, memory_limit: None },
    };
    let mut progress = Progress::new(session, run.config.train.epochs, run.config.train.batch_size);
    progress.line(&format!(
        "{} simulated rows, seed {}: the true click probability of each is known",
        output::count(args.rows),
        args.seed
    ));
    let mut outcome = run.execute(&mut progress)?;
    drop(progress);
    let truth: Vec<f64> = (test..args.rows).map(|r| simulator.probability(r)).collect();
    let best = Bayes::of(&truth);
    let context = Context {
        title: "DLRM on simulated clicks".into(),
        inputs: vec![InputCard {
            name: "simulated clicks".into(),
            format: "generated".into(),
            rows: Some(args.rows),
            bytes: None,
        }],
        run: train::run_card(session),
        optimum: Some(Optimum { log_loss: best.log_loss, auc: best.auc }),
        notes: Vec::new(),
    };
    let report = summary::report(&outcome, &run.config, context)?;
    train::save_report(&output, &report)?;
    outcome.finish()?;
    let sample = output.join("sample.csv");
    let mut file = std::fs::File::create(&sample).map_err(super::failure::io("create", &sample))?;
    simulator
        .write_csv(test..(test + 1000).min(args.rows), &mut file)
        .map_err(super::failure::io("write", &sample))?;
    let closed = gap_closed(&report, best.log_loss);
    if session.json {
        let mut value = train::json_summary(&report, &output);
        value["label_entropy"] = best.label_entropy.into();
        value["gap_closed"] = closed.into();
        return output::print(&format!("{value}\n"));
    }
    let mut text = train::text_summary(&report, &output);
    let entropy = format!(
        "label entropy {:.5} (knowing the click rate alone), best possible {:.5}\n",
        best.label_entropy, best.log_loss
    );
    text.push_str(&entropy);
    let (out, sample) = (output.display(), sample.display());
    text.push_str(&format!(
        "next:   dlrm show {out}\n        dlrm evaluate {out} {sample}\n        dlrm predict {out} {sample} > scores.csv\n        dlrm inspect {sample}\n        dlrm train {sample} --label click -o runs/mine\n"
    ));
    output::print(&text)
}

/// Share of the log loss between logistic regression and the optimum that the model recovers.
fn gap_closed(report: &Report, best: f64) -> Option<f64> {
    let log_loss = |c: &dlrm::report::Candidate| Metric::LogLoss.of(&c.on(&report.verdict_split)?.metrics);
    let (model, linear) = (log_loss(&report.model)?, log_loss(report.baselines.first()?)?);
    Some((linear - model) / (linear - best))
}
