//! As much of HTTP as it takes to see whether a server is there and to tell it to load a model.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(30);

/// An address of this machine that nobody listens at.
pub(super) fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|e| format!("a free port: {e}"))
}

/// Sends a request without a body; the status of the answer.
pub(super) fn status(address: SocketAddr, method: &str, path: &str) -> Result<u16, String> {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, TIME)?;
        stream.set_read_timeout(Some(TIME))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = asked().map_err(|e| format!("{method} http://{address}{path}: {e}"))?;
    let found = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    found.ok_or_else(|| format!("{method} http://{address}{path}: expected a status, found none"))
}
