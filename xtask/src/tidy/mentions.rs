//! Paths that the code of a module names, inside macros too.
use super::modules::Modules;
use super::source::Source;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// What a file names outside tests and `use`.
#[derive(Default)]
pub(super) struct Mentions {
    /// Module, path of two names or more, line.
    pub paths: Vec<(usize, Vec<String>, usize)>,
    /// Every word.
    pub words: BTreeSet<String>,
}

impl Mentions {
    /// Reads the file of a module.
    pub(super) fn of(source: &Source, modules: &Modules, module: usize) -> Self {
        let mut mentions = Self::default();
        mentions.read(source, modules, module, source.tokens.clone());
        mentions
    }

    fn read(&mut self, source: &Source, modules: &Modules, module: usize, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut i = 0;
        while i < trees.len() {
            match &trees[i] {
                TokenTree::Group(group) => self.read(source, modules, module, group.stream()),
                TokenTree::Ident(word) if word == "use" && !is(trees.get(i + 1), '<') => {
                    i += trees[i..].iter().take_while(|tree| !is(Some(tree), ';')).count();
                }
                TokenTree::Ident(word) if word == "mod" => {
                    // The name alone uses nothing.
                    i += 1;
                    if let [_, TokenTree::Ident(name), TokenTree::Group(body), ..] = &trees[i - 1..]
                        && body.delimiter() == Delimiter::Brace
                    {
                        // A module of tests is none of ours.
                        if let Some(&child) = modules.all[module].children.get(&name.to_string()) {
                            self.read(source, modules, child, body.stream());
                        }
                        i += 1;
                    }
                }
                TokenTree::Ident(_) => i += self.path(source, module, &trees[i..]),
                _ => {}
            }
            i += 1;
        }
    }

    /// Notes the path in front; says how many tokens it has behind its first.
    fn path(&mut self, source: &Source, module: usize, trees: &[TokenTree]) -> usize {
        let line = trees[0].span().start().line;
        let mut path = vec![trees[0].to_string()];
        let mut behind = 0;
        while let [a, b, TokenTree::Ident(next), ..] = &trees[behind + 1..]
            && is(Some(a), ':')
            && is(Some(b), ':')
        {
            path.push(next.to_string());
            behind += 3;
        }
        if !source.in_tests(line) {
            self.words.extend(path.iter().cloned());
            if path.len() > 1 {
                self.paths.push((module, path, line));
            }
        }
        behind
    }
}

fn is(tree: Option<&TokenTree>, mark: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn paths_in_code_and_macros() {
        let text = "use a::b;\nfn f() -> a::B<c::D> { e!(\"{}\", self::g(h.i)); }\nmod inner { fn f() { \
            super::j::<K>() } }\n\
                    #[cfg(test)] mod tests { fn t() { l::m() } }\n";
        let sources = [Source::parse(Path::new("src/lib.rs"), text.to_owned()).unwrap()];
        let modules = Modules::of(&sources, 0);
        let found = Mentions::of(&sources[0], &modules, 0);
        let paths: Vec<_> =
            found.paths.iter().map(|(module, path, line)| (*module, path.join("::"), *line)).collect();
        let expected = [(0, "a::B", 2), (0, "c::D", 2), (0, "self::g", 2), (1, "super::j", 3)];
        assert_eq!(paths, expected.map(|(module, path, line)| (module, path.to_owned(), line)));
        assert!(found.words.contains("h") && !found.words.contains("b") && !found.words.contains("m"));
    }
}
