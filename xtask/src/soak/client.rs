//! Asking a server over a connection that stays, as little of HTTP/1.1 as that takes.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Time without a byte after which an answer is given up: longer than the server takes at most.
const SILENCE: Duration = Duration::from_secs(30);
/// Requests on a connection, after which another is opened.
const MOST: u32 = 500;

/// A client with at most one open connection.
pub(super) struct Client {
    at: SocketAddr,
    open: Option<(TcpStream, u32)>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Client {
    pub(super) fn new(at: SocketAddr) -> Self {
        Client { at, open: None }
    }

    pub(super) fn post(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        self.ask(&request("POST", path, body))
    }

    pub(super) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(&request("GET", path, ""))
    }

    fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let (mut stream, asked) = match self.open.take() {
            Some(open) => open,
            None => (connect(self.at)?, 0),
        };
        stream.write_all(request)?;
        let answer = read(&mut stream)?;
        self.open = (asked < MOST).then_some((stream, asked + 1));
        Ok(answer)
    }
}

/// A connection with a bound on silence.
pub(super) fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    Ok(stream)
}

/// The bytes of a request.
pub(super) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let wrong = |found: &str| io::Error::new(ErrorKind::InvalidData, format!("no HTTP: {found}"));
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut piece)? {
        0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
        n => {
            bytes.extend_from_slice(&piece[..n]);
            Ok(())
        }
    };
    let end = loop {
        more(&mut bytes)?;
        if let Some(place) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break place + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| wrong("no status"))?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.ok_or_else(|| wrong("no length"))?;
    while bytes.len() < end + length {
        more(&mut bytes)?;
    }
    Ok(Answer { status, body: bytes[end..end + length].to_vec() })
}
