//! Models that take each other's place: good ones have to, bad ones must not.
use super::client::{Answer, Client};
use super::stage::{Served, Stage};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Every so many times a bad one.
const BAD: usize = 4;
/// Time for the server to notice.
const NOTICE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);

/// What came of it.
#[derive(Default)]
pub(super) struct Reloads {
    /// Good models that answer since.
    pub(super) swapped: u64,
    /// Bad models that were refused.
    pub(super) refused: u64,
    pub(super) failures: Vec<String>,
}

/// Puts one model after the other into the served directory until all is over. Of good ones and of bad ones
/// the server is told some; the others it has to notice.
pub(super) fn exchange(stage: &Stage, served: &Served, over: &AtomicBool) -> Reloads {
    let mut reloads = Reloads::default();
    let (mut good, mut bad) = (0, 0);
    for turn in 1.. {
        let done = if turn % BAD == 0 {
            bad += 1;
            refused(stage, served, (good, bad), bad % 2 == 0)
        } else {
            good = (good + 1) % stage.good.len();
            swapped(stage, served, good, turn % 2 == 0)
        };
        match done {
            _ if over.load(Ordering::Relaxed) => break,
            Ok(()) if turn % BAD == 0 => reloads.refused += 1,
            Ok(()) => reloads.swapped += 1,
            Err(message) => {
                reloads.failures.push(format!("reload {turn}: {message}"));
                // Not as fast as it goes.
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
    reloads
}

/// A good model comes and answers.
fn swapped(stage: &Stage, served: &Served, good: usize, told: bool) -> Result<(), String> {
    let Some(model) = stage.good.get(good) else { return Ok(()) };
    stage.put(&model.dir)?;
    if told {
        let answer = load(served)?;
        if answer.status != 200 {
            return Err(format!("a good model: expected status 200, found {}", answer.status));
        }
    }
    wait(served, &|status| status["current"]["version"] == model.version.as_str())
        .map_err(|found| format!("expected version {}, found {found}", model.version))
}

/// A bad model comes, and the one before goes on.
fn refused(stage: &Stage, served: &Served, (good, bad): (usize, usize), told: bool) -> Result<(), String> {
    stage.put(&stage.bad[bad % stage.bad.len()])?;
    if told {
        let answer = load(served)?;
        if answer.status == 200 {
            return Err("a bad model: expected a refusal, found status 200".into());
        }
    }
    let version = stage.good.get(good).map_or("", |model| &model.version);
    wait(served, &|status| !status["failed"].is_null() && status["current"]["version"] == version)
        .map_err(|found| format!("a bad model: expected a failure and version {version}, found {found}"))
}

fn load(served: &Served) -> Result<Answer, String> {
    let answer = Client::new(served.admin).post("/v2/repository/models/m/load", "");
    answer.map_err(|error| format!("the admin interface: {error}"))
}

/// Looks until the model is in this state; the state that it stays in otherwise.
fn wait(served: &Served, state: &dyn Fn(&Value) -> bool) -> Result<(), String> {
    let (begun, mut client) = (Instant::now(), Client::new(served.http));
    loop {
        let status = client.get("/v1/models").map_err(|error| error.to_string())?.json()["models"][0].clone();
        if state(&status) {
            return Ok(());
        }
        if begun.elapsed() > NOTICE {
            return Err(format!("version {}, failed {}", status["current"]["version"], status["failed"]));
        }
        thread::sleep(LOOK);
    }
}
