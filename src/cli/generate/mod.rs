//! `dlrm generate`: synthetic data.
mod clicks;

use super::Session;
use super::failure::Failure;
use clap::Subcommand;

/// What to generate.
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// A click log drawn from a known law, with the true probability of every row
    Clicks(clicks::ClicksArgs),
}

/// Runs the subcommand.
pub fn run(session: &Session, command: &GenerateCommand) -> Result<(), Failure> {
    match command {
        GenerateCommand::Clicks(args) => clicks::run(session, args),
    }
}
