//! Connections to a server, and what is known of its state. After an outage they are made anew by those who
//! ask; for a moment after each failure nobody tries, so that not every request waits for the deadline.
use crate::address::Server;
use crate::error::{Error, Result};
use redis::{Client, Connection, FromRedisValue, Pipeline, RedisError, Value};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nobody tries after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest deadline.
const LONGEST: Duration = Duration::from_secs(3600);
/// Connections that are kept while nobody uses them.
const IDLE: usize = 32;

/// Connections to a server.
pub(crate) struct Pool {
    server: Server,
    idle: Mutex<Vec<Connection>>,
    /// The last failure, and when it was.
    outage: Mutex<Option<(Instant, String)>>,
}

/// When an answer must be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Instant,
    length: Duration,
}

impl Deadline {
    /// `length` from now.
    pub(crate) fn within(length: Duration) -> Self {
        let length = length.min(LONGEST);
        Deadline { end: Instant::now() + length, length }
    }

    /// What is left of it; `None` if it has passed.
    fn left(self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// Why a connection gave no answer.
enum Failed {
    /// It is of no use any more; another one may be.
    Connection(RedisError),
    /// The server answered with an error.
    Server(RedisError),
    /// The deadline has passed.
    Late,
}

impl Pool {
    /// Of a server, to which no connection is made yet.
    pub(crate) fn new(server: Server) -> Self {
        Pool { server, idle: Mutex::default(), outage: Mutex::default() }
    }

    /// How messages call the server.
    pub(crate) fn name(&self) -> &str {
        &self.server.name
    }

    /// The answers to all `commands`, in one round trip.
    pub(crate) fn ask<T: FromRedisValue>(&self, commands: &Pipeline, deadline: Deadline) -> Result<T> {
        if let Some((since, reason)) = &*self.outage.lock().unwrap_or_else(PoisonError::into_inner)
            && since.elapsed() < PAUSE
        {
            return Err(Error::unavailable("read", self.name(), reason.as_str()));
        }
        match self.answers(commands, deadline) {
            Ok(answers) => {
                *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = None;
                redis::from_redis_value(Value::Array(answers))
                    .map_err(|error| Error::content(self.name(), "the keys of features", error.to_string()))
            }
            Err(Failed::Server(error)) if is_wrong_type(&error) => {
                Err(Error::content(self.name(), "the keys of features", error.to_string()))
            }
            Err(failed) => Err(self.out(failed, deadline)),
        }
    }

    /// Notes an outage down.
    fn out(&self, failed: Failed, deadline: Deadline) -> Error {
        let reason = match failed {
            Failed::Connection(error) | Failed::Server(error) => error.to_string(),
            Failed::Late => format!("no answer within {} ms", deadline.length.as_millis()),
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), reason.clone()));
        Error::unavailable("read", self.name(), reason)
            .with_hint("see whether the server runs (`redis-cli ping`), and is near enough for the deadline")
    }

    fn answers(&self, commands: &Pipeline, deadline: Deadline) -> Result<Vec<Value>, Failed> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let was_idle = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => connect(&self.server, deadline)?,
            };
            match answers(&mut connection, commands, deadline) {
                // The server may have gone and come back since it was used last.
                Err(Failed::Connection(_)) if was_idle => continue,
                Err(failed) => return Err(failed),
                Ok(answers) => {
                    let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                    if idle.len() < IDLE {
                        idle.push(connection);
                    }
                    return Ok(answers);
                }
            }
        }
    }
}

fn connect(server: &Server, deadline: Deadline) -> Result<Connection, Failed> {
    let left = deadline.left().ok_or(Failed::Late)?;
    let connected =
        Client::open(server.info.clone()).and_then(|client| client.get_connection_with_timeout(left));
    connected.map_err(|error| if error.is_timeout() { Failed::Late } else { Failed::Connection(error) })
}

/// Sends all commands and waits for their answers, the first error of which is that of all.
fn answers(
    connection: &mut Connection,
    commands: &Pipeline,
    deadline: Deadline,
) -> Result<Vec<Value>, Failed> {
    let failed = |error: RedisError| {
        if error.is_timeout() { Failed::Late } else { Failed::Connection(error) }
    };
    let left = deadline.left().ok_or(Failed::Late)?;
    connection.set_write_timeout(Some(left)).map_err(failed)?;
    connection.send_packed_command(&commands.get_packed_pipeline()).map_err(failed)?;
    let mut answers = Vec::with_capacity(commands.len());
    for _ in 0..commands.len() {
        let left = deadline.left().ok_or(Failed::Late)?;
        connection.set_read_timeout(Some(left)).map_err(failed)?;
        answers.push(connection.recv_response().map_err(failed)?);
    }
    answers.into_iter().map(|answer| answer.extract_error().map_err(Failed::Server)).collect()
}

/// Whether a key holds another kind of value than was asked for.
fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}
