//! What a plan says that a run needs, beside what it holds at most: each line of the plan, where it is nearly
//! all of it. Each run has a process of its own, whose peak the system tells (Linux; elsewhere nothing is
//! measured).
use dlrm_engine::RunRequest;
use dlrm_engine::compare::{CompareObserver, CompareRequest};
use dlrm_engine::observer::Observer;
use dlrm_engine::plan::Plan;
use dlrm_engine::request::{InputRequest, LabelRequest};
use dlrm_engine::run::RunObserver;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Says which run the process is to make.
const CASE: &str = "DLRM_MEMORY_CASE";

struct Case {
    name: &'static str,
    /// The large column.
    column: &'static str,
    settings: &'static [&'static str],
    /// Models that are compared; none for a run.
    models: &'static [&'static str],
    /// Rows, each with a value of its own in `id`.
    rows: usize,
    /// The least share of the plan that is held.
    least: f64,
}

/// 64 MB of numbers in a table of hashed ids, of which a run touches few.
const HASHED: &str = "{ name = \"id\", encoding = { kind = \"hash\", buckets = 1000000 } }";
const VOCABULARY: &str = "{ name = \"id\", encoding = { kind = \"vocabulary\" } }";

const CASES: [Case; 6] = [
    Case {
        name: "tables",
        column: HASHED,
        settings: &["model.kind=mf", "train.table_optimizer={ kind = \"sgd\", lr = 0.1 }"],
        models: &[],
        rows: 2000,
        least: 0.85,
    },
    Case {
        name: "optimiser state",
        column: HASHED,
        settings: &["model.kind=mf", "train.table_optimizer={ kind = \"adam\", lr = 0.001 }"],
        models: &[],
        rows: 500,
        least: 0.85,
    },
    Case {
        name: "state of the linear part",
        column: HASHED,
        settings: &[
            "model.kind=mf",
            "train.linear_optimizer={ kind = \"ftrl\", lr = 0.1 }",
            "train.table_optimizer={ kind = \"adagrad\", lr = 0.1, initial_accumulator = 0.1 }",
        ],
        models: &[],
        rows: 500,
        least: 0.85,
    },
    Case {
        name: "vocabularies",
        column: VOCABULARY,
        settings: &["model.kind=lr", "train.solver=steps"],
        models: &[],
        rows: 1_300_000,
        least: 0.85,
    },
    Case {
        name: "regression",
        column: "{ name = \"id\", encoding = { kind = \"hash\", buckets = 500000 } }",
        settings: &["model.kind=lr", "train.solver=lbfgs"],
        models: &[],
        rows: 6000,
        // L-BFGS remembers ten steps where it takes as many, and these rows take fewer.
        least: 0.35,
    },
    Case {
        name: "compare",
        column: "{ name = \"id\", encoding = { kind = \"hash\", buckets = 2000000 } }",
        settings: &["train.table_optimizer={ kind = \"sgd\", lr = 0.1 }"],
        models: &["fm", "mf"],
        rows: 2000,
        least: 0.85,
    },
];

/// Bytes of the line of the process's status that begins with `name`.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).map_or(0, |kb| kb.parse::<u64>().expect("a number") * 1024)
}

fn clicks(rows: usize) -> String {
    let mut text = "click,id,other\n".to_owned();
    for row in 0..rows {
        writeln!(text, "{},v{:08},w{}", u8::from(row % 3 == 0), row * 7919 % 100_000_000, row % 5)
            .expect("text");
    }
    text
}

#[derive(Default)]
struct Planned(Option<Plan>);

impl Observer for Planned {}

impl RunObserver for Planned {
    fn planned(&mut self, plan: &Plan) {
        self.0 = Some(plan.clone());
    }
}

struct Quiet;

impl Observer for Quiet {}
impl CompareObserver for Quiet {}

fn request(dir: &Path, case: &Case) -> RunRequest {
    let settings = case.settings.iter().map(|s| (*s).to_owned());
    let usual = [
        "train.max_steps=3",
        "train.evaluate_every=1",
        "train.batch_size=64",
        "calibration=none",
        "train.linear_start=model",
        "data.baseline=mean",
    ];
    RunRequest {
        input: InputRequest { paths: vec![dir.join("clicks.csv")], ..InputRequest::default() },
        schema: Some(dir.join("schema.toml")),
        label: LabelRequest::default(),
        settings: usual.into_iter().map(str::to_owned).chain(settings).collect(),
        ..RunRequest::default()
    }
}

/// Makes the run of a case in `dir`; bytes planned.
fn planned(dir: &Path, case: &Case) -> u64 {
    let request = request(dir, case);
    if case.models.is_empty() {
        let mut planned = Planned::default();
        let _ = request.resolve().expect("a run").0.execute(&mut planned).expect("an outcome");
        return planned.0.expect("a plan").memory_bytes();
    }
    let models = case.models.iter().map(|&kind| kind.to_owned()).collect();
    let request = CompareRequest { common: request, models, seeds: 2, ..CompareRequest::default() };
    let compared = request.resolve().expect("a comparison").0.execute(&mut Quiet).expect("an outcome");
    // One model is trained after the other, and of each the best weights so far are kept besides.
    let of = |model: &dlrm_engine::compare::Measured| {
        let one = model.memory_bytes;
        one + 4 * (model.table_parameters + 3 * model.dense_parameters)
    };
    compared.models.iter().map(of).max().expect("a model")
}

/// Not a test by itself: the run of [`peaks_are_those_of_the_plan`] in a process of its own.
#[test]
fn one_run() {
    let Ok(given) = std::env::var(CASE) else { return };
    let (name, dir) = given.split_once('=').expect("case and directory");
    let case = CASES.iter().find(|case| case.name == name).expect("a case");
    let before = status("VmRSS:");
    let planned = planned(Path::new(dir), case);
    println!("measured {planned} {}", status("VmHWM:") - before);
}

#[test]
fn peaks_are_those_of_the_plan() {
    if status("VmHWM:") == 0 {
        println!("skipped: the system does not tell how much memory a process has held");
        return;
    }
    for case in &CASES {
        let dir = tempfile::tempdir().expect("a scratch directory");
        std::fs::write(dir.path().join("clicks.csv"), clicks(case.rows)).expect("a file");
        let schema = format!(
            "label = {{ column = \"click\" }}\ncategorical = [{}, {{ name = \"other\" }}]\n",
            case.column
        );
        std::fs::write(dir.path().join("schema.toml"), schema).expect("a file");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "one_run", "--nocapture", "--test-threads=1"]);
        command.env(CASE, format!("{}={}", case.name, dir.path().display()));
        let output = command.output().expect("this program");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find_map(|line| line.split_once("measured ").map(|(_, found)| found));
        let line = line
            .unwrap_or_else(|| panic!("{}: {said}\n{}", case.name, String::from_utf8_lossy(&output.stderr)));
        let found: Vec<f64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
        println!("{}: planned {:.1} MB, measured {:.1} MB", case.name, found[0] / 1e6, found[1] / 1e6);
        let share = found[1] / found[0];
        assert!((case.least..1.15).contains(&share), "{}: {share:.3} of {} planned", case.name, found[0]);
    }
}
