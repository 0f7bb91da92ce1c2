//! `dlrm train`.
use super::args::TrainArgs;
use super::failure::{Failure, io};
use super::progress::Progress;
use super::session::Session;
use super::{flags, output, requests};
use dlrm::data::readers::Input;
use dlrm::data::rows::OpenRows;
use dlrm::engine::Note;
use dlrm::metrics::Metric;
use dlrm::report::summary::{self, Context};
use dlrm::report::{Fact, InputCard, Report, RunCard};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub fn run(session: &Session, args: &TrainArgs) -> Result<(), Failure> {
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/model"));
    let (run, notes) = requests::training(session, args, &out)?.resolve()?;
    let mut progress = Progress::new(session, run.config.train.epochs, run.config.train.batch_size);
    notes.iter().for_each(|note| progress.line(&format!("warning: {}", flags::in_text(&note.to_string()))));
    let mut outcome = run.execute(&mut progress)?;
    drop(progress);
    let (config, data) = (&run.config, &run.config.data);
    let more = [&data.validation, &data.test].map(|paths| config.input_of(paths));
    let context = Context {
        title: format!("{} on {}", config.model.kind().to_uppercase(), config.input.name()),
        inputs: std::iter::once(&config.input).chain(more.iter().flatten()).flat_map(input_cards).collect(),
        run: run_card(session),
        optimum: None,
        notes: notes.iter().map(Note::to_string).collect(),
    };
    let report = summary::report(&outcome, config, context)?;
    save_report(&out, &report)?;
    // Only now is the run safe without its checkpoints.
    outcome.finish()?;
    if session.json {
        return output::print(&format!("{}\n", json_summary(&report, &out)));
    }
    output::print(&text_summary(&report, &out))?;
    let example = config.input.paths.first().map_or_else(|| "more.csv".into(), |p| p.display().to_string());
    output::print(&format!(
        "next:   dlrm show {0}   dlrm evaluate {0} {example}   dlrm predict {0} {example} > scores.csv\n",
        out.display()
    ))
}

/// Command line, threads and versions for the report.
pub fn run_card(session: &Session) -> RunCard {
    let command: Vec<String> = std::env::args()
        .map(|arg| if arg.contains([' ', '>', '"']) { format!("'{arg}'") } else { arg })
        .collect();
    let fact = |name: &str, value: String| Fact { name: name.into(), value };
    RunCard {
        command: command.join(" "),
        threads: session.threads as u64,
        facts: vec![
            fact("dlrm", env!("CARGO_PKG_VERSION").into()),
            fact("instruction set", session.isa.level().name().into()),
            fact("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ],
        ..RunCard::default()
    }
}

fn input_cards(input: &Input) -> Vec<InputCard> {
    let files = input.files().unwrap_or_default();
    let card = |path: PathBuf| InputCard {
        name: path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        format: input.format.name().into(),
        rows: None,
        bytes: fs::metadata(&path).ok().map(|m| m.len()),
    };
    files.into_iter().map(card).collect()
}

/// Writes `report.html` and `report.json` beside the model.
pub fn save_report(out: &Path, report: &Report) -> Result<(), Failure> {
    for (name, text) in [("report.html", report.to_html()), ("report.json", report.to_json())] {
        let path = out.join(name);
        fs::write(&path, text).map_err(io("write", &path))?;
    }
    Ok(())
}

/// Verdict and table for people.
pub fn text_summary(report: &Report, out: &Path) -> String {
    let verdict = report.verdict();
    let mut text = format!("\n{}\n", verdict.headline);
    verdict.sentences.iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
    let split = &report.verdict_split;
    let metrics: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|m| report.model.on(split).is_some_and(|s| m.of(&s.metrics).is_some()))
        .collect();
    let mut header = vec![split.as_str()];
    header.extend(metrics.iter().map(|m| m.title()));
    header.push("parameters");
    let mut rows = Vec::new();
    for candidate in std::iter::once(&report.model).chain(&report.baselines) {
        let Some(found) = candidate.on(split) else { continue };
        let mut row = vec![candidate.name.clone()];
        row.extend(
            metrics.iter().map(|m| m.of(&found.metrics).map_or_else(|| "-".into(), |v| format!("{v:.5}"))),
        );
        row.push(candidate.parameters.map_or_else(String::new, output::count));
        rows.push(row);
    }
    if let Some(optimum) = &report.optimum {
        let mut row = vec!["best possible".to_owned()];
        row.extend(metrics.iter().map(|m| match m {
            Metric::LogLoss => format!("{:.5}", optimum.log_loss),
            Metric::Auc => format!("{:.5}", optimum.auc),
            _ => "-".into(),
        }));
        rows.push(row);
    }
    text.push_str(&format!("\n{}\n", output::table(&header, &rows)));
    report.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    if report.data.skipped_rows > 0 {
        let n = output::count(report.data.skipped_rows);
        text.push_str(&format!(
            "note: {n} malformed rows were skipped; they are listed in {}\n",
            out.join("bad_rows.txt").display()
        ));
    }
    text.push_str(&format!(
        "model:  {}\nreport: {}\n",
        out.join("model").display(),
        out.join("report.html").display()
    ));
    text
}

/// The same for machines.
pub fn json_summary(report: &Report, out: &Path) -> serde_json::Value {
    let candidate = |c: &dlrm::report::Candidate| serde_json::json!({"name": c.name, "parameters": c.parameters, "splits": c.splits});
    serde_json::json!({
        "model": out.join("model"),
        "report": out.join("report.html"),
        "verdict": report.verdict().headline,
        "candidates": std::iter::once(&report.model).chain(&report.baselines).map(candidate).collect::<Vec<_>>(),
        "comparisons": report.comparisons,
        "optimum": report.optimum,
        "skipped_rows": report.data.skipped_rows,
        "notes": report.notes,
        "stages": report.run.stages,
    })
}
