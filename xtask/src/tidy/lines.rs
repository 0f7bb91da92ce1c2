//! How long and how wide a file may be.
use super::fault::Fault;
use super::source::{Role, Source};
use std::path::Path;

/// A file is one noun.
const MOST_LINES: usize = 450;
/// A file of tests may be longer; beyond this it is several.
const MOST_TEST_LINES: usize = 600;
const MOST_COLUMNS: usize = 110;

const LENGTH: &str = "a file has at most 450 lines without its tests, a file of tests at most 600";
const WIDTH: &str = "a line has at most 110 columns, and rustfmt.toml says so";

/// Checks length and width of one file.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    let (counted, most) = match source.role {
        Role::Code => ((1..=lines).filter(|&line| !source.in_tests(line)).count(), MOST_LINES),
        Role::Test => (lines, MOST_TEST_LINES),
    };
    if counted > most {
        faults.push(Fault::new(LENGTH, &source.path, 0, format!("{counted} lines")));
    }
    let wide = |line: &str| line.chars().count() > MOST_COLUMNS;
    let wide: Vec<usize> =
        (1..).zip(source.text.lines()).filter(|(_, line)| wide(line)).map(|(i, _)| i).collect();
    if let Some(&first) = wide.first() {
        let numbers: Vec<String> = wide.iter().map(usize::to_string).collect();
        let message = format!("{} wide lines: {}", wide.len(), numbers.join(", "));
        faults.push(Fault::new(WIDTH, &source.path, first, message));
    }
    faults
}

/// Checks that the formatter makes no wider lines.
pub(super) fn formatter(config: &str) -> Vec<Fault> {
    let line = config.lines().find(|line| line.starts_with("max_width"));
    let width = line.and_then(|line| line.split('=').nth(1)?.trim().parse().ok());
    if width == Some(MOST_COLUMNS) {
        return Vec::new();
    }
    vec![Fault::new(WIDTH, Path::new("rustfmt.toml"), 0, format!("expected max_width = {MOST_COLUMNS}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: String) -> Vec<String> {
        check(&Source::parse(Path::new(path), text).unwrap())
            .into_iter()
            .map(|f| format!("{}: {}", f.line, f.message))
            .collect()
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(100));
        assert!(faults("src/a.rs", "\n".repeat(450) + &tests).is_empty());
        assert_eq!(faults("src/a.rs", "\n".repeat(451) + &tests), ["0: 451 lines"]);
        assert!(faults("tests/a.rs", "\n".repeat(600)).is_empty());
        assert_eq!(faults("tests/a.rs", "\n".repeat(601)), ["0: 601 lines"]);
    }

    #[test]
    fn width_counts_characters() {
        let line = |columns: usize| format!("\n//{}", "ä".repeat(columns - 2));
        assert!(faults("src/a.rs", line(110)).is_empty());
        assert_eq!(faults("tests/a.rs", line(111)), ["2: 1 wide lines: 2"]);
        assert!(formatter("max_width = 110\n").is_empty());
        assert_eq!(formatter("max_width = 140\n").len(), 1);
    }
}
