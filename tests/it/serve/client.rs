//! A plain client: bytes over a socket, so that nothing is mended on the way.
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}\n{:?}", self.head, self.body))
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header, by its name in small letters.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let line =
            self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

/// Asks with a body.
pub(super) fn post(at: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    with_headers(at, "POST", path, "", body.as_ref())
}

pub(super) fn get(at: SocketAddr, path: &str) -> Answer {
    with_headers(at, "GET", path, "", b"")
}

/// Asks with further header lines, each ended.
pub(super) fn with_headers(at: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
        {headers}\r\n"
    );
    raw(at, &[head.as_bytes(), body])
}

/// Sends these bytes and reads whatever comes until the other side is done.
pub(super) fn raw(at: SocketAddr, parts: &[&[u8]]) -> Answer {
    let mut stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
    for part in parts {
        // A server that refuses need not read to the end.
        if stream.write_all(part).is_err() {
            break;
        }
    }
    answer(&mut stream)
}

/// Reads an answer to its end.
pub(super) fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset behind the answer is no matter.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("an answer, found {bytes:?}"));
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a header");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}
