//! Prepared data sets whose files were changed together with their checksums, so that nothing but the parsers
//! stands in the way.
#![no_main]
use dlrm_data::Schema;
use dlrm_data::dataset::Sources;
use dlrm_data::prepared::{FileSum, Limits, Preparation, PrepareObserver, Prepared, Settings, Start};
use dlrm_data::readers::Input;
use dlrm_data::sealed::{CHECKSUM, seal};
use dlrm_data::split::Split;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const SCHEMA: &str = "weight = \"w\"\ngroup = \"g\"\nlabel = { column = \"y\" }\ndense = [{ name = \"x\" }]\n\
    categorical = [{ name = \"g\" }, { name = \"t\", \
    multi = { separator = \"|\", weight_separator = \":\" } }]\n";

struct Silent;

impl PrepareObserver for Silent {
    fn stage(&mut self, _: &str) {}

    fn rows(&mut self, _: u64) -> bool {
        true
    }
}

/// The files of a small data set.
static WHOLE: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rows.csv");
    let rows: String = (0..20).map(|i| format!("{},1,{i},u{},a:{i}|b\n", i % 2, i % 3)).collect();
    fs::write(&path, format!("y,w,x,g,t\n{rows}")).expect("written");
    let (input, split) =
        (Input::new([&path]).resolve().expect("an input"), Split::Order { validation: 0.0, test: 0.0 });
    let sources =
        Sources { main: &input, validation: None, test: None, split: &split, max_bad_rows: 0, threads: 1 };
    let schema = Schema::from_toml(SCHEMA, "schema").expect("a schema");
    let (settings, limits) = (Settings::default(), Limits::default());
    let preparation =
        Preparation { sources: &sources, schema: &schema, settings, limits, start: Start::Fresh };
    preparation.run(&dir.path().join("out"), &mut Silent).expect("prepared");
    let files =
        fs::read_dir(dir.path().join("out")).expect("listed").map(|entry| entry.expect("an entry").path());
    files
        .map(|path| {
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                fs::read(&path).expect("a file"),
            )
        })
        .filter(|(name, _)| !name.starts_with('.'))
        .collect()
});

/// Overwrites bytes: each three of `changes` are a place and what is there then.
fn change(bytes: &mut Vec<u8>, changes: &[u8]) {
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let at = at % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = change[2];
        }
    }
}

fn write(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    files.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).expect("written"));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, changes)) = bytes.split_first() else { return };
    let mut files = WHOLE.clone();
    let name = files.keys().nth(usize::from(which) % files.len()).expect("a file").clone();
    change(files.get_mut(&name).expect("a file"), changes);
    if name == "manifest.json" {
        // What was changed in it is sealed too, where it is still text.
        if let Ok(text) = std::str::from_utf8(&files[&name]) {
            let body = text.rfind(",\n").map_or(text, |end| &text[..end]);
            files.insert(name, seal(&format!("{body}}}")).into_bytes());
        }
    } else {
        let mut manifest: serde_json::Value =
            serde_json::from_slice(&files["manifest.json"]).expect("a manifest");
        manifest.as_object_mut().expect("an object").remove(CHECKSUM);
        let sum = serde_json::to_value(FileSum::of(&files[&name])).expect("plain data");
        if name.starts_with("encoder-") {
            manifest["encoder"] = sum;
        } else {
            manifest["files"][0]["sum"] = sum;
        }
        files.insert("manifest.json".into(), seal(&manifest.to_string()).into_bytes());
    }
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), &files);
    if let Ok(prepared) = Prepared::open(dir.path()) {
        let _ = prepared.load(|_| true);
    }
});
