//! Repository chores.
//!
//! `cargo xtask tidy` checks the rules that the compiler does not. The others make the tables of docs/results.md from the data
//! sets in DIR: `results DIR` (recipes), `ratings DIR` (MovieLens folds), `ncf DIR` (ranking), `comparisons DIR` (models on Adult and
//! MovieLens 1M), `frappe DIR` (the model family beside published results), `frappe-epochs DIR PYTHON` (seconds per epoch
//! beside FuxiCTR). `figure3` draws docs/figure3.svg; `section-5.1 DIR`
//! repeats that section of the DLRM paper on rows generated in DIR. `peers` trains and scores the same synthetic workloads here and with PyTorch, FBGEMM and ONNX Runtime.
#![forbid(unsafe_code)]

mod comparison;
mod figure3;
mod frappe;
mod ncf;
mod peers;
mod ratings;
mod results;
mod run;
mod section51;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["tidy"] => tidy::check(),
        ["results", data] => results::print(data),
        ["ratings", data] => ratings::print(data),
        ["ncf", data] => ncf::print(data),
        ["comparisons", data] => comparison::print(data),
        ["frappe-epochs", data, python] => frappe::epochs(data, python),
        ["section-5.1", dir] => section51::run(dir, section51::ROWS),
        ["section-5.1", dir, rows] => section51::run(dir, rows),
        ["figure3"] => figure3::draw("docs/figure3.svg"),
        ["peers", ref flags @ ..] => peers::run(flags),
        ["frappe", data] => frappe::print(data, None),
        ["frappe", data, compared] => frappe::print(data, Some(compared)),
        _ => Err("expected `cargo xtask tidy`, `cargo xtask results|ratings|ncf|comparisons|frappe DATA_DIR`, `cargo xtask frappe-epochs DATA_DIR PYTHON`, `cargo xtask section-5.1 DIR [ROWS]`, `cargo xtask figure3` or `cargo xtask peers`".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
