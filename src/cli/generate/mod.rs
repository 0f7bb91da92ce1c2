//! `dlrm generate`: synthetic data.
mod clicks;
mod trace;

use super::Session;
use super::failure::Failure;
use clap::Subcommand;

/// What to generate.
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// A click log drawn from a known law, with the true probability of every row
    Clicks(clicks::ClicksArgs),
    /// Traces of ids: profile, synthesise, compare under caches (section 4 of the DLRM paper)
    Trace {
        /// What to do
        #[command(subcommand)]
        command: trace::TraceCommand,
    },
}

/// Runs the subcommand.
pub fn run(session: &Session, command: &GenerateCommand) -> Result<(), Failure> {
    match command {
        GenerateCommand::Clicks(args) => clicks::run(session, args),
        GenerateCommand::Trace { command } => trace::run(session, command),
    }
}
