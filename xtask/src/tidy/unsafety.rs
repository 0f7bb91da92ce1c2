//! Where `unsafe` may stand.
use super::fault::Fault;
use super::source::Source;
use std::path::Path;

/// The only crate with `unsafe` anywhere.
const UNSAFE_CRATE: &str = "crates/kernels";
/// The only other file with any, and its crate: it maps files.
const UNSAFE_FILE: &str = "crates/data/src/map.rs";
const MAPPING_CRATE: &str = "crates/data";
/// The crate whose macros write code that allows it, which cannot be forbidden.
const MACRO_CRATE: &str = "python";

const PLACES: &str =
    "unsafe code stands in crates/kernels and in the one file that maps files; every other crate forbids it";

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let (path, text) = (&source.path, &source.text);
    let mut faults = Vec::new();
    let root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    let denied = [MAPPING_CRATE, MACRO_CRATE].iter().any(|folder| path.starts_with(folder));
    let denial = if denied { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
    if root && !path.starts_with(UNSAFE_CRATE) && !text.contains(denial) {
        faults.push(Fault::new(PLACES, path, 0, format!("expected {denial}")));
    }
    // In two pieces, so that this file does not name itself.
    let allowed = path.starts_with(UNSAFE_CRATE) || path == Path::new(UNSAFE_FILE);
    if !allowed && text.contains(concat!("allow(", "unsafe_code)")) {
        faults.push(Fault::new(PLACES, path, 0, "allows it"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        check(&Source::parse(Path::new(path), text.to_owned()).unwrap()).len()
    }

    #[test]
    fn places() {
        assert_eq!(faults("crates/nn/src/lib.rs", "#![forbid(unsafe_code)]"), 0);
        assert_eq!(faults("crates/nn/src/lib.rs", "#![deny(unsafe_code)]"), 1);
        assert_eq!(faults("crates/kernels/src/lib.rs", ""), 0);
        assert_eq!(faults("python/src/lib.rs", "#![deny(unsafe_code)]"), 0);
        assert_eq!(faults("python/src/lib.rs", ""), 1);
        let allowing = concat!("#[allow(", "unsafe_code)] fn a() {}");
        assert_eq!(faults(UNSAFE_FILE, allowing), 0);
        assert_eq!(faults("crates/data/src/rows.rs", allowing), 1);
        assert_eq!(faults("python/src/rows.rs", allowing), 1);
    }
}
