//! Running the `dlrm` command in tests.
use dlrm::kernels::isa::Isa;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// What a command did.
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// It failed with `code` and printed every one of `parts`; no panic, no backtrace.
    pub(crate) fn failed(&self, args: &[&str], code: i32, parts: &[&str]) {
        let shown = format!("dlrm {}\nexit {}\n{}", args.join(" "), self.code, self.err);
        assert_eq!(self.code, code, "{shown}");
        assert!(!self.err.contains("panicked"), "{shown}");
        for part in parts {
            assert!(self.err.contains(part), "missing \"{part}\" in\n{shown}");
        }
    }
}

/// The command, without settings from the caller's environment that change its output.
pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlrm"));
    command.args(args).current_dir(dir).env("NO_COLOR", "1");
    command
}

/// Runs `dlrm` with `args` in `dir`.
pub(crate) fn dlrm(dir: &Path, args: &[&str]) -> Ran {
    finished(command(dir, args).output().expect("the dlrm command"))
}

/// Runs `dlrm` with `bytes` on its standard input.
pub(crate) fn piped(dir: &Path, args: &[&str], bytes: &[u8]) -> Ran {
    let mut child = command(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let ran = finished(child.wait_with_output().unwrap());
    // Whoever refuses its flags reads nothing.
    let _ = writing.join().unwrap();
    ran
}

pub(crate) fn finished(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a command that must fail with `code` and print every one of `parts`.
pub(crate) fn fails(dir: &Path, args: &[&str], code: i32, parts: &[&str]) {
    dlrm(dir, args).failed(args, code, parts);
}

/// Runs a command that must succeed.
pub(crate) fn works(dir: &Path, args: &[&str]) -> Ran {
    let ran = dlrm(dir, args);
    assert_eq!(ran.code, 0, "dlrm {}\n{}", args.join(" "), ran.err);
    ran
}

/// A directory with a small trained model in `runs/demo`, made once per test program.
pub(crate) fn demo() -> &'static Path {
    static DEMO: OnceLock<tempfile::TempDir> = OnceLock::new();
    DEMO.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a scratch directory");
        works(dir.path(), &["demo", "--rows", "3000", "--quiet"]);
        dir
    })
    .path()
}

/// A scratch copy of the demo's directory.
pub(crate) fn demo_copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory");
    copy(demo(), dir.path());
    dir
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).expect("a copy");
        }
    }
}

/// A data set, or `None` after saying that the test is skipped.
pub(crate) fn data(test: &str, name: &str) -> Option<PathBuf> {
    match std::env::var_os("DLRM_DATA").filter(|dir| !dir.is_empty()) {
        Some(dir) => Some(PathBuf::from(dir).join(name)),
        None => {
            println!("skipped: {test} (DLRM_DATA is not set)");
            None
        }
    }
}

/// A small click log with every kind of column.
pub(crate) fn clicks(rows: usize) -> String {
    let mut text = String::from("click,age,site,user,tags\n");
    let mut state = 7u64;
    for _ in 0..rows {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (a, b, c) = (state >> 60, (state >> 50) % 40, (state >> 40) % 7);
        let click = u8::from((a + c) % 3 == 0);
        let tags = ["red", "green", "blue", "grey", "pink"];
        let more: Vec<&str> =
            tags.iter().enumerate().filter(|(i, _)| (a >> i) & 1 == 1).map(|(_, t)| *t).collect();
        text.push_str(&format!("{click},{}.5,site{c},u{b},{}\n", 20 + b, more.join("|")));
    }
    text
}

/// A schema for [`clicks`].
pub(crate) const CLICKS_SCHEMA: &str = r#"
label = { column = "click" }
dense = [{ name = "age" }]
categorical = [
  { name = "site" },
  { name = "user" },
  { name = "tags", multi = { separator = "|" }, pooling = "mean" },
]
"#;

/// A scratch directory with `clicks.csv` and `schema.toml`.
pub(crate) fn scratch(rows: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("clicks.csv"), clicks(rows)).unwrap();
    fs::write(dir.path().join("schema.toml"), CLICKS_SCHEMA).unwrap();
    dir
}

/// What a command prints with `--json`.
pub(crate) fn json(dir: &Path, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(works(dir, &[&["--json", "--quiet"], args].concat()).out.trim()).expect("JSON")
}

/// The instruction set that the command takes: by name, or the best one.
pub(crate) fn isa() -> Isa {
    let name = std::env::var("DLRM_ISA").unwrap_or_default();
    Isa::available().find(|isa| isa.level().name() == name).unwrap_or_else(Isa::detect)
}
