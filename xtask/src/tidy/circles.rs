//! No circle of files inside a crate, except between a module and those below it.
//!
//! A file uses the file that defines what it names, whoever re-exports it. A re-export alone uses nothing:
//! the module that makes it is a front door. A module may use what is below it and be used from there; a
//! circle that also takes another step, from one branch of the tree to another, is a fault.
use super::fault::Fault;
use super::mentions::Mentions;
use super::modules::{Modules, Place};
use super::source::{Role, Source};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const CIRCLES: &str = "files of a crate use each other in one direction, except a module and those below it";

/// Uses of files by files, with the first line that says so.
type Edges = BTreeMap<(usize, usize), usize>;

/// Checks all crates.
pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let root = |source: &Source| source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
    let roots = (0..sources.len()).filter(|&i| sources[i].role == Role::Code && root(&sources[i]));
    roots.flat_map(|root| crate_circles(sources, root)).collect()
}

fn crate_circles(sources: &[Source], root: usize) -> Vec<Fault> {
    let modules = Modules::of(sources, root);
    let mut edges = uses(sources, &modules);
    let mut places = BTreeMap::new();
    for module in &modules.all {
        places.entry(module.file).or_insert(&module.path[..]);
    }
    let across =
        |&(a, b): &(usize, usize)| !places[&a].starts_with(places[&b]) && !places[&b].starts_with(places[&a]);
    let mut faults = Vec::new();
    // The shortest, then the shortest of those that share no step across with it, and so on.
    while let Some(circle) = shortest(&edges, across) {
        faults.push(fault(sources, &edges, &circle));
        circle.iter().filter(|edge| across(edge)).for_each(|edge| {
            edges.remove(edge);
        });
    }
    faults
}

fn fault(sources: &[Source], edges: &Edges, circle: &[(usize, usize)]) -> Fault {
    let step = |edge: &(usize, usize)| format!("{}:{} uses", sources[edge.0].path.display(), edges[edge]);
    let steps: Vec<String> = circle.iter().map(step).collect();
    let first = circle[0];
    let message = format!("{} {}", steps.join(" "), sources[first.0].path.display());
    Fault::new(CIRCLES, &sources[first.0].path, edges[&first], message)
}

/// Which file uses which.
fn uses(sources: &[Source], modules: &Modules) -> Edges {
    let mut edges = Edges::new();
    let mut read = BTreeMap::new();
    for (i, module) in modules.all.iter().enumerate() {
        read.entry(module.file).or_insert_with(|| Mentions::of(&sources[module.file], modules, i));
    }
    let mut put = |from: usize, place: Option<Place>, line: usize| {
        if let Some(Place::Item(to)) = place
            && modules.all[from].file != modules.all[to].file
        {
            let first = edges.entry((modules.all[from].file, modules.all[to].file)).or_insert(line);
            *first = line.min(*first);
        }
    };
    for (i, module) in modules.all.iter().enumerate() {
        for import in &module.imports {
            let place = modules.resolve(i, &import.path);
            if import.name == "*" && !import.public {
                let all = place.map(|(Place::Module(module) | Place::Item(module))| Place::Item(module));
                put(i, all, import.line);
            } else if import.name != "*"
                && (!import.public || read[&module.file].words.contains(&import.name))
            {
                put(i, place, import.line);
            }
        }
    }
    for (module, path, line) in read.values().flat_map(|mentions| &mentions.paths) {
        put(*module, modules.resolve(*module, path), *line);
    }
    edges
}

/// The shortest circle with a step across.
fn shortest(edges: &Edges, across: impl Fn(&(usize, usize)) -> bool) -> Option<Vec<(usize, usize)>> {
    let circles = edges.keys().filter(|edge| across(edge)).filter_map(|&(from, to)| {
        let mut circle = vec![(from, to)];
        circle.extend(way(edges, to, from)?);
        Some(circle)
    });
    circles.min_by_key(Vec::len)
}

/// The shortest way from one file to another.
fn way(edges: &Edges, from: usize, to: usize) -> Option<Vec<(usize, usize)>> {
    let (mut seen, mut queue) = (BTreeSet::from([from]), VecDeque::from([vec![]]));
    while let Some(way) = queue.pop_front() {
        let end = way.last().map_or(from, |&(_, end)| end);
        if end == to {
            return Some(way);
        }
        for &edge in edges.range((end, 0)..=(end, usize::MAX)).map(|(edge, _)| edge) {
            if seen.insert(edge.1) {
                queue.push_back([&way[..], &[edge]].concat());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |(path, text): &(&str, &str)| {
            Source::parse(&Path::new("src").join(path), (*text).to_owned()).unwrap()
        };
        let sources: Vec<Source> = files.iter().map(parse).collect();
        check(&sources).into_iter().map(|f| f.message.replace("src/", "")).collect()
    }

    #[test]
    fn siblings() {
        let root = ("lib.rs", "pub mod a; mod b; pub use a::A; pub use b::B;");
        assert!(
            circles(&[root, ("a.rs", "use crate::B; pub struct A;"), ("b.rs", "pub struct B;")]).is_empty()
        );
        let both =
            [root, ("a.rs", "use crate::B; pub struct A;"), ("b.rs", "pub struct B;\nfn f(a: super::A) {}")];
        assert_eq!(circles(&both), ["a.rs:1 uses b.rs:2 uses a.rs"]);
        let tests = "pub struct B; #[cfg(test)] mod tests { use crate::A; }";
        assert!(circles(&[root, ("a.rs", "use crate::B; pub struct A;"), ("b.rs", tests)]).is_empty());
    }

    #[test]
    fn a_module_and_those_below_it() {
        let (a, b) = (("a.rs", "use super::f; pub fn a() { f() }"), ("b.rs", "pub fn b() { super::f() }"));
        assert!(circles(&[("lib.rs", "mod a; mod b; pub fn f() { a::a(); b::b() }"), a, b]).is_empty());
        let across = ("b.rs", "use crate::a::a; pub fn b() { a() }");
        let through = circles(&[("lib.rs", "mod a; mod b; pub fn f() { b::b() }"), a, across]);
        assert_eq!(through, ["b.rs:1 uses a.rs:1 uses lib.rs:1 uses b.rs"]);
        assert!(circles(&[("lib.rs", "mod a; mod b; pub use b::b; pub fn f() {}"), a, across]).is_empty());
    }
}
