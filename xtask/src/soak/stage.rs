//! What a soak needs: the command, two good models and some bad ones, a directory of which each can take the
//! place, and what each good model says of a row.
use super::client::Client;
use crate::run;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Rows of the demos that are trained where no model is named.
const ROWS: &str = "40000";
/// Items of the catalogue.
const ITEMS: u64 = 500;
/// Time for the server to end when it is asked to.
const END: Duration = Duration::from_secs(30);

/// A model that answers well.
#[derive(Debug, Clone)]
pub(super) struct Good {
    pub(super) dir: PathBuf,
    pub(super) version: String,
    /// What `dlrm predict` says of the row: the bits of its logit.
    pub(super) logit: f32,
}

/// Everything that is set up before.
pub(super) struct Stage {
    binary: PathBuf,
    dir: PathBuf,
    pub(super) good: Vec<Good>,
    pub(super) bad: Vec<PathBuf>,
    /// A row by column, and the column that tells items apart.
    pub(super) row: Value,
    pub(super) item: String,
}

/// A server, and where it listens.
pub(super) struct Served {
    child: Child,
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Stage {
    /// Trains two models, unless two are given.
    pub(super) fn set(models: &[PathBuf]) -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("dlrm-soak-{}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut stage = Stage {
            binary: run::binary()?,
            dir,
            good: Vec::new(),
            bad: Vec::new(),
            row: Value::Null,
            item: String::new(),
        };
        let models = if models.is_empty() { stage.train()? } else { models.to_vec() };
        stage.ask_before(&models)?;
        stage.spoil(&models[0]).map_err(|e| format!("{}: {e}", models[0].display()))?;
        stage.write_items()?;
        stage.put(&stage.good[0].dir)?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn train(&self) -> Result<Vec<PathBuf>, String> {
        let one = |seed: &str| {
            let out = self.path(seed);
            eprintln!("training the demo with seed {seed}");
            let mut demo = Command::new(&self.binary);
            demo.args(["-q", "demo", "--rows", ROWS, "--seed", seed, "-o"]).arg(&out);
            match demo.stdout(Stdio::null()).status() {
                Ok(status) if status.success() => Ok(out),
                other => Err(format!("dlrm demo: {other:?}")),
            }
        };
        ["0", "1"].into_iter().map(one).collect()
    }

    /// Learns from a server of its own which versions the models are, and from `dlrm predict` what they say.
    fn ask_before(&mut self, models: &[PathBuf]) -> Result<(), String> {
        let names = models.iter().enumerate().map(|(k, dir)| format!("m{k}={}", dir.display()));
        let served = self.serve(names.collect(), &[])?;
        let answer = Client::new(served.http).get("/v1/models").map_err(|e| format!("/v1/models: {e}"))?;
        served.end()?;
        let listed = answer.json();
        let current = |k: usize| &listed["models"][k]["current"];
        self.row = current(0)["example"].clone();
        let path = self.path("row.jsonl");
        fs::write(&path, format!("{}\n", self.row)).map_err(|e| format!("{}: {e}", path.display()))?;
        for (k, dir) in models.iter().enumerate() {
            let version = current(k)["version"].as_str().ok_or("/v1/models: expected versions")?.to_owned();
            self.good.push(Good { dir: dir.clone(), version, logit: self.predict(dir, &path)? });
        }
        if self.good[0].version == self.good[1].version {
            return Err("expected two models that differ, found the same twice".into());
        }
        let columns = current(0)["inputs"].as_array().cloned().unwrap_or_default();
        let names = columns.iter().filter(|input| input["kind"] == "categorical");
        let names: Vec<&str> = names.filter_map(|input| input["name"].as_str()).collect();
        let has_digits = |name: &&&str| self.row[**name].as_str().is_some_and(|text| text.contains(digit));
        let item = names.iter().find(|name| name.contains("item"));
        let item = item.or_else(|| names.iter().rfind(has_digits));
        self.item = (*item.ok_or("expected a column of ids with digits, found none")?).to_owned();
        Ok(())
    }

    fn predict(&self, model: &Path, rows: &Path) -> Result<f32, String> {
        let mut predict = Command::new(&self.binary);
        let done = predict.args(["-q", "--json", "predict"]).arg(model).arg(rows).output();
        let done = done.map_err(|e| format!("dlrm predict: {e}"))?;
        let line: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        let logit = line["logit"].as_f64().map(|logit| logit as f32);
        logit.ok_or_else(|| format!("dlrm predict: {}", String::from_utf8_lossy(&done.stderr)))
    }

    /// Copies of a model with a byte changed, a file cut short and a file missing.
    fn spoil(&mut self, model: &Path) -> std::io::Result<()> {
        let inner = model.join("model");
        let model = if inner.is_dir() { inner } else { model.to_owned() };
        for kind in ["changed", "cut", "lacking"] {
            let bad = self.path(kind);
            fs::create_dir_all(&bad)?;
            for file in fs::read_dir(&model)? {
                let file = file?;
                fs::copy(file.path(), bad.join(file.file_name()))?;
            }
            let (weights, manifest) = (bad.join("weights.safetensors"), bad.join("manifest.json"));
            let mut bytes = fs::read(&weights)?;
            match kind {
                "changed" => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    fs::write(weights, bytes)?;
                }
                "cut" => fs::write(weights, &bytes[..bytes.len() / 2])?,
                _ => fs::remove_file(weights)?,
            }
            // Another manifest, so that it is taken for a new model.
            let text = fs::read_to_string(&manifest)?;
            fs::write(manifest, format!("{text}{}", "\n".repeat(kind.len())))?;
            self.bad.push(bad);
        }
        Ok(())
    }

