//! The graph of the crates is the picture: ARCHITECTURE.md says on which floor a crate stands, and it imports
//! lower floors only.
use super::fault::Fault;
use super::workspace::{Kind, Package};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PICTURE: &str = "ARCHITECTURE.md";

const TABLE: &str = "the table of floors in ARCHITECTURE.md lists exactly the crates that exist";
const FLOORS: &str = "a crate imports lower floors only; its tests also their own floor";

/// Floors by folder; none for a crate that may import all and that nothing imports.
type Floors = BTreeMap<PathBuf, Option<u32>>;

/// Checks the packages against the text of ARCHITECTURE.md.
pub(super) fn check(picture: &str, packages: &[Package]) -> Vec<Fault> {
    let floors = read(picture);
    let mut faults = Vec::new();
    for folder in floors.keys().filter(|folder| !packages.iter().any(|p| p.folder == **folder)) {
        faults.push(Fault::new(TABLE, Path::new(PICTURE), 0, format!("no such crate: {}", folder.display())));
    }
    for package in packages {
        match floors.get(&package.folder) {
            None => faults.push(Fault::new(TABLE, Path::new(PICTURE), 0, format!("misses {}", package.name))),
            Some(floor) => faults.extend(imports(package, *floor, packages, &floors)),
        }
    }
    faults
}

/// Rows `| 2 | `crates/nn` | … |` of the first table whose first column is "floor".
fn read(picture: &str) -> Floors {
    let rows = picture.lines().skip_while(|line| !line.starts_with("| floor |")).skip(2);
    let row = |line: &str| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let (floor, name) = (cells.next()?, cells.next()?.split('`').nth(1)?);
        Some((PathBuf::from(if name == "dlrm" { "" } else { name }), floor.parse().ok()))
    };
    rows.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

fn imports(package: &Package, floor: Option<u32>, packages: &[Package], floors: &Floors) -> Vec<Fault> {
    let Some(floor) = floor else { return Vec::new() };
    let mut faults = Vec::new();
    for (name, kind) in &package.dependencies {
        let Some(imported) = packages.iter().find(|p| p.name == *name) else { continue };
        let below = match (kind, floors.get(&imported.folder)) {
            // Said by the other rule.
            (_, None) => continue,
            (_, Some(None)) => false,
            (Kind::Normal, Some(Some(below))) => *below < floor,
            (Kind::Development, Some(Some(below))) => *below <= floor,
        };
        if !below {
            let at = floors[&imported.folder].map_or("no floor".to_owned(), |floor| format!("floor {floor}"));
            let message = format!("{} (floor {floor}) imports {name} ({at})", package.name);
            faults.push(Fault::new(FLOORS, &package.folder.join("Cargo.toml"), 0, message));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: &str = "# House\n\n| floor | crate | what |\n|---|---|---|\n| 2 | `dlrm` (root) | all |\n\
                         | 1 | `crates/b` | b |\n\
                         | 1 | `crates/c` | c |\n| 0 | `crates/a` | a |\n| – | `xtask` | chores |\n\n\
                         | floor | crate |\n|---|---|\n| 9 | `z` |\n";

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let folder = match name {
            "dlrm" => String::new(),
            "xtask" => "xtask".to_owned(),
            name => format!("crates/{name}"),
        };
        let dependencies = dependencies.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect();
        Package { name: name.to_owned(), folder: folder.into(), dependencies }
    }

    fn house(b: &[(&str, Kind)]) -> Vec<Package> {
        use Kind::Normal;
        let root = package("dlrm", &[("a", Normal), ("b", Normal), ("elsewhere", Normal)]);
        vec![
            root,
            package("b", b),
            package("c", &[]),
            package("a", &[]),
            package("xtask", &[("dlrm", Normal)]),
        ]
    }

    fn messages(packages: &[Package]) -> Vec<String> {
        check(HOUSE, packages).into_iter().map(|f| f.message).collect()
    }

    #[test]
    fn lower_floors_only() {
        use Kind::{Development, Normal};
        assert!(messages(&house(&[("a", Normal), ("c", Development)])).is_empty());
        assert_eq!(messages(&house(&[("c", Normal)])), ["b (floor 1) imports c (floor 1)"]);
        assert_eq!(messages(&house(&[("dlrm", Development)])), ["b (floor 1) imports dlrm (floor 2)"]);
        assert_eq!(messages(&house(&[("xtask", Development)])), ["b (floor 1) imports xtask (no floor)"]);
    }

    #[test]
    fn the_table_is_whole() {
        let mut packages = house(&[]);
        packages.retain(|p| p.name != "c");
        packages.push(package("d", &[]));
        assert_eq!(messages(&packages), ["no such crate: crates/c", "misses d"]);
    }
}
