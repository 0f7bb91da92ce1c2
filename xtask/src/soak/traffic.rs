//! Clients that behave: they ask, wait for the answer, check it and ask again.
use super::client::{Answer, Client};
use super::stage::Stage;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Items of a ranking, rows of a larger prediction, places of a recommendation.
const ITEMS: u64 = 50;
const ROWS: u64 = 20;
const PLACES: usize = 10;
/// Messages of failures that are kept; the others are counted.
const KEPT: usize = 20;

/// Kinds of requests, as the table names them.
pub(super) const KINDS: [&str; 4] =
    ["predict, the fixed row", "predict, 20 rows", "rank, 50 items", "recommend, 10 of 500"];

/// What clients met.
#[derive(Default)]
pub(super) struct Met {
    /// Milliseconds of the answers by kind.
    pub(super) times: [Vec<f32>; KINDS.len()],
    pub(super) failed: [u64; KINDS.len()],
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Answers of each version whose bits were checked.
    pub(super) checked: BTreeMap<String, u64>,
    pub(super) messages: Vec<String>,
}

/// Asks until all is over; `number` makes its requests its own.
pub(super) fn ask(stage: &Stage, at: SocketAddr, number: u64, over: &AtomicBool) -> Met {
    let (mut met, mut client) = (Met::default(), Client::new(at));
    let mut turn = number;
    while !over.load(Ordering::Relaxed) {
        // The fixed row every other time.
        let kind = if turn.is_multiple_of(2) { 0 } else { 1 + (turn / 2 % 3) as usize };
        let (path, body) = request(stage, kind, turn);
        let begun = Instant::now();
        let answer = client.post(path, &body);
        let time = 1e3 * begun.elapsed().as_secs_f32();
        let checked = answer.map_err(|error| error.to_string()).and_then(|answer| {
            *met.statuses.entry(answer.status).or_default() += 1;
            check(stage, kind, &answer)
        });
        match checked {
            Ok(version) => {
                met.times[kind].push(time);
                *met.checked.entry(version).or_default() += 1;
            }
            Err(message) => {
                met.failed[kind] += 1;
                if met.messages.len() < KEPT {
                    met.messages.push(format!("{}: {message}", KINDS[kind]));
                }
            }
        }
        turn += 1;
    }
    met
}

fn request(stage: &Stage, kind: usize, turn: u64) -> (&'static str, String) {
    let own = |k: u64| {
        let mut row = stage.row.clone();
        row[&stage.item] = stage.item(1 + (turn * 31 + k * 7) % 900).into();
        row
    };
    let item = |k: u64| json!({ stage.item.as_str(): own(k)[&stage.item] });
    let mut context = stage.row.clone();
    if let Some(columns) = context.as_object_mut() {
        columns.remove(&stage.item);
    }
    // The first is the fixed row everywhere, whose bits are known.
    let fixed = json!({ stage.item.as_str(): stage.row[&stage.item] });
    match kind {
        0 => ("/v1/predict", json!({ "rows": [stage.row] }).to_string()),
        1 => {
            let rows: Vec<Value> = std::iter::once(stage.row.clone()).chain((1..ROWS).map(own)).collect();
            ("/v1/predict", json!({ "rows": rows }).to_string())
        }
        2 => {
            let items: Vec<Value> = std::iter::once(fixed).chain((1..ITEMS).map(item)).collect();
            ("/v1/rank", json!({ "context": context, "items": items, "k": ITEMS }).to_string())
        }
        _ => ("/v1/recommend", json!({ "user": context, "k": PLACES }).to_string()),
    }
}

/// The version that answered, if it answered well.
fn check(stage: &Stage, kind: usize, answer: &Answer) -> Result<String, String> {
    let value = answer.json();
    if answer.status != 200 {
        return Err(format!("expected status 200, found {}: {}", answer.status, value["error"]));
    }
    let version = value["version"].as_str().unwrap_or_default();
    let good = stage.good.iter().find(|good| good.version == version);
    let good = good.ok_or_else(|| format!("expected one of two versions, found {version}"))?;
    let items = value["items"].as_array();
    let logit = match kind {
        0 | 1 => value["logits"][0].as_f64(),
        2 => items.and_then(|items| items.iter().find(|item| item["index"] == 0)?["logit"].as_f64()),
        _ => {
            let found = items.map_or(0, Vec::len);
            let falling = items
                .is_some_and(|items| items.is_sorted_by(|a, b| a["logit"].as_f64() >= b["logit"].as_f64()));
            return match (found, falling) {
                (PLACES, true) => Ok(version.to_owned()),
                _ => Err(format!("expected {PLACES} items, the best first, found {value}")),
            };
        }
    };
    match logit {
        Some(logit) if (logit as f32).to_bits() == good.logit.to_bits() => Ok(version.to_owned()),
        other => Err(format!("version {version}: expected the logit {}, found {other:?}", good.logit)),
    }
}

impl Met {
    pub(super) fn add(&mut self, other: Met) {
        for (own, other) in self.times.iter_mut().zip(other.times) {
            own.extend(other);
        }
        self.failed.iter_mut().zip(other.failed).for_each(|(own, other)| *own += other);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (version, count) in other.checked {
            *self.checked.entry(version).or_default() += count;
        }
        self.messages.extend(other.messages);
    }
}
