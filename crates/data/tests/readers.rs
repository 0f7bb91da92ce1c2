//! Readers through their public door, on small files made here and, where there are any, on real data sets.
#[path = "readers/arrow.rs"]
mod arrow;
#[path = "readers/corpus.rs"]
mod corpus;
#[path = "readers/formats.rs"]
mod formats;
#[path = "readers/large.rs"]
mod large;
#[path = "readers/parquet.rs"]
mod parquet;
#[path = "readers/real.rs"]
mod real;
#[path = "readers/several.rs"]
mod several;
#[path = "readers/text.rs"]
mod text;

use dlrm_data::readers::Input;
use dlrm_data::{Error, RawRow};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A scratch directory with files in it.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = TempDir::new().expect("a scratch directory");
        for (name, bytes) in files {
            std::fs::write(directory.path().join(name), bytes).expect("a written file");
        }
        Files(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }

    fn input(&self, names: &[&str]) -> Input {
        Input::new(names.iter().map(|name| self.path(name)))
    }
}

/// All rows, and messages of the bad ones without the directory.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    lines: Vec<u64>,
    bad: Vec<String>,
    end: Option<String>,
}

/// Reads all of `input`; an error that is final ends it.
fn read(input: &Input) -> Result<Outcome, Error> {
    let mut source = input.open()?;
    let mut outcome = Outcome { columns: source.columns().to_vec(), ..Outcome::default() };
    let mut row = RawRow::default();
    loop {
        match source.next_row(&mut row) {
            Ok(true) => {
                assert_eq!(row.len(), outcome.columns.len());
                outcome.rows.push(row.fields().map(str::to_owned).collect());
                outcome.lines.push(row.line);
            }
            Ok(false) => return Ok(outcome),
            Err(Error::Row(bad)) => {
                let text = bad.to_string();
                let name =
                    Path::new(&bad.position.file).file_name().expect("a name").to_string_lossy().into_owned();
                outcome.bad.push(text.replace(&bad.position.file, &name));
            }
            Err(error) => {
                outcome.end = Some(error.to_string());
                return Ok(outcome);
            }
        }
    }
}

/// Reads all of `text` as a file of the given name.
fn read_text(name: &str, text: &str) -> Outcome {
    let files = Files::new(&[(name, text.as_bytes())]);
    read(&files.input(&[name])).expect("opened")
}

/// Message and hint of the error that `input` gives on opening.
fn refusal(input: &Input) -> (String, String) {
    let error = input.open().err().expect("an error");
    assert!(!matches!(error, Error::Row(_)), "an error on opening is final: {error}");
    (error.to_string(), error.hint().map(ToString::to_string).unwrap_or_default())
}
