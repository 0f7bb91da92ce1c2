//! What comments may not say.
use super::fault::Fault;
use super::source::Source;

const ALONE: &str = "a doc comment makes sense alone: none starts with \"The same\"";
const LATER: &str = "nothing is left for later";

/// Marks of work that is left, in two pieces, so that this file does not name them.
const MARKS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimple", "mented!")];

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut before = "";
    for (i, line) in source.text.lines().map(str::trim_start).enumerate() {
        let doc = |line: &str| ["///", "//!"].into_iter().find(|mark| line.starts_with(mark));
        if let Some(mark) = doc(line)
            && !before.starts_with(mark)
            && line[mark.len()..].trim_start().starts_with("The same")
        {
            faults.push(Fault::new(ALONE, &source.path, i + 1, line));
        }
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '!';
        if let Some(mark) = line.split(|c| !word(c)).find(|word| MARKS.contains(word)) {
            faults.push(Fault::new(LATER, &source.path, i + 1, mark));
        }
        before = line;
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn faults(text: &str) -> Vec<usize> {
        check(&Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap())
            .into_iter()
            .map(|f| f.line)
            .collect()
    }

    #[test]
    fn starts_of_doc_comments() {
        assert_eq!(faults("//! The same for files.\n\n/// The same with rows.\nfn a() {}"), [1, 3]);
        assert!(faults("/// Rows.\n/// The same rows as before.\nfn a() {}\n// The same again.").is_empty());
    }

    #[test]
    fn work_left() {
        assert_eq!(faults(&format!("// {}: more\nfn a() {{ {}() }}", MARKS[0], MARKS[2])), [1, 2]);
        assert!(faults("// mastodon\nfn todo() {}").is_empty());
    }
}
