//! Repository chores.
//!
//! `cargo xtask tidy` checks the rules that the compiler does not. `cargo xtask results DIR` trains the recipes on the data
//! sets in DIR and prints the README's results table; `cargo xtask ratings DIR` that of the MovieLens folds, `cargo xtask frappe DIR`
//! that of the model family beside its published results.
#![forbid(unsafe_code)]

mod frappe;
mod ratings;
mod results;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["tidy"] => tidy::check(),
        ["results", data] => results::print(data),
        ["ratings", data] => ratings::print(data),
        ["frappe", data] => frappe::print(data, None),
        ["frappe", data, compared] => frappe::print(data, Some(compared)),
        _ => Err("expected `cargo xtask tidy` or `cargo xtask results|ratings|frappe DATA_DIR`".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
