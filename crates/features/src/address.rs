//! Where a store is.
use crate::error::{Error, Result};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use std::path::{Path, PathBuf};

/// Where a store is.
#[derive(Debug)]
pub(crate) enum Address {
    /// A database file.
    Sqlite(PathBuf),
    /// A server.
    Redis(Box<Server>),
}

/// A Redis server.
#[derive(Debug)]
pub(crate) struct Server {
    /// How it is reached.
    pub info: ConnectionInfo,
    /// How messages call it; without a password.
    pub name: String,
}

const FORMS: &str = "sqlite:FILE or redis://HOST[:PORT][/DATABASE]";
/// Names of files that say enough.
const ENDINGS: [&str; 3] = ["sqlite", "sqlite3", "db"];

impl Address {
    /// The store that `text` names.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            // Also `sqlite:///var/x.db`, as other programs write it.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                let hint = "name the file, as in sqlite:features.sqlite";
                return Err(Error::refused(text, "sqlite:FILE", "no file", hint));
            }
            return Ok(Address::Sqlite(path.into()));
        }
        match text.split_once("://") {
            Some(("redis", _)) => Server::parse(text).map(|server| Address::Redis(Box::new(server))),
            Some((scheme @ ("rediss" | "valkeys"), _)) => {
                let hint = "TLS is not spoken here: let a tunnel (stunnel, ssh -L) end it, and name redis://";
                Err(Error::refused("store", FORMS, format!("{scheme}://…"), hint))
            }
            Some((scheme, _)) => {
                let hint = "load the rows into a file or into Redis, which `dlrm features load` fills";
                Err(Error::refused("store", FORMS, format!("{scheme}://…"), hint))
            }
            None => {
                let ending = Path::new(text).extension().and_then(|ending| ending.to_str());
                if ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str())) {
                    return Ok(Address::Sqlite(text.into()));
                }
                let hint = format!("if it is a database file, write sqlite:{text}");
                Err(Error::refused("store", FORMS, format!("\"{text}\""), hint))
            }
        }
    }
}

impl Server {
    fn parse(text: &str) -> Result<Self> {
        // The text may hold a password.
        let refuse = |error: redis::RedisError| {
            let found = format!("redis://… ({error})");
            Error::refused("store", FORMS, found, "such as redis://localhost or redis://10.0.0.5:6379/2")
        };
        let info = text.into_connection_info().map_err(refuse)?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
            other => other.to_string(),
        };
        let database = info.redis_settings().db();
        let database = if database == 0 { String::new() } else { format!("/{database}") };
        let name = format!("redis://{place}{database}");
        // Answers are small and waited for; and one round trip to connect is enough.
        let settings = info.tcp_settings().clone().set_nodelay(true);
        let own = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(Server { info: info.set_tcp_settings(settings).set_redis_settings(own), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        match Address::parse(text) {
            Ok(Address::Sqlite(path)) => path.display().to_string(),
            Ok(Address::Redis(server)) => server.name,
            Err(error) => format!("{error} | {}", error.hint().unwrap_or_default()),
        }
    }

    #[test]
    fn files_and_servers() {
        for (text, expected) in [
            ("sqlite:runs/x", "runs/x"),
            ("sqlite:///var/x", "/var/x"),
            ("runs/features.sqlite", "runs/features.sqlite"),
            ("F.DB", "F.DB"),
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://u:secret@10.0.0.5:7000/2", "redis://10.0.0.5:7000/2"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
        ] {
            assert_eq!(parsed(text), expected);
        }
    }

    #[test]
    fn others_are_refused_and_passwords_are_not_shown() {
        for (text, part) in [
            ("runs/features", "write sqlite:runs/features"),
            ("sqlite:", "found no file"),
            ("rediss://:secret@x", "tunnel"),
            ("postgres://u:secret@x/y", "found postgres://…"),
            ("redis://:secret@x/notanumber", "database number"),
            ("redis://", "redis://…"),
        ] {
            let shown = parsed(text);
            assert!(shown.contains(part) && !shown.contains("secret"), "{text}: {shown}");
        }
    }
}
