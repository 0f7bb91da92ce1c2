//! The modules of one crate, and what a path in them means.
use super::source::{Source, only_tests};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::Visit;
use syn::{Item, UseTree, Visibility};

/// Imports of imports that are followed before a path counts as unknown.
const DEEPEST: usize = 16;

/// One module outside tests.
pub(super) struct Module {
    /// Its file, as a place in the list of sources.
    pub file: usize,
    /// Names from the root of the crate.
    pub path: Vec<String>,
    pub imports: Vec<Import>,
    pub children: BTreeMap<String, usize>,
    parent: Option<usize>,
    items: BTreeSet<String>,
}

/// One name of a `use`.
pub(super) struct Import {
    /// `*` for all names of a module.
    pub name: String,
    pub path: Vec<String>,
    pub public: bool,
    pub line: usize,
}

/// What a path leads to: a module, or an item that this module defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Module(usize),
    Item(usize),
}

/// All modules of a crate; the first is its root.
pub(super) struct Modules {
    pub all: Vec<Module>,
}

impl Modules {
    /// Follows `mod` from the root file of a crate.
    pub(super) fn of(sources: &[Source], root: usize) -> Self {
        let mut modules = Self { all: Vec::new() };
        modules.add(sources, root, None, Vec::new(), &sources[root].syntax.items);
        modules
    }

    fn add(
        &mut self,
        sources: &[Source],
        file: usize,
        parent: Option<usize>,
        path: Vec<String>,
        items: &[Item],
    ) -> usize {
        let own = self.all.len();
        let (imports, defined) = (imports(&sources[file], items), items.iter().filter_map(defined).collect());
        self.all.push(Module { file, path, imports, children: BTreeMap::new(), parent, items: defined });
        for item in items {
            let Item::Mod(module) = item else { continue };
            if only_tests(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let mut path = self.all[own].path.clone();
            path.push(name.clone());
            let child = match &module.content {
                Some((_, items)) => Some(self.add(sources, file, Some(own), path, items)),
                None => {
                    let places = sources[file].declared(&name);
                    let found = sources.iter().position(|source| places.contains(&source.path));
                    found.map(|file| self.add(sources, file, Some(own), path, &sources[file].syntax.items))
                }
            };
            if let Some(child) = child {
                self.all[own].children.insert(name, child);
            }
        }
        own
    }

    /// Where a path that stands in a module leads, or nothing where it leaves the crate.
    pub(super) fn resolve(&self, from: usize, path: &[String]) -> Option<Place> {
        self.start(from, path, DEEPEST)
    }

    fn start(&self, from: usize, path: &[String], depth: usize) -> Option<Place> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(0, rest, depth),
            "self" => self.walk(from, rest, depth),
            "super" if rest.first().is_some_and(|next| next == "super") => {
                self.start(self.all[from].parent?, rest, depth)
            }
            "super" => self.walk(self.all[from].parent?, rest, depth),
            _ => match self.named(from, first, depth)? {
                Place::Module(module) => self.walk(module, rest, depth),
                item => Some(item),
            },
        }
    }

    fn walk(&self, module: usize, path: &[String], depth: usize) -> Option<Place> {
        let Some((first, rest)) = path.split_first() else { return Some(Place::Module(module)) };
        match self.named(module, first, depth) {
            Some(Place::Module(module)) => self.walk(module, rest, depth),
            Some(item) => Some(item),
            // An item that a macro makes.
            None => Some(Place::Item(module)),
        }
    }

    /// What a name means in a module.
    fn named(&self, module: usize, name: &str, depth: usize) -> Option<Place> {
        let own = &self.all[module];
        if let Some(&child) = own.children.get(name) {
            return Some(Place::Module(child));
        }
        if own.items.contains(name) {
            return Some(Place::Item(module));
        }
        // `use a::a` would be looked up in itself.
        let leads =
            |import: &&Import| import.name == name && (import.path.len() > 1 || import.path[0] != name);
        if let Some(place) = own.imports.iter().filter(leads).find_map(|i| self.start(module, &i.path, depth))
        {
            return Some(place);
        }
        let depth = depth.checked_sub(1)?;
        own.imports.iter().filter(|import| import.name == "*").find_map(|import| {
            match self.start(module, &import.path, depth)? {
                Place::Module(other) if other != module => self.named(other, name, depth),
                _ => None,
            }
        })
    }
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Every `use` of a module's items and of their bodies, outside tests.
fn imports(source: &Source, items: &[Item]) -> Vec<Import> {
    struct Uses<'a> {
        source: &'a Source,
        found: Vec<Import>,
    }
    impl<'a> Visit<'a> for Uses<'_> {
        fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
            let line = item.use_token.span.start().line;
            if item.leading_colon.is_none() && !self.source.in_tests(line) {
                let public = !matches!(item.vis, Visibility::Inherited);
                names(&item.tree, &mut Vec::new(), &mut |name, path| {
                    self.found.push(Import { name, path, public, line });
                });
            }
        }
        fn visit_item_mod(&mut self, _: &'a syn::ItemMod) {}
    }
    let mut uses = Uses { source, found: Vec::new() };
    items.iter().for_each(|item| uses.visit_item(item));
    uses.found
}

