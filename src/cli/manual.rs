//! `dlrm man`: manual pages, made from the flags.
use super::args::{Cli, ManArgs};
use super::failure::{Failure, io};
use super::files::Target;
use super::output;
use super::session::Session;
use clap::{Command, CommandFactory};
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ManArgs) -> Result<(), Failure> {
    let mut all = Cli::command();
    all.build();
    if let Some(directory) = &args.output {
        return write_all(session, &all, directory, args.overwrite);
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

/// Writes the pages of a command and of those below it into a directory.
fn write_all(session: &Session, all: &Command, directory: &Path, overwrite: bool) -> Result<(), Failure> {
    let mut pages = Vec::new();
    collect(all, directory, &mut pages)?;
    let target = |path| Target { flag: "-o", path, overwrite };
    // One that is not to be replaced is found out before any is.
    pages.iter().try_for_each(|(path, _)| target(path).check(&[]))?;
    std::fs::create_dir_all(directory).map_err(io("create", directory))?;
    pages.iter().try_for_each(|(path, page)| target(path).write(session, page.as_bytes()))
}

/// The pages of a command and of those below it, with the files they go to.
fn collect(command: &Command, directory: &Path, pages: &mut Vec<(PathBuf, String)>) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((directory.join(format!("{name}.1")), page(command)?));
    shown(command).try_for_each(|below| collect(below, directory, pages))
}
