//! One file by HTTP. What has arrived stays on disk, and the next attempt, or the next run, asks for the
//! rest.
//!
//! The rest is asked for with `Range` and `If-Range`: a server whose file has changed since (by ETag or date)
//! sends the whole of it, and so does one that knows no ranges; both mean starting again. Without a strong
//! validator nothing is resumed.
use crate::error::{Error, Result};
use crate::observer::Observer;
use dlrm_data::Hint;
use dlrm_data::format::{self, count};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;
use ureq::http::{Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

/// How patient a transfer is.
#[derive(Debug, Clone)]
pub struct Patience {
    /// To connect.
    pub connect: Duration,
    /// Without a byte from the server.
    pub idle: Duration,
    /// Attempts in a row that bring nothing new, of which the last is the end.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Patience { connect: seconds(15), idle: seconds(30), attempts: 5, pause: seconds(1) }
    }
}

/// A server that was never reached is given this many attempts: there may be no network at all.
const UNREACHED: u32 = 2;

/// What to fetch and where to.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// Address.
    pub url: &'a str,
    /// File that grows.
    pub path: &'a Path,
    /// Length, where it is published.
    pub bytes: Option<u64>,
    /// Never more than this.
    pub most: u64,
    /// How long to wait.
    pub patience: &'a Patience,
}

/// What is known of a file that is not whole; lies beside it as `.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    url: String,
    /// Strong ETag or date of last change.
    validator: Option<String>,
    bytes: Option<u64>,
}

/// Why an attempt ended.
enum Fault {
    /// Another one would end the same way.
    Final(Error),
    /// Another one may do better.
    Passing { what: String, reached: bool },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Final(error)
    }
}

