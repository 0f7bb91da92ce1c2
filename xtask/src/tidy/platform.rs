//! Functions whose last bits the platform decides.
use super::fault::Fault;
use super::source::Source;
use std::path::Path;
use syn::visit::{self, Visit};

const OURS: &str =
    "exp, ln, tanh and their like are libm's, not the platform's: scores have the same bits everywhere";

/// Crates whose numbers become weights, scores or reports.
const CRATES: [&str; 6] = ["kernels", "data", "nn", "models", "metrics", "engine"];

/// Methods of `f32` and `f64` that the standard library leaves to the platform.
const METHODS: [&str; 26] = [
    "exp", "exp2", "exp_m1", "ln", "ln_1p", "log", "log2", "log10", "powf", "cbrt", "hypot", "sin", "cos",
    "tan", "sin_cos", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "gamma",
];

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let own = |name: &&str| source.path.starts_with(Path::new("crates").join(name).join("src"));
    if !CRATES.iter().any(own) {
        return Vec::new();
    }
    let mut calls = Calls { source, faults: Vec::new() };
    calls.visit_file(&source.syntax);
    calls.faults
}

struct Calls<'a> {
    source: &'a Source,
    faults: Vec<Fault>,
}

impl<'a> Visit<'a> for Calls<'_> {
    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        let (name, line) = (call.method.to_string(), call.method.span().start().line);
        if METHODS.contains(&name.as_str()) && !self.source.in_tests(line) {
            self.faults.push(Fault::new(OURS, &self.source.path, line, format!("{name}()")));
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        check(&Source::parse(Path::new(path), text.to_owned()).unwrap()).len()
    }

    #[test]
    fn calls_outside_tests() {
        let text = "fn f(x: f64) -> f64 { (x.exp() + 1.0).ln() + libm::tanh(x).sqrt() }";
        assert_eq!(faults("crates/nn/src/a.rs", text), 2);
        assert_eq!(faults("crates/report/src/a.rs", text), 0);
        assert_eq!(faults("crates/nn/tests/a.rs", text), 0);
        assert_eq!(faults("crates/nn/src/a.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}")), 0);
    }
}
