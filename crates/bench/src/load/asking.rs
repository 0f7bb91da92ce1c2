//! Asking, each request when it is due.
use super::address::Address;
use super::connection::{Connection, request};
use super::error::LoadError;
use super::measured::{LoadMeasured, RunEnd};
use super::quantiles::Quantiles;
use super::requests::{Question, RequestBodies};
use super::schedule::{Arrivals, Due, Schedule};
use super::served::get;
use super::stages::Stages;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Requests before the measurement, at most, and their time.
const WARM_UP: usize = 50;
const WARM_UP_TIME: Duration = Duration::from_secs(1);
/// Time for all threads to begin.
const BEGIN: Duration = Duration::from_millis(50);
/// Time between two looks whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// The end of a wait, in which the thread does not sleep: systems wake threads so late.
const AWAKE: Duration = Duration::from_micros(80);
/// Bytes of the stack of a thread, which does little.
const STACK: usize = 256 << 10;
const OK: u16 = 200;
const REFUSED: u16 = 429;

/// How a server is put under load.
pub struct Load {
    /// The server.
    pub address: Address,
    /// The key that it asks for, if it does.
    pub key: Option<String>,
    /// What each request asks for.
    pub question: Question,
    /// How requests are spread over time.
    pub arrivals: Arrivals,
    /// Requests a second.
    pub rate: f64,
    /// For so long.
    pub seconds: f64,
    /// What times are drawn from.
    pub seed: u64,
    /// Requests that can be under way at once.
    pub connections: usize,
}

impl Load {
    /// Asks until the time is over, the server is gone, or `stop` says so.
    ///
    /// # Errors
    /// If the server cannot be reached at the beginning, or refuses the first request.
    pub fn run(
        &self,
        bodies: &RequestBodies,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<LoadMeasured, LoadError> {
        let wrap = |body: &Vec<u8>| {
            request(&self.address, ("POST", self.question.path()), self.key.as_deref(), body)
        };
        let requests: Vec<Vec<u8>> = bodies.bodies.iter().map(wrap).collect();
        self.warm_up(&requests)?;
        let unreachable = |source| LoadError::Unreachable { address: self.address.to_string(), source };
        let open = |_| Connection::open(&self.address).map_err(unreachable);
        let connections = (0..self.connections).map(open).collect::<Result<Vec<_>, _>>()?;
        let before = self.stages();
        let asking = Asking {
            load: self,
            requests: &requests,
            schedule: Mutex::new(Schedule::new(self.arrivals, self.rate, self.seconds, self.seed)),
            start: Instant::now() + BEGIN,
            end: Duration::from_secs_f64(self.seconds),
            stop,
            gone: Mutex::default(),
            over: AtomicBool::new(false),
            stopped: OnceLock::new(),
        };
        let all = asking.all(connections)?;
        let stages = match (before, self.stages()) {
            (Some(before), Some(after)) => after.since(&before),
            _ => Vec::new(),
        };
        Ok(LoadMeasured { stages, ..asking.measured(all) })
    }

    /// The first requests, which find cold memory. The very first has to be answered.
    fn warm_up(&self, requests: &[Vec<u8>]) -> Result<(), LoadError> {
        let unreachable = |source| LoadError::Unreachable { address: self.address.to_string(), source };
        let mut connection = Connection::open(&self.address).map_err(unreachable)?;
        let begun = Instant::now();
        for (number, request) in requests.iter().cycle().take(WARM_UP).enumerate() {
            let answer = connection.ask(request).map_err(unreachable)?;
            if number == 0 && answer.status != OK {
                let said: Value = serde_json::from_slice(answer.body).unwrap_or_default();
                let error = said["error"].as_str().unwrap_or("without a word").to_owned();
                let (address, status) = (self.address.to_string(), answer.status);
                return Err(LoadError::Refused { address, status, error });
            }
            if !answer.stays || begun.elapsed() > WARM_UP_TIME {
                break;
            }
        }
        Ok(())
    }

    fn stages(&self) -> Option<Stages> {
        let (status, body) = get(&self.address, self.key.as_deref(), "/metrics").ok()?;
        (status == OK).then(|| Stages::parse(&String::from_utf8_lossy(&body)))
    }
}

/// What the threads of all connections share.
struct Asking<'a> {
    load: &'a Load,
    requests: &'a [Vec<u8>],
    schedule: Mutex<Schedule>,
    start: Instant,
    end: Duration,
    stop: &'a (dyn Fn() -> bool + Sync),
    /// Why nobody listens any more.
    gone: Mutex<Option<String>>,
    over: AtomicBool,
    /// When it was found out that all is over before its time.
    stopped: OnceLock<Duration>,
}

/// What came of the requests of one connection.
#[derive(Default)]
struct Asked {
    answers: Vec<Answered>,
    unanswered: BTreeMap<String, u64>,
    /// Seconds that requests were sent late although the connection was free.
    late: Vec<f64>,
    held_back: u64,
    /// When the last answer came.
    last: Duration,
}

struct Answered {
    status: u16,
    /// Since it was due.
    seconds: f64,
}

