//! An HTTP server of one file that misbehaves on request. Nothing but the standard library.
#![allow(dead_code)]
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Sends the file, or the range that is asked for if it is of this file.
    Serve,
    /// Serves the file, and closes the connection after so many bytes.
    Cut(usize),
    /// Knows no ranges and has no validator; closes after so many bytes.
    Plain(usize),
    /// From now on there is another file.
    Replace(Vec<u8>, &'static str),
    /// Says so much and nothing more.
    Status(u16),
    /// Sends the client elsewhere.
    Redirect(String),
    /// Sends so many bytes and then nothing, without closing.
    Hang(usize),
    /// Sends the file in small pieces, a while apart.
    Trickle,
    /// Claims another length.
    Claim(usize),
}

/// A running server.
pub(super) struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `body`: the first request as the first act says, and so on; the last act stays.
    pub(super) fn start(body: Vec<u8>, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/file", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            let (mut body, mut tag, mut open) = (body, "\"one\"", Vec::new());
            for (i, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { continue };
                let Some(request) = head(&stream) else { continue };
                seen.lock().unwrap().push(request.clone());
                let act = acts[i.min(acts.len() - 1)].clone();
                if let Act::Replace(other, other_tag) = &act {
                    (body, tag) = (other.clone(), other_tag);
                }
                // The client may have gone; that is its business.
                let _ = answer(&mut stream, &act, &request, &body, tag);
                if matches!(act, Act::Hang(_)) {
                    open.push(stream);
                }
            }
        });
        Server { url, requests }
    }

    /// Heads of the requests so far, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The ranges that were asked for.
    pub(super) fn ranges(&self) -> Vec<Option<usize>> {
        self.requests().iter().map(|request| range(request)).collect()
    }
}

fn head(stream: &TcpStream) -> Option<String> {
    let mut head = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(head);
        }
        head.push_str(&line.to_lowercase());
        head.push('\n');
    }
    None
}

fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn range(request: &str) -> Option<usize> {
    field(request, "range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn answer(stream: &mut TcpStream, act: &Act, request: &str, body: &[u8], tag: &str) -> std::io::Result<()> {
    let length = |n: usize| format!("Content-Length: {n}\r\n");
    match act {
        Act::Status(status) => {
            write!(stream, "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        }
        Act::Redirect(url) => {
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
            )
        }
        Act::Plain(most) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n{}\r\n", length(body.len()))?;
            stream.write_all(&body[..body.len().min(*most)])
        }
        Act::Claim(claimed) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n{}\r\n", length(*claimed))?;
            stream.write_all(body)
        }
        Act::Serve | Act::Replace(..) => serve(stream, request, body, tag, usize::MAX),
        Act::Cut(most) | Act::Hang(most) => serve(stream, request, body, tag, *most),
        Act::Trickle => {
            serve(stream, request, body, tag, 0)?;
            body.chunks(1000).try_for_each(|piece| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                stream.write_all(piece)
            })
        }
    }
}

fn serve(stream: &mut TcpStream, request: &str, body: &[u8], tag: &str, most: usize) -> std::io::Result<()> {
    let first = range(request).filter(|&first| first < body.len() && field(request, "if-range") == Some(tag));
    let rest = &body[first.unwrap_or(0)..];
    let all = body.len();
    match first {
        Some(first) => write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{}/{all}\r\n",
            all - 1
        )?,
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
    }
    write!(stream, "Connection: close\r\nETag: {tag}\r\nContent-Length: {}\r\n\r\n", rest.len())?;
    stream.write_all(&rest[..rest.len().min(most)])?;
    stream.flush()
}
