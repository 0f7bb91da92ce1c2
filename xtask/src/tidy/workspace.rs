//! The packages of the workspace, as Cargo knows them.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// When a dependency is linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Normal,
    /// Tests, benchmarks and examples alone.
    Development,
}

/// One package.
pub(super) struct Package {
    pub name: String,
    /// Relative to the root of the repository; empty for the package that stands there.
    pub folder: PathBuf,
    pub dependencies: Vec<(String, Kind)>,
}

/// Asks Cargo about the workspace in the current directory.
pub(super) fn packages() -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let done = Command::new(cargo).args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let done = done.map_err(|e| format!("cargo metadata: {e}"))?;
    if !done.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&done.stderr)));
    }
    parse(&serde_json::from_slice(&done.stdout).map_err(|e| format!("cargo metadata: {e}"))?)
}

/// Reads what `cargo metadata` prints.
pub(super) fn parse(metadata: &Value) -> Result<Vec<Package>, String> {
    let root = metadata["workspace_root"].as_str().ok_or("cargo metadata: expected workspace_root")?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata: expected packages")?;
    packages.iter().map(|package| one(package, Path::new(root))).collect()
}

fn one(package: &Value, root: &Path) -> Result<Package, String> {
    let text = |key: &str| package[key].as_str().ok_or(format!("cargo metadata: expected {key}"));
    let manifest = Path::new(text("manifest_path")?);
    let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root).ok());
    let dependency = |value: &Value| {
        let kind = if value["kind"] == "dev" { Kind::Development } else { Kind::Normal };
        Some((value["name"].as_str()?.to_owned(), kind))
    };
    let dependencies = package["dependencies"].as_array().ok_or("cargo metadata: expected dependencies")?;
    Ok(Package {
        name: text("name")?.to_owned(),
        folder: folder.ok_or("cargo metadata: expected packages below the root")?.to_owned(),
        dependencies: dependencies.iter().filter_map(dependency).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_metadata() {
        let metadata = serde_json::json!({"workspace_root": "/w", "packages": [
            {"name": "dlrm", "manifest_path": "/w/Cargo.toml",
             "dependencies": [{"name": "clap", "kind": null}]},
            {"name": "dlrm-nn", "manifest_path": "/w/crates/nn/Cargo.toml",
             "dependencies": [{"name": "tempfile", "kind": "dev"}]}
        ]});
        let found = parse(&metadata).unwrap();
        assert_eq!(found[0].folder, Path::new(""));
        assert_eq!(found[1].folder, Path::new("crates/nn"));
        assert_eq!(found[0].dependencies, [("clap".to_owned(), Kind::Normal)]);
        assert_eq!(found[1].dependencies, [("tempfile".to_owned(), Kind::Development)]);
    }
}
