//! Where code may stop the program.
use super::fault::Fault;
use super::source::Source;
use proc_macro2::{Group, TokenStream, TokenTree};

const UNWRAP: &str = "no unwrap outside tests";
const EXPECT: &str = "expect says why it cannot fail, in two words or more";

/// Checks one file, inside macros too.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(source, source.tokens.clone(), &mut faults);
    faults
}

fn walk(source: &Source, tokens: TokenStream, faults: &mut Vec<Fault>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (i, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => walk(source, group.stream(), faults),
            TokenTree::Ident(name) if i > 0 => {
                let line = name.span().start().line;
                let rule = broken(&trees[i - 1], &name.to_string(), trees.get(i + 1));
                if let (Some(rule), false) = (rule, source.in_tests(line)) {
                    faults.push(Fault::new(rule, &source.path, line, name.to_string()));
                }
            }
            _ => {}
        }
    }
}

/// The rule that `before name after` breaks.
fn broken(before: &TokenTree, name: &str, after: Option<&TokenTree>) -> Option<&'static str> {
    let TokenTree::Punct(mark) = before else { return None };
    match (mark.as_char(), name, after) {
        ('.' | ':', "unwrap" | "unwrap_err", _) => Some(UNWRAP),
        ('.', "expect" | "expect_err", Some(TokenTree::Group(given))) if !is_reason(given) => Some(EXPECT),
        _ => None,
    }
}

fn is_reason(given: &Group) -> bool {
    let text = given.stream().to_string();
    let text = text.trim_end_matches([',', ' ']);
    text.starts_with('"') && text.ends_with('"') && text.split_whitespace().count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules(body: &str) -> Vec<&'static str> {
        let source = Source::parse(Path::new("src/a.rs"), format!("fn f() {{ {body} }}")).unwrap();
        check(&source).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn reasons() {
        assert_eq!(rules("a.unwrap(); b!(c.unwrap()); d.map(Option::unwrap);"), [UNWRAP; 3]);
        assert_eq!(rules("a.expect(\"lock\"); a.expect(&b); a.expect_err(\"\");"), [EXPECT; 3]);
        assert!(rules("a.expect(\"four bytes\"); a.expect(\n\"four bytes\",\n);").is_empty());
        assert!(rules("a.unwrap_or(1); unwrap(1); \".unwrap()\";").is_empty());
        assert!(rules("} #[cfg(test)] mod tests { fn a() { a.unwrap() }").is_empty());
    }
}