impl Transfer<'_> {
    /// Fetches until the file is whole.
    ///
    /// # Errors
    /// If the server refuses, cannot be reached or breaks off too often; as the file system; if the observer
    /// wishes to stop.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<()> {
        let agent = self.agent()?;
        let (mut failures, mut longest, mut pause, mut was_reached) =
            (0, self.length(), self.patience.pause, false);
        loop {
            let (what, reached) = match self.attempt(&agent, observer) {
                Ok(()) => return Ok(()),
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Passing { what, reached }) => (what, reached),
            };
            was_reached |= reached;
            if self.length() > longest {
                (longest, failures, pause) = (self.length(), 0, self.patience.pause);
            }
            failures += 1;
            if failures
                >= if was_reached { self.patience.attempts } else { UNREACHED.min(self.patience.attempts) }
            {
                return Err(self.given_up(what));
            }
            observer.warned(&format!("{what}; again in {:.0} s", pause.as_secs_f64().ceil()));
            self.wait(pause, observer)?;
            pause *= 2;
        }
    }

    fn agent(&self) -> Result<Agent> {
        let uri = self
            .url
            .parse::<Uri>()
            .ok()
            .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        let Some(uri) = uri else {
            return Err(Error::Address { url: self.url.to_owned() });
        };
        let patience = self.patience;
        let config = Agent::config_builder()
            .user_agent(concat!("dlrm/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // A redirect may not lead out of TLS.
            .https_only(uri.scheme_str() == Some("https"))
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.idle))
            .timeout_per_read(Some(patience.idle))
            .timeout_per_write(Some(patience.idle));
        // What runs on this machine is not behind a proxy.
        let is_local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        Ok(if is_local { config.proxy(None) } else { config }.build().new_agent())
    }

    fn attempt(&self, agent: &Agent, observer: &mut dyn Observer) -> Result<(), Fault> {
        let state = self.state();
        let have = self.length();
        if have > 0 && state.bytes == Some(have) {
            return Ok(());
        }
        // Compressed on the way, ranges would be those of something else.
        let mut request = agent.get(self.url).header(header::ACCEPT_ENCODING, "identity");
        let validator = state.validator.as_ref().filter(|_| have > 0);
        if let Some(validator) = validator {
            request =
                request.header(header::RANGE, format!("bytes={have}-")).header(header::IF_RANGE, validator);
        }
        let response = request.call().map_err(|error| self.fault(error))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT
                if validator.is_some() && range_of(&response) == (Some(have), state.bytes) =>
            {
                self.receive(response, have, state.bytes, observer)
            }
            StatusCode::OK => {
                let total = length_of(&response);
                self.check_length(total)?;
                // The old bytes go before the new validator comes.
                File::create(self.path).map_err(Error::io("create", self.path))?;
                self.remember(&State {
                    url: self.url.to_owned(),
                    validator: validator_of(&response),
                    bytes: total,
                })?;
                self.receive(response, 0, total, observer)
            }
            status @ (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE) => {
                self.forget()?;
                Err(Fault::Passing {
                    what: format!("{} answered {status} with another range", self.host()),
                    reached: true,
                })
            }
            status if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) => {
                Err(Fault::Passing { what: format!("{} answered {status}", self.host()), reached: true })
            }
            status => Err(Fault::Final(self.refused(status))),
        }
    }

    /// Appends the body of `response` to the first `have` bytes.
    fn receive(
        &self,
        response: Response<Body>,
        have: u64,
        total: Option<u64>,
        observer: &mut dyn Observer,
    ) -> Result<(), Fault> {
        let mut file =
            OpenOptions::new().append(true).open(self.path).map_err(Error::io("open", self.path))?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut have = have;
        loop {
            observer.progress(have, total);
            if observer.should_stop() {
                return Err(Fault::Final(self.interrupted()));
            }
            let length = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) => {
                    let what = format!(
                        "{} broke off after {}: {}",
                        self.host(),
                        amount(have, total),
                        reason(&error)
                    );
                    return Err(Fault::Passing { what, reached: true });
                }
            };
            have += length as u64;
            if have > self.most {
                drop(file);
                self.forget()?;
                let found = format!("more than {} bytes", count(self.most));
                return Err(Fault::Final(Error::input(
                    self.url,
                    format!("at most {} bytes", count(self.most)),
                    found,
                )));
            }
            file.write_all(&buffer[..length]).map_err(Error::io("write", self.path))?;
        }
        match total {
            Some(total) if have != total => {
                let what = format!("{} ended after {}", self.host(), amount(have, Some(total)));
                Err(Fault::Passing { what, reached: true })
            }
            _ => file.sync_all().map_err(|error| Error::io("write", self.path)(error).into()),
        }
    }

    fn check_length(&self, total: Option<u64>) -> Result<()> {
        let hint = "the publisher's file has changed, or this is another one: look at the publisher's page";
        match (total, self.bytes) {
            (Some(found), Some(expected)) if found != expected => {
                let (expected, found) =
                    (format!("{} bytes", count(expected)), format!("{} bytes", count(found)));
                Err(Error::input(self.url, expected, found).with_hint(hint))
            }
            (Some(found), None) if found > self.most => {
                let (expected, found) =
                    (format!("at most {} bytes", count(self.most)), format!("{} bytes", count(found)));
                Err(Error::input(self.url, expected, found).with_hint(hint))
            }
            _ => Ok(()),
        }
    }

    fn fault(&self, error: ureq::Error) -> Fault {
        use ureq::Error as Http;
        let host = self.host();
        let what = match error {
            Http::HostNotFound => format!("no address was found for {host}"),
            Http::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
                format!(
                    "{host} could not be reached within {:.0} s",
                    self.patience.connect.as_secs_f64().ceil()
                )
            }
            Http::Timeout(_) => {
                let what =
                    format!("{host} sent nothing for {:.0} s", self.patience.idle.as_secs_f64().ceil());
                return Fault::Passing { what, reached: true };
            }
            // This is how TLS says that a certificate or a greeting is wrong.
            Http::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Fault::Final(self.distrusted(&error));
            }
            Http::Io(error) => format!("{host} could not be reached: {}", reason(&error)),
            Http::ConnectionFailed => format!("{host} could not be reached"),
            // These do not pass: a wrong certificate, a redirect out of TLS or in circles, no HTTP at all.
            other => return Fault::Final(self.given_up(format!("{host}: {other}"))),
        };
        Fault::Passing { what, reached: false }
    }

    fn given_up(&self, what: String) -> Error {
        let kept = match self.length() {
            0 => String::new(),
            have => {
                format!("; {} have arrived and stay: the same command resumes there", format::bytes(have))
            }
        };
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let hint = Hint::from(format!("without a network, fetch {file} elsewhere and give it with "));
        let hint = hint.set("fetch.from", "FILE").say(kept);
        Error::Network { url: self.url.to_owned(), what, hint }
    }

    fn distrusted(&self, error: &std::io::Error) -> Error {
        let mut error = self.given_up(format!("no trusted connection to {}: {error}", self.host()));
        if let (Error::Network { hint, .. }, Some(_), Some(rest)) =
            (&mut error, self.bytes, self.url.strip_prefix("https://"))
        {
            *hint = std::mem::take(hint)
                .say("; the published checksum guards this file, so ")
                .set("fetch.url", format!("http://{rest}"))
                .say(" is as good");
        }
        error
    }

    fn refused(&self, status: StatusCode) -> Error {
        let hint =
            Hint::from("look at the publisher's page for where it has gone, and give the address with ");
        Error::Network {
            url: self.url.to_owned(),
            what: format!("{} answered {status}", self.host()),
            hint: hint.name("fetch.url").say(" or the file with ").name("fetch.from"),
        }
    }

    fn interrupted(&self) -> Error {
        let have = format::bytes(self.length());
        Error::Interrupted {
            what: format!(
                "{have} have arrived and stay in {}; the same command resumes there",
                self.path.display()
            ),
        }
    }

    fn wait(&self, pause: Duration, observer: &mut dyn Observer) -> Result<()> {
        const STEP: Duration = Duration::from_millis(50);
        let mut left = pause;
        while !left.is_zero() {
            if observer.should_stop() {
                return Err(self.interrupted());
            }
            let step = left.min(STEP);
            sleep(step);
            left -= step;
        }
        Ok(())
    }

    fn host(&self) -> String {
        self.url
            .parse::<Uri>()
            .ok()
            .and_then(|uri| uri.authority().map(|a| a.host().to_owned()))
            .unwrap_or_else(|| self.url.to_owned())
    }

    fn length(&self) -> u64 {
        fs::metadata(self.path).map_or(0, |metadata| metadata.len())
    }

    fn state_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".json");
        PathBuf::from(name)
    }

    /// What is known of the file; nothing, if it came from another address.
    fn state(&self) -> State {
        let text = fs::read(self.state_path()).unwrap_or_default();
        serde_json::from_slice::<State>(&text).ok().filter(|state| state.url == self.url).unwrap_or_default()
    }

    fn remember(&self, state: &State) -> Result<()> {
        let path = self.state_path();
        let text = serde_json::to_vec(state).unwrap_or_default();
        fs::write(&path, text).map_err(Error::io("write", &path))
    }

    /// Removes what has arrived.
    ///
    /// # Errors
    /// If the file system refuses: the error names the file and what was attempted.
    pub fn forget(&self) -> Result<()> {
        for path in [self.state_path(), self.path.to_owned()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn amount(have: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} of {} bytes", count(have), count(total)),
        None => format!("{} bytes", count(have)),
    }
}

/// What an error of the network says, without the names of libraries.
fn reason(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => "nothing came any more".into(),
        _ if error.kind() == std::io::ErrorKind::UnexpectedEof => "the connection was closed".into(),
        _ => error.to_string(),
    }
}

fn text<'a>(response: &'a Response<Body>, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn length_of(response: &Response<Body>) -> Option<u64> {
    text(response, &header::CONTENT_LENGTH)?.parse().ok()
}

/// A strong ETag, else the date of last change.
fn validator_of(response: &Response<Body>) -> Option<String> {
    let tag = text(response, &header::ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(response, &header::LAST_MODIFIED)).map(str::to_owned)
}

/// First byte and length of the whole, of `Content-Range: bytes 7-99/100`.
fn range_of(response: &Response<Body>) -> (Option<u64>, Option<u64>) {
    let range = text(response, &header::CONTENT_RANGE).and_then(|text| text.strip_prefix("bytes "));
    let Some((places, total)) = range.and_then(|range| range.split_once('/')) else { return (None, None) };
    (places.split('-').next().and_then(|first| first.parse().ok()), total.parse().ok())
}