    /// The row with the digits of its item made of `number`.
    pub(super) fn item(&self, number: u64) -> String {
        let text = self.row[&self.item].as_str().unwrap_or_default();
        format!("{}{number}", text.trim_end_matches(digit))
    }

    fn write_items(&self) -> Result<(), String> {
        let line = |k| format!("{}\n", serde_json::json!({ self.item.as_str(): self.item(k) }));
        let path = self.path("items.jsonl");
        fs::write(&path, (1..=ITEMS).map(line).collect::<String>())
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Lets the served directory be this one, from one moment to the next.
    pub(super) fn put(&self, model: &Path) -> Result<(), String> {
        let (next, served) = (self.path("next"), self.path("served"));
        let model = model.canonicalize().map_err(|e| format!("{}: {e}", model.display()))?;
        let linked = std::os::unix::fs::symlink(&model, &next).and_then(|()| fs::rename(&next, &served));
        linked.map_err(|e| format!("{}: {e}", served.display()))
    }

    /// Serves the directory whose model changes.
    pub(super) fn serve_it(&self) -> Result<Served, String> {
        let items = self.path("items.jsonl");
        let model = format!("m={}", self.path("served").display());
        self.serve(vec![model], &["--items", &items.display().to_string()])
    }

    fn serve(&self, models: Vec<String>, flags: &[&str]) -> Result<Served, String> {
        let log = fs::File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|e| format!("{}: {e}", self.log().display()))?;
        let mut command = Command::new(&self.binary);
        command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--grpc", "off"]);
        command.args(["--admin", "127.0.0.1:0"]).args(flags).args(models);
        let child = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.map_err(|e| format!("{}: {e}", self.binary.display()))?;
        let mut first = String::new();
        if let Some(told) = child.stdout.as_mut() {
            BufReader::new(told).read_line(&mut first).map_err(|e| format!("dlrm serve: {e}"))?;
        }
        let told: Value = serde_json::from_str(&first).unwrap_or_default();
        let address = |name: &str| told[name].as_str().and_then(|text| text.parse().ok());
        match address("http").zip(address("admin")) {
            Some((http, admin)) => Ok(Served { child, http, admin }),
            None => Err(format!("dlrm serve: it did not start: {}", self.said())),
        }
    }

    fn log(&self) -> PathBuf {
        self.path("serve.log")
    }

    /// What servers have said on standard error.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Left-overs in the temporary directory are the system's to clear.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Served {
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a system does, and waits.
    pub(super) fn end(mut self) -> Result<(), String> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        asked.map_err(|e| format!("kill: {e}"))?;
        let begun = Instant::now();
        while begun.elapsed() < END {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the server ended with {status}")),
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(format!("the server: {error}")),
            }
        }
        Err(format!("the server did not end within {} s of SIGTERM", END.as_secs()))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn digit(letter: char) -> bool {
    letter.is_ascii_digit()
}
