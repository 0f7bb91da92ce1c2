//! Rules of the house that no compiler checks, one file each.
mod circles;
mod comments;
mod dependencies;
mod fault;
mod floors;
mod functions;
mod lines;
mod mentions;
mod modules;
mod panics;
mod platform;
mod signatures;
mod source;
mod unsafety;
mod workspace;

use fault::Fault;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use workspace::Package;

/// Checks the tree below the current directory and prints the faults of the asked files, by rule.
///
/// `args` is empty, `--crate NAME` or beginnings of paths.
///
/// # Errors
/// Fails where a rule is broken, and where a file cannot be read or is no Rust.
pub(crate) fn check(args: &[&str]) -> Result<(), String> {
    let packages = workspace::packages()?;
    let asked = asked(args, &packages)?;
    let mut faults = faults(&packages)?;
    faults.retain(|fault| asked.is_empty() || asked.iter().any(|start| fault.path.starts_with(start)));
    let mut rules: BTreeMap<&str, Vec<&Fault>> = BTreeMap::new();
    faults.iter().for_each(|fault| rules.entry(fault.rule).or_default().push(fault));
    for (rule, faults) in &rules {
        println!("{rule} ({})", faults.len());
        for Fault { path, line, message, .. } in faults {
            let line = if *line == 0 { String::new() } else { format!(":{line}") };
            println!("  {}{line}: {message}", path.display());
        }
        println!();
    }
    match faults.len() {
        0 => Ok(()),
        n => Err(format!("tidy: {n} faults, {} rules broken", rules.len())),
    }
}

/// Folders and files whose faults are asked for; none stands for all.
fn asked(args: &[&str], packages: &[Package]) -> Result<Vec<PathBuf>, String> {
    let [flag, name] = args else { return Ok(args.iter().map(PathBuf::from).collect()) };
    if *flag != "--crate" {
        return Ok(args.iter().map(PathBuf::from).collect());
    }
    let own = |package: &&Package| package.name == *name || package.name == format!("dlrm-{name}");
    let package = packages.iter().find(own).ok_or_else(|| format!("no crate {name} in the workspace"))?;
    if package.folder == Path::new("") {
        return Ok(["src", "tests", "benches", "examples", "Cargo.toml"].map(PathBuf::from).to_vec());
    }
    Ok(vec![package.folder.clone()])
}

fn faults(packages: &[Package]) -> Result<Vec<Fault>, String> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
    let sources = source::read()?;
    let mut faults = Vec::new();
    for source in &sources {
        faults.extend(lines::check(source));
        faults.extend(functions::check(source));
        faults.extend(signatures::check(source));
        faults.extend(panics::check(source));
        faults.extend(platform::check(source));
        faults.extend(comments::check(source));
        faults.extend(unsafety::check(source));
    }
    faults.extend(circles::check(&sources));
    faults.extend(lines::formatter(&read(Path::new("rustfmt.toml"))?));
    faults.extend(floors::check(&read(Path::new("ARCHITECTURE.md"))?, packages));
    faults.extend(dependencies::list(&read(Path::new("Cargo.toml"))?, packages));
    for package in packages {
        let manifest = package.folder.join("Cargo.toml");
        faults.extend(dependencies::shared(&manifest, &read(&manifest)?));
    }
    Ok(faults)
}
