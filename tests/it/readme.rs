//! The README and the pages of the book: every command runs, every configuration is valid, every link leads
//! somewhere.
use crate::common::{command, copy, data, piped};
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The pages in the order of the book's summary.
fn chapters() -> Vec<String> {
    links(&read("docs/SUMMARY.md")).into_iter().map(|page| format!("docs/{page}")).collect()
}

/// A fenced block of a Markdown text.
struct Block {
    language: String,
    text: String,
}

impl Block {
    /// The file that its first line names in a comment (`# mine.toml`), for the commands that follow it.
    fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        name.ends_with(".toml").then_some(name)
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(language) => {
                inside = true;
                found.push(Block { language: language.to_owned(), text: String::new() });
            }
            None if inside => {
                let block = found.last_mut().expect("a block has begun");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!inside, "a block without an end");
    found
}

/// Lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Targets of the links and pictures outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let plain: String = line.split('`').step_by(2).collect();
        let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.map(|(target, _)| target.to_owned()));
    }
    found
}

/// Anchors of the headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> HashSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let letters = heading.trim_start_matches('#').trim().chars();
        letters
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c if c.is_alphanumeric() => c.to_lowercase().next(),
                _ => None,
            })
            .collect()
    };
    headings.map(anchor).collect()
}

/// Words of a command line, with quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in line.split('"').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Runs the commands of pages in one directory.
struct Runner {
    dir: tempfile::TempDir,
    /// The server that was started last, and where it listens.
    server: Option<(Server, String)>,
    gate: String,
    done: HashSet<String>,
    skipped: Vec<String>,
}

impl Runner {
    fn page(&mut self, page: &str) {
        self.server = None;
        for block in blocks(&read(page)) {
            match (block.language.as_str(), block.file()) {
                ("sh", _) => {
                    block.text.replace("\\\n", " ").lines().for_each(|line| self.command(page, line))
                }
                ("toml", Some(file)) => {
                    fs::write(self.dir.path().join(file), &block.text).expect("a file of the page")
                }
                _ => {}
            }
        }
    }

    fn command(&mut self, page: &str, line: &str) {
        let (line, output) =
            line.split_once(" > ").map_or((line, None), |(line, output)| (line, Some(output)));
        // A page may show how rows come from another program.
        let (line, input) = match line.strip_prefix("cat ").and_then(|rest| rest.split_once(" | ")) {
            Some((file, line)) => (line, fs::read(self.dir.path().join(file)).expect("a file")),
            None => (line, Vec::new()),
        };
        let written = if let Some(text) = line.strip_prefix("echo ") {
            Some(format!("{text}\n"))
        } else if let Some(rest) = line.strip_prefix("dlrm serve ") {
            // Ends the one before.
            self.server = None;
            self.server = Some(served(self.dir.path(), rest));
            None
        } else if let Some(rest) = line.strip_prefix("curl -s localhost:8000") {
            let (_, at) = self.server.as_ref().unwrap_or_else(|| panic!("{page}: a server for {line}"));
            Some(asked(at, rest))
        } else if let Some(rest) = line
            .strip_prefix("cargo run --release --no-default-features -- ")
            .or_else(|| line.strip_prefix("dlrm "))
        {
            match (rest.contains("localhost:8000"), &self.server) {
                (true, Some((_, at))) => self.dlrm(page, &rest.replace("localhost:8000", at), &input),
                _ => self.dlrm(page, rest, &input),
            }
        } else {
            assert!(self.gate.contains(line), "{page}: the gate runs it: {line}");
            None
        };
        if let (Some(output), Some(written)) = (output, written) {
            fs::write(self.dir.path().join(output), written).expect("an output");
        }
    }

    /// What the command printed; `None` where it was skipped or is one that has been run before.
    fn dlrm(&mut self, page: &str, rest: &str, input: &[u8]) -> Option<String> {
        if !self.done.insert(rest.to_owned()) {
            return None;
        }
        let line = if rest.contains("$DLRM_DATA") {
            let Some(path) = data(&format!("{page}: dlrm {rest}"), "") else {
                self.skipped.push(format!("{page}: dlrm {rest}"));
                return None;
            };
            rest.replace("$DLRM_DATA/", &path.display().to_string())
        } else {
            rest.to_owned()
        };
        let words = words(&line);
        let ran = piped(self.dir.path(), &words.iter().map(String::as_str).collect::<Vec<_>>(), input);
        assert_eq!(ran.code, 0, "{page}: dlrm {rest}\n{}", ran.err);
        Some(ran.out)
    }
}

