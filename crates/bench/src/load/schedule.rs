//! When requests are due.
use dlrm_data::rng::Rng;
use serde::Serialize;
use std::time::Duration;

/// The stream of a seed that times are drawn from.
const STREAM: u64 = 0x10ad;

/// How requests are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independent of each other, as those of many users are: some come together, and what waits then is
    /// waited for.
    Poisson,
    /// One after the other with the same time between them.
    Even,
}

/// The times of all requests, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    arrivals: Arrivals,
    rate: f64,
    seconds: f64,
    rng: Rng,
    number: u64,
    /// Seconds from the start to the request that is due next.
    next: f64,
}

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Due {
    pub(super) number: u64,
    /// Time from the start.
    pub(super) at: Duration,
}

impl Schedule {
    /// `rate` requests a second, for so many seconds.
    pub(super) fn new(arrivals: Arrivals, rate: f64, seconds: f64, seed: u64) -> Self {
        let mut schedule =
            Schedule { arrivals, rate, seconds, rng: Rng::new(seed, STREAM), number: 0, next: 0.0 };
        if arrivals == Arrivals::Poisson {
            schedule.next = schedule.gap();
        }
        schedule
    }

    /// Seconds between two requests.
    fn gap(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Poisson => -libm::log(1.0 - self.rng.uniform()) / self.rate,
            Arrivals::Even => 1.0 / self.rate,
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        if self.next >= self.seconds {
            return None;
        }
        let due = Due { number: self.number, at: Duration::from_secs_f64(self.next) };
        self.number += 1;
        self.next = match self.arrivals {
            // Not added up, which would lose a little each time.
            Arrivals::Even => self.number as f64 / self.rate,
            Arrivals::Poisson => self.next + self.gap(),
        };
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_times() {
        let times: Vec<f64> =
            Schedule::new(Arrivals::Even, 4.0, 1.0, 7).map(|due| due.at.as_secs_f64()).collect();
        assert_eq!(times, [0.0, 0.25, 0.5, 0.75]);
        assert_eq!(Schedule::new(Arrivals::Even, 1000.0, 60.0, 0).count(), 60_000);
    }

    #[test]
    fn times_of_many_users() {
        let all = |seed| Schedule::new(Arrivals::Poisson, 1000.0, 60.0, seed).collect::<Vec<_>>();
        let times = all(1);
        assert_eq!(times, all(1), "they repeat");
        assert_ne!(times[0], all(2)[0]);
        assert!(times.iter().enumerate().all(|(number, due)| due.number == number as u64));
        // 60,000 expected; the count has a standard deviation of 245.
        assert!((59_000..61_000).contains(&times.len()), "{}", times.len());
        let gaps: Vec<f64> =
            times.windows(2).map(|two| two[1].at.as_secs_f64() - two[0].at.as_secs_f64()).collect();
        assert!(gaps.iter().all(|&gap| gap >= 0.0));
        // Of exponential times as many are beyond the mean as e says.
        let beyond = gaps.iter().filter(|&&gap| gap > 1e-3).count() as f64 / gaps.len() as f64;
        assert!((beyond - (-1.0f64).exp()).abs() < 0.01, "{beyond}");
    }
}
