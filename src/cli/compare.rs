//! `dlrm compare`.
use super::args::{self, CompareArgs, TrainArgs};
use super::failure::{Failure, io};
use super::{Session, output, train};
use dlrm::data::dataset::Sources;
use dlrm::data::prepared::Prepared;
use dlrm::data::rows::OpenRows;
use dlrm::data::source::DataSource;
use dlrm::engine::RunConfig;
use dlrm::engine::compare::{Compare, CompareObserver, Compared, Diverged, Entry, Measured, SeedRun};
use dlrm::engine::plan::bytes;
use dlrm::engine::trainer::Observer;
use dlrm::metrics::Metric;
use dlrm::report::compare_page;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs the subcommand.
pub fn run(session: &Session, args: &CompareArgs) -> Result<(), Failure> {
    let (base, notes, entries) = entries(args)?;
    if !session.quiet {
        notes.iter().for_each(|note| output::tell(&format!("warning: {note}")));
    }
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/compare"));
    // Found out before the work, not after it.
    std::fs::create_dir_all(&out).map_err(io("create", &out))?;
    let memory_limit = match &args.memory_limit {
        Some(text) => Some(args::size(text)?),
        None => train::free_memory(),
    };
    let compare = Compare {
        base,
        entries,
        seeds: args.seeds,
        threads: session.threads,
        isa: session.isa,
        memory_limit,
    };
    let data = &compare.base.data;
    let (validation, test) = (compare.base.input_of(&data.validation), compare.base.input_of(&data.test));
    let sources = Sources {
        main: &compare.base.input,
        validation: validation.as_ref().map(|i| i as &dyn OpenRows),
        test: test.as_ref().map(|i| i as &dyn OpenRows),
        split: &data.split,
        max_bad_rows: data.max_bad_rows,
        threads: session.threads,
    };
    let runs = compare.entries.len() as u64 * args.seeds;
    let mut progress = Progress { quiet: session.quiet, stop: session.stop.clone(), runs, begun: 0 };
    let prepared = data.prepared.as_deref().map(Prepared::open).transpose()?;
    let source = prepared.as_ref().map_or(DataSource::Raw(&sources), DataSource::Prepared);
    let compared = compare.run(source, &mut progress)?;
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

fn save(out: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = out.join(name);
    std::fs::write(&path, text).map_err(io("write", &path))
}

/// The common configuration, what was noticed while it was made, and the models.
fn entries(args: &CompareArgs) -> Result<(RunConfig, Vec<String>, Vec<Entry>), Failure> {
    let configure = |config: Option<&PathBuf>| {
        train::fresh(&TrainArgs {
            source: args.source.clone(),
            config: config.cloned(),
            epochs: args.epochs,
            ..TrainArgs::default()
        })
    };
    let (base, notes) = configure(args.config.first())?;
    let mut entries = Vec::new();
    for path in &args.config {
        let (own, _) = configure(Some(path))?;
        let same = own.input == base.input && own.data == base.data && own.schema == base.schema;
        if !same {
            return Err(Failure::usage(
                format!(
                    "{}: expected the input, data and schema of {}, found others",
                    path.display(),
                    args.config[0].display()
                ),
                "let both files extend a common one (extends = \"data.toml\")",
            ));
        }
        // A single configuration with --models is the base of those.
        if args.models.is_empty() || args.config.len() > 1 {
            let name = path
                .file_stem()
                .map_or_else(|| own.model.kind().to_owned(), |stem| stem.to_string_lossy().into_owned());
            entries.push(Entry { name, model: own.model, train: own.train });
        }
    }
    for kind in &args.models {
        let model = if kind == base.model.kind() && args.config.len() == 1 {
            base.model.clone()
        } else {
            train::model_of_kind(kind, "--models")?
        };
        entries.push(Entry { name: kind.clone(), model, train: base.train.clone() });
    }
    if entries.is_empty() {
        return Err(Failure::usage(
            "nothing to compare",
            "name models with --models lr,fm,dlrm or recipes with --config",
        ));
    }
    Ok((base, notes, entries))
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
        forget_peak();
        if !self.quiet {
            output::tell(&format!("[{}/{}] {name}, seed {seed} …", self.begun, self.runs));
        }
    }

    fn peak_bytes(&mut self) -> Option<u64> {
        peak()
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

/// Lets the process's peak of memory start anew (Linux; elsewhere, or where it is forbidden, the peak stays that of the whole).
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that the process has held in bytes.
fn peak() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb * 1024)
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
    let [train, validation, test] = compared.rows.map(output::count);
    let mut text = format!(
        "\n{train} training, {validation} validation, {test} test rows; {} seeds; test metrics as mean ± deviation over seeds\n\n",
        compared.seeds
    );
    text.push_str(&output::table(&header, &rows));
    text.push('\n');
    compared.verdict().iter().for_each(|sentence| text.push_str(&format!("{sentence}\n")));
    text.push_str(&format!("\nreport: {}\n", out.join("compare.html").display()));
    text
}
