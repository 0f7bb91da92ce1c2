//! How wide a tuple other files may meet.
use super::fault::Fault;
use super::source::Source;
use syn::Visibility;
use syn::visit::{self, Visit};

/// More elements are a struct whose fields have names.
const MOST_ELEMENTS: usize = 4;

const TUPLES: &str = "a tuple in a public signature has at most 4 elements";

/// Checks what the public items of one file take, give and hold.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let mut public = Public { source, faults: Vec::new() };
    public.visit_file(&source.syntax);
    public.faults
}

struct Public<'a> {
    source: &'a Source,
    faults: Vec<Fault>,
}

impl Public<'_> {
    fn see(&mut self, tuples: impl FnOnce(&mut Tuples)) {
        let mut found = Tuples { found: Vec::new() };
        tuples(&mut found);
        for (line, elements) in found.found {
            if !self.source.in_tests(line) {
                self.faults.push(Fault::new(TUPLES, &self.source.path, line, format!("{elements} elements")));
            }
        }
    }
}

fn visible(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

impl<'a> Visit<'a> for Public<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        if visible(&item.vis) {
            self.see(|tuples| tuples.visit_signature(&item.sig));
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if visible(&item.vis) {
            self.see(|tuples| tuples.visit_signature(&item.sig));
        }
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        for function in &item.items {
            if let (true, syn::TraitItem::Fn(function)) = (visible(&item.vis), function) {
                self.see(|tuples| tuples.visit_signature(&function.sig));
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'a syn::ItemType) {
        if visible(&item.vis) {
            self.see(|tuples| tuples.visit_type(&item.ty));
        }
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        if visible(&item.vis) {
            self.see(|tuples| tuples.visit_type(&item.ty));
        }
    }

    fn visit_field(&mut self, field: &'a syn::Field) {
        if visible(&field.vis) {
            self.see(|tuples| tuples.visit_type(&field.ty));
        }
    }
}

/// Lines and sizes of tuples that are too wide.
struct Tuples {
    found: Vec<(usize, usize)>,
}

impl<'a> Visit<'a> for Tuples {
    fn visit_type_tuple(&mut self, tuple: &'a syn::TypeTuple) {
        if tuple.elems.len() > MOST_ELEMENTS {
            self.found.push((tuple.paren_token.span.open().start().line, tuple.elems.len()));
        }
        visit::visit_type_tuple(self, tuple);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn faults(text: &str) -> usize {
        check(&Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap()).len()
    }

    #[test]
    fn four_elements() {
        let (four, five) = ("(A, A, A, A)", "(A, A, A, A, A)");
        assert_eq!(faults(&format!("pub fn f(a: {four}) -> Vec<{four}> {{}} fn g(a: {five}) {{}}")), 0);
        assert_eq!(faults(&format!("pub fn f(a: {five}) -> Vec<{five}> {{}}")), 2);
        assert_eq!(
            faults(&format!("impl A {{ pub(crate) fn f(a: &[{five}]) {{}} fn g(a: {five}) {{}} }}")),
            1
        );
        assert_eq!(
            faults(&format!("pub trait T {{ fn f(&self) -> {five}; }} trait S {{ fn f() -> {five}; }}")),
            1
        );
        assert_eq!(
            faults(&format!(
                "pub struct S {{ pub a: {five}, b: {five} }} pub type T = {five}; type U = {five};"
            )),
            2
        );
        assert_eq!(faults(&format!("#[cfg(test)] mod t {{ pub fn f(a: {five}) {{}} }}")), 0);
    }
}
