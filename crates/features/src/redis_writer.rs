//! Filling a Redis server: rows go under keys of a new generation, which one command makes the one that is
//! read. Those of earlier generations go afterwards.
//!
//! One load at a time: who loads holds `dlrm:loading`, which goes by itself a minute after its last sign of
//! life. So what is left of a load that was killed is older than the next one, which clears it away.
use crate::address::Server;
use crate::error::{Error, Result};
use crate::redis_keys::{self, Description, FEATURES, GENERATION, LOADING};
use crate::store::{Table, TableName};
use crate::writer::Writer;
use redis::{Client, Connection, FromRedisValue, Pipeline, RedisError};
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a load may give no sign of life, in seconds.
const LEASE: u64 = 60;
/// Rows, and bytes of them, that are sent at a time.
const ROWS: usize = 1000;
const BYTES: usize = 1 << 20;

/// A server that is being filled.
pub(crate) struct RedisWriter {
    connection: Connection,
    /// How messages call the server.
    name: String,
    generation: u64,
    /// Tables that were filled, and the one that is.
    tables: Vec<(TableName, Description)>,
    /// Rows that are not sent yet.
    commands: Pipeline,
    bytes: usize,
}

impl RedisWriter {
    /// Takes the right to load.
    pub(crate) fn begin(server: Server) -> Result<Self> {
        let failed = failed(&server.name);
        let client = Client::open(server.info).map_err(&failed)?;
        let mut connection = client.get_connection_with_timeout(PATIENCE).map_err(&failed)?;
        for set in [Connection::set_read_timeout, Connection::set_write_timeout] {
            set(&connection, Some(PATIENCE)).map_err(&failed)?;
        }
        let generation = redis::cmd("INCR").arg(GENERATION).query(&mut connection).map_err(&failed)?;
        let mut writer = RedisWriter {
            connection,
            name: server.name,
            generation,
            tables: Vec::new(),
            commands: redis::pipe(),
            bytes: 0,
        };
        if writer.take_turn()? {
            return Ok(writer);
        }
        let hint = format!("wait for it; if its process is dead, its turn ends after {LEASE} seconds");
        let what = writer.name;
        Err(Error::refused(what, "a store that no other process loads", "one that does", hint))
    }

    /// Takes the right to load, where nobody has it.
    fn take_turn(&mut self) -> Result<bool> {
        let mut take = redis::cmd("SET");
        take.arg(LOADING).arg(self.generation).arg("NX").arg("EX").arg(LEASE);
        let taken: Option<String> = self.query(&take)?;
        Ok(taken.is_some())
    }

    fn query<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T> {
        command.query(&mut self.connection).map_err(failed(&self.name))
    }

    /// The generation that has the right to load.
    fn holder(&mut self) -> Result<Option<u64>> {
        self.query(redis::cmd("GET").arg(LOADING))
    }

    /// Fails unless it is still this process's turn; prolongs it.
    fn keep_turn(&mut self) -> Result<()> {
        let holder = self.holder()?;
        if holder == Some(self.generation) {
            return self.query(redis::cmd("EXPIRE").arg(LOADING).arg(LEASE));
        }
        // Nobody took it while rows were long in coming.
        if holder.is_none() && self.take_turn()? {
            return Ok(());
        }
        let reason = format!("another load began, as this one gave no sign of life for {LEASE} seconds");
        Err(Error::unavailable("write", &self.name, reason))
    }

    /// Sends the rows. Each answer says whether its row is the first of its key.
    fn send(&mut self) -> Result<()> {
        if self.commands.is_empty() {
            return Ok(());
        }
        self.keep_turn()?;
        let commands = std::mem::replace(&mut self.commands, redis::pipe());
        self.bytes = 0;
        let Some((name, table)) = self.tables.last_mut() else { return Ok(()) };
        let failed = failed(&self.name);
        table.rows += match name {
            // The value that stood there before.
            TableName::Users | TableName::Items => {
                let before: Vec<Option<Vec<u8>>> = commands.query(&mut self.connection).map_err(failed)?;
                before.iter().filter(|before| before.is_none()).count() as u64
            }
            // The number of new members.
            TableName::Seen => {
                let added: Vec<u64> = commands.query(&mut self.connection).map_err(failed)?;
                added.iter().sum()
            }
        };
        Ok(())
    }

