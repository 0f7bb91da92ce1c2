//! `dlrm completions`: a script for the shell, made from the flags.
use super::args::{Cli, CompletionsArgs};
use super::failure::Failure;
use super::output;
use clap::CommandFactory;

/// Runs the subcommand.
pub(super) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dlrm", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