/// A server that ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `dlrm serve` at a free port; the address.
fn served(dir: &Path, rest: &str) -> (Server, String) {
    let words = words(rest);
    let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--quiet"];
    args.extend(words.iter().map(String::as_str));
    let mut child = command(dir, &args).stdout(Stdio::piped()).spawn().expect("the server");
    let mut first = String::new();
    let told = child.stdout.as_mut().expect("its output");
    BufReader::new(told).read_line(&mut first).expect("where it listens");
    let at = first.split("http://").nth(1).unwrap_or_else(|| panic!("dlrm serve {rest}: {first}"));
    (Server(child), at.trim().to_owned())
}

/// What the server answers to a path and the body behind `-d`.
fn asked(at: &str, rest: &str) -> String {
    let (path, body) = rest.split_once(" -d ").map_or((rest, None), |(path, body)| (path, Some(body)));
    let body = body.map_or("", |body| body.trim().trim_matches('\''));
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = body.len();
    let mut stream = TcpStream::connect(at).expect("the server");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "curl {rest}\n{answer}");
    answer
}

#[test]
fn every_command_works() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    copy(&root().join("recipes"), &dir.path().join("recipes"));
    let items = "item_id,title\ni4,A film\ni5,Another\ni6,A third\n";
    fs::write(dir.path().join("items.csv"), items).expect("a table of items");
    // Commands of MPI are run by their own tests.
    let gate = read(".ci/run") + &read("tests/mpi/run.sh");
    let (done, skipped) = (HashSet::new(), Vec::new());
    let mut runner = Runner { dir, server: None, gate, done, skipped };
    runner.page("README.md");
    let at = |name: &str| runner.dir.path().join(name);
    for made in [
        "runs/demo/report.html",
        "runs/schema.toml",
        "runs/mine/model/manifest.json",
        "runs/scores.csv",
        "runs/compare/compare.html",
    ] {
        assert!(at(made).exists(), "{made}");
    }
    chapters().iter().for_each(|page| runner.page(page));
    assert!(runner.done.len() >= 25, "{:?}", runner.done);
    for command in &runner.skipped {
        // Not `eprintln`, which is only shown where a test fails.
        writeln!(std::io::stderr(), "skipped, because DLRM_DATA is not set: {command}")
            .expect("standard error");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = vec![
        "README.md".to_owned(),
        "CONTRIBUTING.md".into(),
        "ARCHITECTURE.md".into(),
        "CHANGELOG.md".into(),
    ];
    pages.extend(chapters());
    let mut checked = 0;
    for page in &pages {
        let folder = Path::new(page).parent().expect("a file");
        for link in links(&read(page)).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { PathBuf::from(page) } else { folder.join(file) };
            assert!(root().join(&target).exists(), "{page}: expected a file, found none at {link}");
            let leaves_book =
                page.starts_with("docs/") && target.components().any(|part| part == Component::ParentDir);
            assert!(!leaves_book, "{page}: expected a link within the book, found {link}");
            if let Some(anchor) = anchor {
                let anchors = anchors(&read(&target.display().to_string()));
                assert!(anchors.contains(anchor), "{page}: expected a heading for {link}, found {anchors:?}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked} links");
}

#[test]
fn every_page_is_in_the_book() {
    let chapters = chapters();
    for entry in fs::read_dir(root().join("docs")).expect("the pages") {
        let name = entry.expect("a page").file_name().into_string().expect("UTF-8");
        let known =
            !name.ends_with(".md") || name == "SUMMARY.md" || chapters.contains(&format!("docs/{name}"));
        assert!(known, "docs/SUMMARY.md: expected {name} in it");
    }
}

#[test]
fn every_configuration_of_a_page_is_valid() {
    let mut checked = 0;
    for page in std::iter::once("README.md".to_owned()).chain(chapters()) {
        for block in blocks(&read(&page)) {
            // Those with a name are read by the commands that follow.
            if block.language == "toml" && block.file().is_none() {
                let mut notes = Vec::new();
                dlrm::engine::RunConfig::load(&block.text, &page, &[], &mut notes)
                    .unwrap_or_else(|e| panic!("{page}: {e}\n{}", block.text));
                assert!(notes.is_empty(), "{page}: {notes:?}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 2, "{checked} configurations");
}

#[test]
fn every_recipe_is_a_valid_configuration() {
    let mut folders = vec![root().join("recipes")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("recipes") {
            let path = entry.expect("a recipe").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mut notes = Vec::new();
                dlrm::engine::RunConfig::read(&path, &[], &mut notes)
                    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert!(notes.is_empty(), "{}: {notes:?}", path.display());
            }
        }
    }
}