    /// Removes the rows of those generations of a table of which `goes` says so.
    fn remove(&mut self, name: TableName, goes: impl Fn(u64) -> bool) -> Result<()> {
        let mut cursor = 0u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}*", redis_keys::prefix(name)))
                .arg("COUNT")
                .arg(ROWS);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.query(&scan)?;
            let is_old = |key: &&Vec<u8>| {
                let key = String::from_utf8_lossy(key);
                redis_keys::generation(name, &key).is_some_and(&goes)
            };
            let old: Vec<&Vec<u8>> = keys.iter().filter(is_old).collect();
            if !old.is_empty() {
                self.query::<u64>(redis::cmd("UNLINK").arg(old))?;
                self.keep_turn()?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Makes the tables the ones that are read, all at once, if it is still this process's turn.
    fn switch(&mut self) -> Result<()> {
        let lost = "another load began before this one came to its end";
        self.keep_turn()?;
        self.query::<()>(redis::cmd("WATCH").arg(LOADING))?;
        if self.holder()? != Some(self.generation) {
            return Err(Error::unavailable("write", &self.name, lost));
        }
        let mut commands = redis::pipe();
        commands.atomic().cmd("HSET").arg(FEATURES);
        for (name, description) in &self.tables {
            commands.arg(name.as_str()).arg(serde_json::json!(description).to_string());
        }
        let done: Option<(u64,)> = commands.query(&mut self.connection).map_err(failed(&self.name))?;
        done.map(drop).ok_or_else(|| Error::unavailable("write", &self.name, lost))
    }

    /// Gives the right to load away, if it is still this process's.
    fn end_turn(&mut self) -> Result<()> {
        let is_own = self.holder()? == Some(self.generation);
        if is_own { self.query(redis::cmd("DEL").arg(LOADING)) } else { Ok(()) }
    }
}

impl Writer for RedisWriter {
    fn begin(&mut self, name: TableName, table: &Table) -> Result<()> {
        let description = Description { generation: self.generation, rows: 0, table: table.clone() };
        self.tables.push((name, description));
        Ok(())
    }

    fn row(&mut self, fields: &[&str]) -> Result<()> {
        let Some((name, _)) = self.tables.last() else { return Ok(()) };
        let key = redis_keys::row(*name, self.generation, fields[0]);
        self.bytes += key.len();
        match name {
            TableName::Users | TableName::Items => {
                let row = serde_json::json!(fields[1..]).to_string();
                self.bytes += row.len();
                self.commands.cmd("SET").arg(key).arg(row).arg("GET");
            }
            TableName::Seen => {
                self.bytes += fields[1].len();
                self.commands.cmd("SADD").arg(key).arg(fields[1]);
            }
        }
        if self.commands.len() >= ROWS || self.bytes >= BYTES { self.send() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<u64> {
        self.send()?;
        Ok(self.tables.last().map_or(0, |(_, table)| table.rows))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if let Err(error) = self.switch() {
            self.abandon();
            return Err(error);
        }
        let (own, tables) = (self.generation, std::mem::take(&mut self.tables));
        // All is done; what cannot be cleared away now the next load clears away.
        let cleared = tables.iter().try_for_each(|(name, _)| self.remove(*name, |other| other < own));
        let _ = cleared.and_then(|()| self.end_turn());
        Ok(())
    }

    fn abandon(mut self: Box<Self>) {
        let (own, tables) = (self.generation, std::mem::take(&mut self.tables));
        let cleared = tables.iter().try_for_each(|(name, _)| self.remove(*name, |other| other == own));
        let _ = cleared.and_then(|()| self.end_turn());
    }
}

/// An error of the server for use in `map_err`.
fn failed(name: &str) -> impl Fn(RedisError) -> Error + use<> {
    let name = name.to_owned();
    move |error| {
        let code = error.code().unwrap_or_default();
        let hint = match code {
            "OOM" => "give the server more memory (maxmemory), or load fewer columns",
            "NOAUTH" | "WRONGPASS" | "NOPERM" => "name user and password: redis://USER:PASSWORD@HOST",
            _ => "see whether the server runs (`redis-cli ping`) and is version 6.2 or newer",
        };
        Error::unavailable("write", &name, error.to_string()).with_hint(hint)
    }
}
