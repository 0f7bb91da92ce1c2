//! How the server does at this moment: figures of the last seconds.
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds that figures are of.
const SECONDS: usize = 10;
/// Classes of times: eight to each doubling, from 10 µs on.
const CLASSES: usize = 192;
const FIRST: f64 = 10e-6;
const TO_A_DOUBLING: f64 = 8.0;

/// Counts of the last seconds, by model.
pub(crate) struct Live {
    begun: Instant,
    models: Mutex<BTreeMap<String, Ring>>,
}

type Ring = [Second; SECONDS];

#[derive(Clone, Copy)]
struct Second {
    /// Which second since the start.
    number: u64,
    requests: u64,
    rows: u64,
    errors: u64,
    times: [u32; CLASSES],
}

const EMPTY: Second = Second { number: u64::MAX, requests: 0, rows: 0, errors: 0, times: [0; CLASSES] };

/// What a model did in the last seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) requests_per_second: f64,
    pub(crate) rows_per_second: f64,
    pub(crate) errors_per_second: f64,
    /// Milliseconds that half of the requests took at most; within 9 %.
    pub(crate) p50_ms: Option<f64>,
    /// Those that 99 of 100 did.
    pub(crate) p99_ms: Option<f64>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Live { begun: Instant::now(), models: Mutex::default() }
    }

    /// Counts a request.
    pub(crate) fn add(&self, model: &str, rows: usize, took: Duration, is_error: bool) {
        self.add_at(self.begun.elapsed().as_secs(), model, rows, took, is_error);
    }

    fn add_at(&self, now: u64, model: &str, rows: usize, took: Duration, is_error: bool) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if !models.contains_key(model) {
            models.insert(model.to_owned(), [EMPTY; SECONDS]);
        }
        let Some(ring) = models.get_mut(model) else { return };
        let second = &mut ring[now as usize % SECONDS];
        if second.number != now {
            *second = Second { number: now, ..EMPTY };
        }
        second.requests += 1;
        second.rows += rows as u64;
        second.errors += u64::from(is_error);
        let class = (took.as_secs_f64() / FIRST).log2().max(0.0) * TO_A_DOUBLING;
        second.times[(class as usize).min(CLASSES - 1)] += 1;
    }

    /// Figures of all models that were asked in the last seconds.
    pub(crate) fn figures(&self) -> BTreeMap<String, Figures> {
        self.figures_at(self.begun.elapsed().as_secs())
    }

    fn figures_at(&self, now: u64) -> BTreeMap<String, Figures> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.iter().map(|(name, ring)| (name.clone(), figures(ring, now))).collect()
    }
}

fn figures(ring: &Ring, now: u64) -> Figures {
    let known = now.min(SECONDS as u64 - 1) + 1;
    let recent = || ring.iter().filter(|second| second.number != u64::MAX && second.number + known > now);
    let rate = |of: fn(&Second) -> u64| recent().map(of).sum::<u64>() as f64 / known as f64;
    let all: u64 = recent().map(|second| second.requests).sum();
    let quantile = |share: f64| {
        let mut left = (share * all as f64).ceil() as u64;
        (0..CLASSES).find_map(|class| {
            let own: u64 = recent().map(|second| u64::from(second.times[class])).sum();
            left = left.saturating_sub(own);
            (left == 0).then(|| 1e3 * FIRST * f64::exp2((class as f64 + 1.0) / TO_A_DOUBLING))
        })
    };
    Figures {
        requests_per_second: rate(|second| second.requests),
        rows_per_second: rate(|second| second.rows),
        errors_per_second: rate(|second| second.errors),
        p50_ms: (all > 0).then(|| quantile(0.5)).flatten(),
        p99_ms: (all > 0).then(|| quantile(0.99)).flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_last_seconds() {
        let live = Live::new();
        for second in 0..30 {
            for request in 0..100 {
                let took = Duration::from_millis(if request < 98 { 1 } else { 100 });
                live.add_at(second, "a", 3, took, request == 0);
            }
        }
        let of = live.figures_at(29)["a"];
        assert_eq!((of.requests_per_second, of.rows_per_second, of.errors_per_second), (100.0, 300.0, 1.0));
        let (p50, p99) = (of.p50_ms.unwrap(), of.p99_ms.unwrap());
        assert!((1.0..1.1).contains(&p50) && (100.0..109.1).contains(&p99), "{p50} {p99}");
        let later = live.figures_at(100)["a"];
        assert_eq!((later.requests_per_second, later.p50_ms), (0.0, None));
    }
}
