//! `dlrm man`: manual pages, made from the flags.
use super::args::{Cli, ManArgs};
use super::failure::{Failure, io};
use super::output;
use clap::{Command, CommandFactory};
use std::path::Path;

/// Runs the subcommand.
pub(super) fn run(args: &ManArgs) -> Result<(), Failure> {
    let mut all = Cli::command();
    all.build();
    if let Some(directory) = &args.output {
        return write_all(&all, directory);
    }
    let mut command = &all;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| unknown(name, command))?;
    }
    output::print(&page(command)?)
}

fn unknown(name: &str, above: &Command) -> Failure {
    let names: Vec<&str> = shown(above).map(Command::get_name).collect();
    let message = format!("man: expected a command of {}, found \"{name}\"", above.get_name());
    let hint = match names.len() {
        0 => format!("{} has no commands of its own: leave it out", above.get_name()),
        _ => format!("they are {}", names.join(", ")),
    };
    Failure::usage(message, hint)
}

/// The commands below one, but for `help`.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set())
}

fn page(command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .source(concat!("dlrm ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .map_err(io("write", Path::new("the manual page")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Writes the pages of a command and of those below it into a directory: they are made anew each time.
fn write_all(command: &Command, directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(io("create", directory))?;
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let path = directory.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?).map_err(io("write", &path))?;
    shown(command).try_for_each(|below| write_all(below, directory))
}
