//! The study of defaults: what `dlrm train` makes of tables that nobody tuned it to, beside logistic
//! regression and LightGBM as their makers set them.
mod options;
mod runs;
mod study;
mod summary;
mod table;

use crate::environment::{Environment, Scripts};
use crate::run::binary;
use options::{Options, Variant};
use runs::Done;
use serde_json::{Map, Value, json};
use std::fs;
use study::Study;

const SCRIPTS: Scripts = Scripts { dir: "benches/defaults", size: "0.5 GB" };
const SCRIPT: &str = "defaults.py";
/// The models of `dlrm train --model …` that tables led by ids are also given to.
const FAMILY: [&str; 9] = ["lr", "fm", "ffm", "dnn", "wide_deep", "deepfm", "dcn", "dcn_v2", "xdeepfm"];

/// Exports the tables, fits the peers unless that was done, trains every variant on every split, and prints
/// Markdown tables; all of it stays in the directory of `--out`.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let options = Options::parse(args)?;
    fs::create_dir_all(&options.out).map_err(|e| format!("{}: {e}", options.out.display()))?;
    let binary = match &options.binary {
        Some(path) => path.canonicalize().map_err(|e| format!("--bin {}: {e}", path.display()))?,
        None => binary()?,
    };
    prepare(&options)?;
    let study = Study::read(&options)?;
    let mut variants = options.variants.clone();
    if options.family {
        variants.extend(FAMILY.iter().map(|&model| Variant::family(model)));
    }
    let mut done = runs::all(&binary, &study, &variants, &options);
    runs::add_margins(&mut done, &margins(&options)?);
    let path = options.out.join("results.json");
    fs::write(&path, as_json(&done).to_string()).map_err(|e| format!("{}: {e}", path.display()))?;
    print!("{}", table::markdown(&study, &variants, &done));
    Ok(())
}

fn environment(options: &Options) -> Result<Environment, String> {
    let venv = options.venv.clone().unwrap_or_else(|| options.out.join("venv"));
    Environment::make(SCRIPTS, &options.python, Some(&venv))
}

/// How far two scorings of the test rows may differ by chance, by the script, out of the scores.
fn margins(options: &Options) -> Result<Value, String> {
    environment(options)?.run(SCRIPT, &["margins".into(), options.out.display().to_string()], true)?;
    let path = options.out.join("margins.json");
    let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Tables and peers, by the script; what is there is not made again.
fn prepare(options: &Options) -> Result<(), String> {
    let environment = environment(options)?;
    let out = options.out.display().to_string();
    let mut common = vec!["--splits".to_owned(), options.splits.to_string()];
    if !options.only.is_empty() {
        common.extend(["--only".to_owned(), options.only.join(",")]);
    }
    let mut export = vec!["export".to_owned(), out.clone(), options.data.clone()];
    export.extend(options.large.then(|| "--large".to_owned()));
    environment.run(SCRIPT, &[export, common.clone()].concat(), true)?;
    environment.run(SCRIPT, &[vec!["peers".to_owned(), out], common].concat(), true)?;
    Ok(())
}

/// What was measured: by variant, table and split.
fn as_json(done: &[Done]) -> Value {
    let mut all = Map::new();
    for Done { variant, table, split, run } in done {
        let measured = match run {
            Ok(run) => run.as_json(),
            Err(message) => json!({ "failed": message }),
        };
        let of_variant = all.entry(variant.clone()).or_insert_with(|| json!({}));
        of_variant[table][split.to_string()] = measured;
    }
    Value::Object(all)
}