fn names(tree: &UseTree, before: &mut Vec<String>, put: &mut impl FnMut(String, Vec<String>)) {
    // `a::{self}` is `a`.
    let path = |before: &[String], name: &str| match (before, name) {
        ([.., _], "self") => before.to_vec(),
        _ => [before, &[name.to_owned()]].concat(),
    };
    match tree {
        UseTree::Path(tree) => {
            before.push(tree.ident.to_string());
            names(&tree.tree, before, put);
            before.pop();
        }
        UseTree::Name(tree) => {
            let path = path(before, &tree.ident.to_string());
            put(path.last().cloned().unwrap_or_default(), path);
        }
        UseTree::Rename(tree) => put(tree.rename.to_string(), path(before, &tree.ident.to_string())),
        UseTree::Glob(_) => put("*".to_owned(), before.clone()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, before, put)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn paths_lead_to_definitions() {
        let parse = |(path, text): (&str, &str)| Source::parse(Path::new(path), text.to_owned()).unwrap();
        let sources = [
            ("src/lib.rs", "mod a; pub mod b; pub use a::Thing; use std::fmt; mod inline { pub fn f() {} }"),
            (
                "src/a.rs",
                "mod deep; pub use self::deep::{Deep as Renamed, *}; pub struct Thing; make!(pub fn made());",
            ),
            ("src/a/deep.rs", "use super::super::b; pub struct Deep; pub fn other() {}"),
            ("src/b.rs", "use crate::a::{self as first, Thing, deep::{self}}; fn f() { use super::inline; }"),
        ]
        .map(parse);
        let modules = Modules::of(&sources, 0);
        let file = |module: usize| sources[modules.all[module].file].path.to_str().unwrap();
        let from =
            |name: &str| modules.all.iter().position(|m| m.path.last().is_some_and(|n| n == name)).unwrap();
        let lead = |module: &str, path: &str| {
            let path: Vec<String> = path.split("::").map(str::to_owned).collect();
            match modules.resolve(from(module), &path) {
                Some(Place::Module(module)) => format!("module {}", file(module)),
                Some(Place::Item(module)) => format!("item {}", file(module)),
                None => "elsewhere".to_owned(),
            }
        };
        assert_eq!(lead("b", "crate::Thing"), "item src/a.rs");
        assert_eq!(lead("b", "crate::Thing::new"), "item src/a.rs");
        assert_eq!(lead("b", "first::Renamed"), "item src/a/deep.rs");
        assert_eq!(lead("b", "crate::a::other"), "item src/a/deep.rs");
        assert_eq!(lead("b", "first::made"), "item src/a.rs");
        assert_eq!(lead("b", "deep"), "module src/a/deep.rs");
        assert_eq!(lead("b", "inline::f"), "item src/lib.rs");
        assert_eq!(lead("b", "fmt::Debug"), "elsewhere");
        assert_eq!(lead("b", "crate::fmt::Debug"), "item src/lib.rs");
        assert_eq!(lead("deep", "super::super::b::f"), "item src/b.rs");
        assert_eq!(lead("deep", "b::f"), "item src/b.rs");
    }
}