impl Asking<'_> {
    /// Lets a thread for each connection work until the end.
    fn all(&self, connections: Vec<Connection>) -> Result<Asked, LoadError> {
        thread::scope(|scope| {
            let wanted = connections.len();
            let mut threads = Vec::with_capacity(wanted);
            for connection in connections {
                let thread = thread::Builder::new().stack_size(STACK);
                match thread.spawn_scoped(scope, move || self.work(connection)) {
                    Ok(thread) => threads.push(thread),
                    Err(source) => {
                        self.over.store(true, Ordering::Relaxed);
                        return Err(LoadError::Threads { wanted, source });
                    }
                }
            }
            let mut all = Asked::default();
            for thread in threads {
                let asked = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                all.add(asked);
            }
            Ok(all)
        })
    }

    /// Sends one request after the other, each when it is due.
    fn work(&self, connection: Connection) -> Asked {
        let (mut connection, mut asked) = (Some(connection), Asked::default());
        while let Some(due) = self.next() {
            let free_in_time = self.elapsed() <= due.at;
            if !self.wait_until(due.at) {
                break;
            }
            let late = self.elapsed().saturating_sub(due.at).as_secs_f64();
            if free_in_time {
                asked.late.push(late);
            } else {
                asked.held_back += 1;
            }
            let request = &self.requests[(due.number % self.requests.len() as u64) as usize];
            match self.ask(&mut connection, request) {
                Ok(status) => {
                    asked.last = self.elapsed();
                    let seconds = asked.last.saturating_sub(due.at).as_secs_f64();
                    asked.answers.push(Answered { status, seconds });
                }
                Err(error) => *asked.unanswered.entry(words(&error)).or_default() += 1,
            }
        }
        asked
    }

    /// The request that is due next, unless all is over.
    fn next(&self) -> Option<Due> {
        if self.elapsed() >= self.end || self.is_over() {
            return None;
        }
        lock(&self.schedule).next()
    }

    fn is_over(&self) -> bool {
        let over = self.over.load(Ordering::Relaxed) || (self.stop)();
        if over {
            self.stopped.get_or_init(|| self.elapsed());
        }
        over
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    /// Waits; `false` if all is over before.
    fn wait_until(&self, at: Duration) -> bool {
        let at = self.start + at;
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if left <= AWAKE {
                thread::yield_now();
            } else if self.is_over() {
                return false;
            } else {
                thread::sleep((left - AWAKE).min(LOOK));
            }
        }
    }

    /// The status of the answer. A connection that the server had closed is opened anew, once.
    fn ask(&self, connection: &mut Option<Connection>, request: &[u8]) -> io::Result<u16> {
        loop {
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(&self.load.address).inspect_err(|error| self.note_gone(error))?,
            };
            match open.ask(request).map(|answer| (answer.status, answer.stays)) {
                Ok((status, stays)) => {
                    *connection = stays.then_some(open);
                    return Ok(status);
                }
                // The next one is new, of which this is not to be said.
                Err(error) if open.may_have_been_closed(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the run where nobody listens any more.
    fn note_gone(&self, error: &io::Error) {
        if error.kind() == ErrorKind::ConnectionRefused {
            lock(&self.gone).get_or_insert_with(|| error.to_string());
            self.over.store(true, Ordering::Relaxed);
        }
    }

    fn measured(&self, all: Asked) -> LoadMeasured {
        let Asked { answers, unanswered, late, held_back, last } = all;
        let end = match lock(&self.gone).clone() {
            Some(error) => RunEnd::Gone(error),
            None if self.stopped.get().is_some() => RunEnd::Interrupted,
            None => RunEnd::Planned,
        };
        let until = self.stopped.get().map_or(self.end, |&stopped| stopped.min(self.end));
        let waited = |due: Due| until.saturating_sub(due.at).as_secs_f64();
        let unsent: Vec<f64> =
            lock(&self.schedule).clone().take_while(|due| due.at < until).map(waited).collect();
        let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
        answers.iter().for_each(|answer| *statuses.entry(answer.status).or_default() += 1);
        let refused = statuses.remove(&REFUSED).unwrap_or(0);
        let times = |status: u16| {
            answers.iter().filter(move |answer| answer.status == status).map(|answer| answer.seconds)
        };
        let seconds = until.max(last).as_secs_f64().max(f64::MIN_POSITIVE);
        let goodput = times(OK).count() as f64 / seconds;
        let due = (answers.len() + unsent.len()) as u64 + unanswered.values().sum::<u64>();
        let load = self.load;
        LoadMeasured {
            question: load.question.clone(),
            arrivals: load.arrivals,
            seed: load.seed,
            connections: load.connections,
            different: (self.requests.len() as u64).min(due),
            rate: load.rate,
            seconds,
            due,
            reached: answers.len() as f64 / seconds,
            goodput,
            rows_per_second: goodput * load.question.rows() as f64,
            refused,
            unanswered,
            unsent: unsent.len() as u64,
            held_back,
            latency_ms: Quantiles::of(times(OK).chain(unsent.iter().copied()).collect()),
            refused_ms: Quantiles::of(times(REFUSED).collect()),
            late_ms: Quantiles::of(late),
            stages: Vec::new(),
            end,
            statuses,
        }
    }
}

impl Asked {
    fn add(&mut self, other: Asked) {
        self.answers.extend(other.answers);
        self.late.extend(other.late);
        self.held_back += other.held_back;
        self.last = self.last.max(other.last);
        for (what, count) in other.unanswered {
            *self.unanswered.entry(what).or_default() += count;
        }
    }
}

/// What went wrong, in few words, of which there are few.
fn words(error: &io::Error) -> String {
    match error.kind() {
        // What a read within a time ends in depends on the system.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer in time".to_owned(),
        ErrorKind::InvalidData => error.to_string(),
        kind => kind.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
