//! As much of HTTP/1.1 as asking a server of ours takes: one request at a time on a connection that stays.
use super::address::Address;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Time without a byte after which an answer is given up: longer than the server takes at most.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of the head of an answer, at most.
const HEAD: usize = 64 << 10;
/// Bytes of an answer, at most.
const BODY: usize = 256 << 20;
/// Bytes read at a time.
const PIECE: usize = 16 << 10;

/// A connection that has been opened.
pub(super) struct Connection {
    stream: TcpStream,
    /// The last answer, whose memory is used again.
    bytes: Vec<u8>,
    /// Whether it has carried an answer before.
    used: bool,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// Whether the connection can be used again.
    pub(super) stays: bool,
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the body.
    length: usize,
    stays: bool,
}

impl Connection {
    /// Connects to the first of the host's addresses that listens.
    pub(super) fn open(address: &Address) -> io::Result<Self> {
        let mut refused = io::Error::new(ErrorKind::NotFound, "no such host");
        for place in address.resolve()? {
            match TcpStream::connect_timeout(&place, CONNECT) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(SILENCE))?;
                    stream.set_write_timeout(Some(SILENCE))?;
                    return Ok(Connection { stream, bytes: Vec::new(), used: false });
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Whether a failure may only say that the server had closed the connection, idle as it was, before the
    /// request reached it.
    pub(super) fn may_have_been_closed(&self, error: &io::Error) -> bool {
        let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        self.used && self.bytes.is_empty() && closed.contains(&error.kind())
    }

    /// Sends a whole request and reads the whole answer.
    pub(super) fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.bytes.clear();
        self.stream.write_all(request)?;
        let end = loop {
            let seen = self.bytes.len().saturating_sub(3);
            self.read()?;
            if let Some(place) = self.bytes[seen..].windows(4).position(|four| four == b"\r\n\r\n") {
                break seen + place + 4;
            }
            if self.bytes.len() > HEAD {
                return Err(no_http("a head without an end"));
            }
        };
        let head = Head::parse(&self.bytes[..end])?;
        while self.bytes.len() < end + head.length {
            self.read()?;
        }
        self.used = true;
        let body = &self.bytes[end..end + head.length];
        Ok(Answer { status: head.status, body, stays: head.stays })
    }

    fn read(&mut self) -> io::Result<()> {
        let before = self.bytes.len();
        self.bytes.resize(before + PIECE, 0);
        let read = loop {
            match self.stream.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
            _ => Ok(()),
        }
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| no_http("a head that is no text"))?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| no_http("no status"))?;
        let (mut length, mut stays) = (None, first.starts_with("HTTP/1.1"));
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok().filter(|&length| length <= BODY),
                "connection" => stays &= !value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let length = length.ok_or_else(|| no_http("an answer that does not say its length"))?;
        Ok(Head { status, length, stays })
    }
}

fn no_http(found: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{found}, which is no HTTP as dlrm speaks it"))
}

/// The bytes of a request; `key` is sent where the server asks for one.
pub(super) fn request(
    address: &Address,
    (method, path): (&str, &str),
    key: Option<&str>,
    body: &[u8],
) -> Vec<u8> {
    let (host, length) = (address.authority(), body.len());
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    if let Some(key) = key {
        bytes.extend(format!("Authorization: Bearer {key}\r\n").bytes());
    }
    if method == "POST" {
        bytes.extend(format!("Content-Type: application/json\r\nContent-Length: {length}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that answers one request after the other with these bytes and then goes.
    fn server(answers: &'static [&'static str]) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let _ = stream.read(&mut [0; 4096]).unwrap();
                // In two pieces.
                let (one, other) = answer.split_at(answer.len() / 2);
                stream.write_all(one.as_bytes()).unwrap();
                stream.flush().unwrap();
                stream.write_all(other.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn answers_one_after_the_other() {
        let address = server(&[
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst",
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\n\
                Content-Length: 0\r\n\r\n",
        ]);
        let mut connection = Connection::open(&address).unwrap();
        let bytes = request(&address, ("POST", "/"), Some("k"), b"{}");
        assert!(String::from_utf8_lossy(&bytes).contains("Authorization: Bearer k\r\n"));
        assert_eq!(connection.ask(&bytes).unwrap(), Answer { status: 200, body: b"first", stays: true });
        assert_eq!(connection.ask(&bytes).unwrap(), Answer { status: 429, body: b"", stays: false });
        let gone = connection.ask(&bytes).unwrap_err();
        assert!(connection.may_have_been_closed(&gone), "{gone}");
    }

    #[test]
    fn what_is_no_answer() {
        for (answer, part) in [
            (&["SSH-2.0-OpenSSH_9.6\r\n\r\n"][..], "no status"),
            (&["HTTP/1.1 200 OK\r\n\r\n"], "its length"),
            (&["HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n"], "its length"),
            (&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"], "closed"),
            (&[""], "closed"),
        ] {
            let address = server(answer);
            let mut connection = Connection::open(&address).unwrap();
            let error = connection.ask(b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
            assert!(error.to_string().contains(part), "{answer:?}: {error}");
            assert!(!connection.may_have_been_closed(&error), "the first request is not sent again");
        }
    }
}
