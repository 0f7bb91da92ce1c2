//! Every dependency is named once, with a reason, and used through the workspace.
use super::fault::Fault;
use super::workspace::Package;
use std::path::Path;

const REASONS: &str =
    "Cargo.toml names a dependency once, with a reason behind it, and only while a crate uses it";
const SHARED: &str = "a crate takes its dependencies from the workspace";

/// Checks the list of the workspace.
pub(super) fn list(manifest: &str, packages: &[Package]) -> Vec<Fault> {
    let named = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let before = manifest.lines().count() - named.lines().count();
    let used = |name: &str| packages.iter().flat_map(|p| &p.dependencies).any(|(used, _)| used == name);
    let mut faults = Vec::new();
    for (i, line) in named.lines().enumerate().take_while(|(_, line)| !line.starts_with('[')) {
        let Some((name, rest)) = line.split_once(" = ") else { continue };
        let mut fault = |message: &str| {
            faults.push(Fault::new(
                REASONS,
                Path::new("Cargo.toml"),
                before + i + 1,
                format!("{name}: {message}"),
            ));
        };
        if !rest.contains("path =") && !rest.contains('#') {
            fault("expected a reason");
        }
        if !used(name) {
            fault("no crate uses it");
        }
    }
    faults
}

/// Checks the manifest of one crate.
pub(super) fn shared(path: &Path, manifest: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut dependencies = false;
    for (i, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            dependencies = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
        } else if dependencies && line.contains('=') && !line.contains("workspace = true") {
            faults.push(Fault::new(SHARED, path, i + 1, format!("expected `workspace = true`: {line}")));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Kind;
    use super::*;

    #[test]
    fn reasons_and_use() {
        let manifest = "[workspace]\n[workspace.dependencies]\nours = { path = \"ours\" }\na = \"1\" # \
            reason\n\
                        b = \"1\"\nc = \"1\" # idle\n[profile]\nd = 1\n";
        let dependencies = ["ours", "a", "b"].map(|name| (name.to_owned(), Kind::Normal)).to_vec();
        let package = Package { name: "x".into(), folder: "crates/x".into(), dependencies };
        let found: Vec<_> = list(manifest, &[package]).into_iter().map(|f| (f.line, f.message)).collect();
        assert_eq!(found, [(5, "b: expected a reason".to_owned()), (6, "c: no crate uses it".to_owned())]);
    }

    #[test]
    fn through_the_workspace() {
        let manifest = "[dependencies]\na.workspace = true\nb = { workspace = true, optional = true }\n\
                        c = \"1\"\n[features]\nd = []\n";
        let named: Vec<usize> = shared(
            Path::new("Cargo.toml"),
            &manifest.replace("a.workspace = true", "a = { workspace = true }"),
        )
        .iter()
        .map(|f| f.line)
        .collect();
        assert_eq!(named, [4]);
        assert_eq!(shared(Path::new("Cargo.toml"), manifest).len(), 1);
    }
}
