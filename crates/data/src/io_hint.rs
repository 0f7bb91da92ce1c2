//! What to do where the operating system refuses an operation on a file.
use crate::hint::Hint;
use crate::spelling::nearest;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Entries of a directory that are named, and those that are looked at.
const NAMED: usize = 8;
const LOOKED_AT: usize = 10_000;

/// What the user can do about a refused `action` ("open", "read", "list", "create", "write", …) on `path`,
/// where something can be said. Looks at the directory for what may have been meant.
pub fn io_hint(action: &str, path: &Path, error: &io::Error) -> Option<Hint> {
    let reads = matches!(action, "open" | "read" | "list");
    let elsewhere = "choose another place to write to";
    match error.kind() {
        ErrorKind::NotFound if reads => Some(not_found(path)),
        ErrorKind::NotFound => {
            let (found, _) = existing(path);
            Some(format!("nothing can be made in {}: {elsewhere}", shown(&found)).into())
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            let file = path.ancestors().find(|ancestor| ancestor.is_file())?;
            let instead = if reads { "a file in a directory" } else { "a new or empty directory" };
            Some(format!("{} is a file: name {instead}", file.display()).into())
        }
        ErrorKind::IsADirectory => {
            Some(format!("{} is a directory: name a file in it", path.display()).into())
        }
        ErrorKind::PermissionDenied if reads => {
            Some(format!("you may not read it: see who may with `ls -ld {}`", path.display()).into())
        }
        ErrorKind::PermissionDenied => {
            let (found, _) = existing(path);
            Some(format!("you may not write in {}: {elsewhere}", shown(&found)).into())
        }
        ErrorKind::ReadOnlyFilesystem => Some(format!("nothing can be written there: {elsewhere}").into()),
        ErrorKind::StorageFull => Some(format!("free some space, or {elsewhere}").into()),
        _ => None,
    }
}

/// The deepest directory above `path` that is there, and the first part of the path that is not.
fn existing(path: &Path) -> (PathBuf, String) {
    let mut missing = path;
    while let Some(parent) = missing.parent() {
        let directory = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if directory.is_dir() {
            let name =
                missing.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            return (directory.to_owned(), name);
        }
        missing = parent;
    }
    (PathBuf::from("."), path.display().to_string())
}

/// A directory as people call it.
fn shown(directory: &Path) -> String {
    if directory == Path::new(".") { "this directory".to_owned() } else { directory.display().to_string() }
}

/// The nearest name, and what there is.
fn not_found(path: &Path) -> Hint {
    let (directory, missing) = existing(path);
    let mut names: Vec<String> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .take(LOOKED_AT)
        .flatten()
        .map(|entry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().to_string_lossy())
        })
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort_unstable();
    let plain = names.iter().map(|name| name.trim_end_matches('/'));
    let meant = match nearest(&missing, plain) {
        Some(near) => {
            let near = if directory == Path::new(".") { PathBuf::from(near) } else { directory.join(near) };
            format!("did you mean {}? ", near.display())
        }
        None if path.file_name().is_some_and(|name| *name != *missing) => {
            format!("there is no directory {missing}; ")
        }
        None => String::new(),
    };
    let place = shown(&directory);
    let there = match names.len() {
        0 => format!("{place} is empty"),
        n if n <= NAMED => format!("{place} holds {}", names.join(", ")),
        n => format!("{place} holds {} and {} more", names[..NAMED].join(", "), n - NAMED),
    };
    Hint::from(format!("{meant}{there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_what_was_meant() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("logs")).expect("a directory");
        fs::write(dir.path().join("clicks.csv"), "a").expect("a file");
        let hint = |action: &str, name: &str| {
            let path = dir.path().join(name);
            let error = if action == "open" {
                fs::File::open(&path).map(drop).expect_err("no such file")
            } else {
                fs::create_dir_all(&path).expect_err("not to be made")
            };
            io_hint(action, &path, &error).map_or_else(String::new, |hint| hint.to_string())
        };
        let near = hint("open", "click.csv");
        assert!(near.contains("did you mean") && near.contains("clicks.csv?"), "{near}");
        assert!(near.ends_with("holds clicks.csv, logs/"), "{near}");
        let deep = hint("open", "lgos/day/1.csv");
        assert!(deep.contains("logs?") && deep.contains("holds clicks.csv, logs/"), "{deep}");
        assert!(hint("open", "logs/x.csv").ends_with("logs is empty"), "{}", hint("open", "logs/x.csv"));
        assert!(!hint("open", "ratings.parquet").contains("did you mean"));
        for name in ["clicks.csv", "clicks.csv/out"] {
            assert!(
                hint("create", name).contains("clicks.csv is a file: name a new or empty directory"),
                "{name}"
            );
        }
    }
}
