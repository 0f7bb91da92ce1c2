//! `dlrm compare`.
use super::args::CompareArgs;
use super::failure::{Failure, io};
use super::session::Session;
use super::{flags, memory, output, requests};
use dlrm::data::format::bytes;
use dlrm::data::rows::OpenRows;
use dlrm::engine::RunRequest;
use dlrm::engine::compare::{CompareObserver, CompareRequest, Compared, Diverged, Measured, SeedRun};
use dlrm::engine::observer::Observer;
use dlrm::metrics::Metric;
use dlrm::report::{compare_page, comparison};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs the subcommand.
pub fn run(session: &Session, args: &CompareArgs) -> Result<(), Failure> {
    let (compare, notes) = request(session, args)?.resolve()?;
    if !session.quiet {
        notes.iter().for_each(|note| {
            output::tell(&format!(
                "warning: \
            {}",
                flags::in_text(&note.to_string())
            ))
        });
    }
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/compare"));
    // Found out before the work, not after it.
    std::fs::create_dir_all(&out).map_err(io("create", &out))?;
    let runs = compare.entries.len() as u64 * args.seeds;
    let mut progress = Progress { quiet: session.quiet, stop: session.stop.clone(), runs, begun: 0 };
    let compared = compare.execute(&mut progress)?;
    let title = format!("{} models on {}", compare.entries.len(), compare.base.input.name());
    let command: Vec<String> = std::env::args().collect();
    let json = serde_json::to_string_pretty(&compared).expect("a comparison is plain data");
    save(&out, "compare.json", &json)?;
    save(&out, "compare.html", &compare_page(&compared, &title, &command.join(" ")))?;
    if session.json {
        return output::print(&format!("{json}\n"));
    }
    output::print(&text(&compared, &out))
}

fn request(session: &Session, args: &CompareArgs) -> Result<CompareRequest, Failure> {
    let common = RunRequest {
        epochs: args.epochs,
        resources: requests::resources(session, args.memory_limit.as_deref())?,
        ..requests::source(&args.source)
    };
    Ok(CompareRequest {
        common,
        configs: args.config.clone(),
        models: args.models.clone(),
        seeds: args.seeds,
    })
}

fn save(out: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = out.join(name);
    std::fs::write(&path, text).map_err(io("write", &path))
}

/// A line per run on standard error.
struct Progress {
    quiet: bool,
    stop: Arc<AtomicBool>,
    runs: u64,
    begun: u64,
}

impl Observer for Progress {
    fn should_stop(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl CompareObserver for Progress {
    fn run(&mut self, _: usize, name: &str, seed: u64) {
        self.begun += 1;
        memory::forget_peak();
        if !self.quiet {
            output::tell(&format!("[{}/{}] {name}, seed {seed} …", self.begun, self.runs));
        }
    }

    fn peak_bytes(&mut self) -> Option<u64> {
        memory::peak()
    }

    fn diverged(&mut self, run: &Diverged) {
        if !self.quiet {
            output::tell(&format!(
                "warning: {}, seed {}: diverged at step {}; the model is left out",
                run.name, run.seed, run.step
            ));
        }
    }

    fn done(&mut self, name: &str, run: &SeedRun) {
        if self.quiet {
            return;
        }
        let metrics = [Metric::NdcgAt10, Metric::HitRateAt10, Metric::Auc, Metric::LogLoss, Metric::Rmse]
            .into_iter()
            .filter_map(|m| Some(format!("{} {:.5}", m.title(), m.of(&run.test)?)));
        let metrics: Vec<String> = metrics.collect();
        output::tell(&format!(
            "       {name}: test {}, best after {} epochs, {:.1} s",
            metrics.join(", "),
            run.best_epoch,
            run.seconds
        ));
    }
}

/// Mean ± deviation.
fn spread(model: &Measured, metric: Metric) -> String {
    model.test(metric).map_or_else(|| "-".into(), |o| format!("{:.5} ± {:.5}", o.mean, o.sd))
}

/// A number in thousands, millions, …
fn short(x: f64) -> String {
    let units = ["", " k", " M", " G"];
    let (mut x, mut unit) = (x, 0);
    while x >= 999.5 && unit + 1 < units.len() {
        (x, unit) = (x / 1000.0, unit + 1);
    }
    if unit == 0 { format!("{x:.0}") } else { format!("{x:.1}{}", units[unit]) }
}

/// Table and verdict for people.
fn text(compared: &Compared, out: &Path) -> String {
    let metrics = compared.metrics();
    let mut header = vec!["model"];
    header.extend(metrics.iter().map(|m| m.title()));
    header.extend([
        "against the best (95 %)",
        "in tables",
        "outside",
        "mult-adds",
        "training",
        "rows/s",
        "scored/s",
        "memory",
        "peak",
        "s to best",
        "order",
        "unit",
    ]);
    let rows: Vec<Vec<String>> = compared
        .models
        .iter()
        .map(|m| {
            let mut row = vec![m.name.clone()];
            row.extend(metrics.iter().map(|&metric| spread(m, metric)));
            row.push(
                m.against_best.map_or_else(|| "best".into(), |i| format!("{:+.5} … {:+.5}", i.low, i.high)),
            );
            row.extend([m.table_parameters, m.dense_parameters].map(output::count));
            row.extend(
                [
                    m.forward_multiply_adds,
                    m.training_multiply_adds,
                    m.over(|r| r.rows_per_second).mean,
                    m.inference_rows_per_second,
                ]
                .map(short),
            );
            row.push(bytes(m.memory_bytes));
            row.push(m.peak_bytes().map_or_else(|| "-".into(), bytes));
            row.push(format!("{:.1}", m.over(|r| r.seconds_to_best).mean));
            row.extend([m.order.to_owned(), m.unit.to_owned()]);
            row
        })
        .collect();
    let [train, validation, test]: [String; 3] = compared.rows.map(output::count).into();
    let mut text = format!(
        "\n{train} training, {validation} validation, {test} test rows; {} seeds; test metrics as mean ± \
            deviation over seeds\n\n",
        compared.seeds
    );
    text.push_str(&output::table(&header, &rows));
    text.push('\n');
    comparison::verdict(compared).iter().for_each(|sentence| text.push_str(&format!("{sentence}\n")));
    text.push_str(&format!("\nreport: {}\n", out.join("compare.html").display()));
    text
}
