//! Repository chores.
//!
//! `cargo xtask tidy [--crate NAME | PATH…]` checks the rules that the compiler does not. The others make
//! the tables of docs/ from the data sets in DIR: `results DIR` (recipes), `ratings DIR` (MovieLens
//! folds), `ncf DIR` (ranking), `comparisons DIR` (models on Adult and MovieLens 1M), `frappe DIR` (the
//! model family beside published results), `frappe-epochs DIR PYTHON` (seconds per epoch beside FuxiCTR).
//! `figure3` draws docs/figure3.svg; `section-5.1 DIR` repeats that section of the DLRM paper on rows
//! generated in DIR. `peers` trains and scores the same synthetic workloads here and with PyTorch, FBGEMM
//! and ONNX Runtime. `defaults` trains on tables that nobody tuned to, beside logistic regression and
//! LightGBM. `serving-peers` asks `dlrm serve`, MLServer and FastAPI the same of the same model. `faults
//! --minutes N` kills, starves and damages what the command does and has written. `soak` keeps a
//! server busy with good and bad clients while models take each other's place.
//!
//! Nothing of dlrm is linked, so that this builds in seconds: what needs a model runs the command.
#![forbid(unsafe_code)]

mod comparison;
mod defaults;
mod environment;
mod faults;
mod frappe;
mod ncf;
mod peers;
mod ratings;
mod results;
mod run;
mod section51;
mod serving;
mod soak;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "expected cargo xtask …
  tidy [--crate NAME | PATH…]
  results|ratings|ncf|comparisons DATA_DIR
  frappe DATA_DIR [COMPARED]
  frappe-epochs DATA_DIR PYTHON
  section-5.1 DIR [ROWS]
  figure3
  peers [FLAGS…]
  serving-peers [FLAGS…]
  defaults DATA_DIR [PYTHON] [FLAGS…]
  faults --minutes N
  soak [--minutes N] [MODEL OTHER]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["tidy", ref asked @ ..] => tidy::check(asked),
        ["results", data] => results::print(data),
        ["ratings", data] => ratings::print(data),
        ["ncf", data] => ncf::print(data),
        ["comparisons", data] => comparison::print(data),
        ["frappe-epochs", data, python] => frappe::epochs(data, python),
        ["section-5.1", dir] => section51::run(dir, section51::ROWS),
        ["section-5.1", dir, rows] => section51::run(dir, rows),
        ["figure3"] => run::example("dlrm-synth", "figure3", &["docs/figure3.svg"]),
        ["peers", ref flags @ ..] => peers::run(flags),
        ["serving-peers", ref flags @ ..] => serving::run(flags),
        ["faults", "--minutes", minutes] => faults::run(minutes),
        ["soak", ref args @ ..] => soak::run(args),
        ["defaults", ref args @ ..] => defaults::run(args),
        ["frappe", data] => frappe::print(data, None),
        ["frappe", data, compared] => frappe::print(data, Some(compared)),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
