//! Where a server is.
use super::error::LoadError;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Port where an address names none.
const PORT: u16 = 80;

/// An address that begins with `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads `http://HOST:PORT`.
    ///
    /// # Errors
    /// Of anything else, https among it.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        let wrong = |expected: &'static str, found: &str| LoadError::Address {
            address: text.to_owned(),
            expected,
            found: found.to_owned(),
        };
        let Some(rest) = text.strip_prefix("http://") else {
            let found = text.split_once("://").map_or(text, |(scheme, _)| scheme);
            return Err(wrong("an address that begins with http://", found));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(place) = rest.find(['/', '?', '#']) {
            return Err(wrong("nothing behind host and port", &rest[place..]));
        }
        let (host, port) = match rest.rsplit_once(':') {
            // The last colon of an IPv6 address without a port lies within its brackets.
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (rest, "80"),
        };
        let port = if port.is_empty() { Ok(PORT) } else { port.parse() };
        let port = port.map_err(|_| wrong("a port from 1 to 65535", rest))?;
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._[]:%".contains(c);
        if host.is_empty() || port == 0 || !host.chars().all(letters) {
            return Err(wrong("http://HOST:PORT", rest));
        }
        Ok(Address { host: host.to_owned(), port })
    }

    /// The addresses that its host has.
    pub(super) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        Ok((host, self.port).to_socket_addrs()?.collect())
    }

    /// Host and port, as a request names them.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_is() {
        for (text, shown) in [
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://ranker", "http://ranker:80"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for (text, part) in [
            ("https://localhost:8000", "found https"),
            ("ftp://x", "http://"),
            ("http://localhost:8000/v1/predict", "/v1/predict"),
            ("http://localhost:port", "a port"),
            ("http://localhost:70000", "a port"),
            ("http://:8000", "HOST:PORT"),
            ("http://a\r\nb:80", "HOST:PORT"),
            ("http://me:secret@host:80", "HOST:PORT"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
