//! How long a function may be, and how many parameters it may take.
use super::fault::Fault;
use super::source::Source;
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A function is one verb.
const MOST_LINES: usize = 60;
/// More of them are a struct.
const MOST_PARAMETERS: usize = 6;

const LENGTH: &str = "a function has at most 60 lines";
const PARAMETERS: &str = "a function has at most 6 parameters without self";

/// Checks the functions of one file, those that macros are given or make included.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let mut functions = Functions { source, faults: Vec::new() };
    functions.visit_file(&source.syntax);
    functions.faults
}

struct Functions<'a> {
    source: &'a Source,
    faults: Vec<Fault>,
}

impl Functions<'_> {
    fn length(&mut self, name: &Ident, end: Span) {
        let first = name.span().start().line;
        let lines = end.end().line + 1 - first;
        if lines > MOST_LINES && !self.source.in_tests(first) {
            self.faults.push(Fault::new(LENGTH, &self.source.path, first, format!("{name}: {lines} lines")));
        }
    }

    fn parameters(&mut self, signature: &syn::Signature) {
        let (name, line) = (&signature.ident, signature.ident.span().start().line);
        let own = signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_))).count();
        if own > MOST_PARAMETERS && !self.source.in_tests(line) {
            self.faults.push(Fault::new(
                PARAMETERS,
                &self.source.path,
                line,
                format!("{name}: {own} parameters"),
            ));
        }
    }

    /// Lengths of functions among tokens that need not be items: `fn name … { … }`.
    fn tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for (i, tree) in trees.iter().enumerate() {
            match tree {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(word) if word == "fn" => {
                    let name = trees[i + 1..].iter().take(2).find_map(|tree| match tree {
                        TokenTree::Ident(name) => Some(name),
                        _ => None,
                    });
                    let end = trees[i + 1..].iter().find(|tree| match tree {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(mark) => mark.as_char() == ';',
                        _ => false,
                    });
                    if let (Some(name), Some(TokenTree::Group(body))) = (name, end) {
                        self.length(name, body.span_close());
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'a> Visit<'a> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.length(&item.sig.ident, item.block.brace_token.span.close());
        self.parameters(&item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        for function in &item.items {
            let syn::ImplItem::Fn(function) = function else { continue };
            self.length(&function.sig.ident, function.block.brace_token.span.close());
            // The parameters of a trait's function are said where the trait is.
            if item.trait_.is_none() {
                self.parameters(&function.sig);
            }
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.length(&item.sig.ident, block.brace_token.span.close());
        }
        self.parameters(&item.sig);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_macro(&mut self, given: &'a syn::Macro) {
        self.tokens(given.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn faults(text: &str) -> Vec<String> {
        let source = Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap();
        check(&source).into_iter().map(|f| format!("{}: {}", f.line, f.message)).collect()
    }

    #[test]
    fn sixty_lines_from_name_to_brace() {
        let function = |lines: usize| format!("/// Long.\nfn a() {{{}}}\n", "\n".repeat(lines - 1));
        assert!(faults(&function(60)).is_empty());
        assert_eq!(faults(&function(61)), ["2: a: 61 lines"]);
        assert_eq!(faults(&format!("impl A {{ {} }}", function(61))), ["2: a: 61 lines"]);
        assert_eq!(faults(&format!("trait A {{ {} }}", function(61))), ["2: a: 61 lines"]);
        assert_eq!(faults(&format!("make! {{ x => {} }}", function(61))), ["2: a: 61 lines"]);
        assert_eq!(faults(&format!("fn b() {{ {} }}", function(61))).len(), 2);
        assert!(faults(&format!("#[cfg(test)] mod tests {{\n{}\n}}", function(61))).is_empty());
    }

    #[test]
    fn six_parameters() {
        let six = "a: A, b: B<C, D>, (c, d): (C, D), e: E, f: F, g: G";
        assert!(faults(&format!("fn f({six}) {{}} impl A {{ fn g(&self, {six}) {{}} }}")).is_empty());
        assert_eq!(faults(&format!("fn f({six}, h: H) {{}}")), ["1: f: 7 parameters"]);
        assert_eq!(faults(&format!("trait T {{ fn f(&self, {six}, h: H); }}")), ["1: f: 7 parameters"]);
        assert!(faults(&format!("impl T for A {{ fn f(&self, {six}, h: H) {{}} }}")).is_empty());
    }
}
