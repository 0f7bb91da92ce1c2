//! Rust files of the repository, and which of their lines are tests.
use proc_macro2::{Span, TokenStream};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Meta};

/// Folders with Rust files; in a crate and at the root.
const ROOTS: [&str; 8] = ["src", "crates", "tests", "benches", "examples", "xtask", "fuzz", "python/src"];
/// Folders whose files are tests as a whole.
const TEST_FOLDERS: [&str; 3] = ["tests", "benches", "fuzz"];

/// How files begin that programs write.
const GENERATED: &str = "// This file is @generated";

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Code,
    Test,
}

/// One parsed file.
pub(super) struct Source {
    /// Relative to the root of the repository.
    pub path: PathBuf,
    pub text: String,
    pub tokens: TokenStream,
    pub syntax: syn::File,
    pub role: Role,
    /// Lines of items that only tests see.
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    /// Parses a file. Whole files of tests are known by their folder; [`read`] finds those that
    /// `#[cfg(test)]` declares.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, String> {
        let fail =
            |e: &dyn std::fmt::Display, at: Span| format!("{}:{}: {e}", path.display(), at.start().line);
        let tokens: TokenStream = text.parse().map_err(|e: proc_macro2::LexError| fail(&e, e.span()))?;
        let syntax = syn::parse2::<syn::File>(tokens.clone()).map_err(|e| fail(&e, e.span()))?;
        let mut found = TestItems::default();
        found.visit_file(&syntax);
        let test =
            path.components().any(|part| TEST_FOLDERS.iter().any(|folder| part.as_os_str() == *folder));
        let role = if test { Role::Test } else { Role::Code };
        Ok(Self { path: path.to_owned(), text, tokens, syntax, role, tests: found.lines })
    }

    /// Whether only tests see a line.
    pub(super) fn in_tests(&self, line: usize) -> bool {
        self.role == Role::Test || self.tests.iter().any(|range| range.contains(&line))
    }

    /// Where `mod name;` of this file may lie.
    pub(super) fn declared(&self, name: &str) -> [PathBuf; 2] {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let own = ["lib.rs", "main.rs", "mod.rs"].iter().any(|file| self.path.ends_with(file));
        let folder =
            if own { folder.to_owned() } else { folder.join(self.path.file_stem().unwrap_or_default()) };
        [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]
    }
}

/// Every Rust file below the current directory.
pub(super) fn read() -> Result<Vec<Source>, String> {
    let mut paths = Vec::new();
    for root in ROOTS.map(Path::new).into_iter().filter(|root| root.is_dir()) {
        collect(root, &mut paths).map_err(|e| format!("{}: {e}", root.display()))?;
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        // What a program has written has its own style.
        if !text.starts_with(GENERATED) {
            sources.push(Source::parse(&path, text)?);
        }
    }
    mark_test_files(&mut sources);
    Ok(sources)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Marks what stands behind `#[cfg(test)] mod name;`, with the files below it.
fn mark_test_files(sources: &mut [Source]) {
    let mut declared = Vec::new();
    for source in sources.iter() {
        for item in &source.syntax.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && only_tests(&module.attrs)
            {
                declared
                    .extend(source.declared(&module.ident.to_string()).map(|path| path.with_extension("")));
            }
        }
    }
    for source in sources {
        let path = source.path.with_extension("");
        if declared.iter().any(|test| path == *test || path.starts_with(test)) {
            source.role = Role::Test;
        }
    }
}

/// Whether attributes say `#[test]` or a `#[cfg(…)]` that names `test`.
pub(super) fn only_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| word == "test") && !condition.contains("not")
        }
        _ => false,
    })
}

/// Collects the lines of items that only tests see.
#[derive(Default)]
struct TestItems {
    lines: Vec<RangeInclusive<usize>>,
}

impl TestItems {
    fn note(&mut self, attributes: &[Attribute], span: Span) -> bool {
        let test = only_tests(attributes);
        if test {
            let first = attributes.iter().map(|a| a.span().start().line).min();
            self.lines.push(first.unwrap_or(span.start().line)..=span.end().line);
        }
        test
    }
}

impl<'a> Visit<'a> for TestItems {
    fn visit_item(&mut self, item: &'a syn::Item) {
        let attributes: &[Attribute] = match item {
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Static(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Trait(item) => &item.attrs,
            syn::Item::Type(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !self.note(attributes, item.span()) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.note(&item.attrs, item.span());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nimpl A {\n}\nimpl B {\n    #[cfg(test)]\n    fn b() {\n    \
            }\n}\n\
                    #[cfg(not(test))]\nfn c() {}\n#[cfg(all(test, unix))]\nmod tests {\n}\n";
        let source = Source::parse(Path::new("crates/a/src/lib.rs"), text.to_owned()).unwrap();
        let found: Vec<usize> = (1..=14).filter(|&line| source.in_tests(line)).collect();
        assert_eq!(found, [2, 3, 4, 6, 7, 8, 12, 13, 14]);
    }

    #[test]
    fn files_of_tests() {
        let parse = |path: &str, text: &str| Source::parse(Path::new(path), text.to_owned()).unwrap();
        let mut sources = [
            parse("src/a/mod.rs", "#[cfg(test)] mod tests; mod b;"),
            parse("src/a/tests/mod.rs", ""),
            parse("src/a/b.rs", ""),
        ];
        mark_test_files(&mut sources);
        assert_eq!(sources.map(|s| s.role), [Role::Code, Role::Test, Role::Code]);
        assert_eq!(parse("crates/a/tests/it/main.rs", "").role, Role::Test);
    }
}
