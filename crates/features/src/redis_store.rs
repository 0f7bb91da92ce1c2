//! Features on a Redis server, which many servers of models share. A look-up is one pipelined round trip.
//!
//! A load writes rows under keys of a new generation and then says so in `dlrm:features`. What a look-up has
//! found counts only if the same generations are still those to be read after it: the description is asked
//! for behind the rows, in the same round trip.
use crate::address::Server;
use crate::error::{Error, Result};
use crate::redis_keys::{self, Description, FEATURES};
use crate::redis_pool::{Deadline, Pool};
use crate::store::{Asked, Sides, Store, Table, TableName};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long opening waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// Loads that may come between the round trips of one look-up.
const ATTEMPTS: usize = 4;

/// A server that is read.
pub(crate) struct RedisStore {
    pool: Pool,
    sides: Sides,
    current: RwLock<Arc<Current>>,
}

/// What is read now of each table, as the server has said it and as it is understood.
#[derive(Debug, Default)]
struct Current {
    said: [Option<String>; 3],
    tables: [Option<Reading>; 3],
}

/// How the rows of a table are read.
#[derive(Debug)]
struct Reading {
    generation: u64,
    /// Fields of a row on the server.
    width: usize,
    /// Which of them are the columns that the table had when the store was opened.
    places: Vec<usize>,
}

impl RedisStore {
    /// Asks the server which tables it has.
    pub(crate) fn open(server: Server) -> Result<Self> {
        let pool = Pool::new(server);
        let said = ask_what(&pool, PATIENCE)?;
        let table = |name: TableName| -> Result<Option<Table>> {
            let text = said[name as usize].as_deref();
            Ok(text
                .map(|text| Description::parse(text, name, pool.name()))
                .transpose()?
                .map(|found| found.table))
        };
        let seen = said[TableName::Seen as usize].is_some();
        let sides = Sides { user: table(TableName::Users)?, item: table(TableName::Items)?, seen };
        if sides == Sides::default() {
            let hint = "fill it with `dlrm features load`, or name the database that is filled";
            let expected = format!("tables of features under {FEATURES}");
            return Err(Error::refused(pool.name(), expected, "none", hint));
        }
        let store = RedisStore { pool, sides, current: RwLock::default() };
        store.read_on(said)?;
        Ok(store)
    }

    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on what the server has said is read.
    fn read_on(&self, said: [Option<String>; 3]) -> Result<()> {
        let reading = |name: TableName| -> Result<Option<Reading>> {
            let Some(text) = &said[name as usize] else { return Ok(None) };
            let Description { generation, table, .. } = Description::parse(text, name, self.pool.name())?;
            let opened = match name {
                TableName::Users => self.sides.user.as_ref(),
                TableName::Items => self.sides.item.as_ref(),
                TableName::Seen => None,
            };
            let wanted = opened.map_or(&[][..], |opened| &opened.columns);
            let place = |column: &String| {
                table.columns.iter().position(|own| own == column).ok_or_else(|| {
                    let what = format!("{}, table {}", self.pool.name(), name.as_str());
                    let expected = format!("a column \"{column}\", as when it was opened");
                    Error::content(what, expected, format!("columns {}", table.columns.join(", ")))
                })
            };
            let places = wanted.iter().map(place).collect::<Result<_>>()?;
            Ok(Some(Reading { generation, width: table.columns.len(), places }))
        };
        let [users, items, seen] = TableName::ALL.map(reading);
        let current = Current { tables: [users?, items?, seen?], said };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        Ok(())
    }

    /// Asks again and again until what was asked for was read of the tables that are current, which `ask`
    /// returns behind it.
    fn of_one_load<T>(
        &self,
        mut ask: impl FnMut(&Current) -> Result<(T, [Option<String>; 3])>,
    ) -> Result<(T, Arc<Current>)> {
        for _ in 0..ATTEMPTS {
            let current = self.current();
            let (found, said) = ask(&current)?;
            if said == current.said {
                return Ok((found, current));
            }
            self.read_on(said)?;
        }
        let reason = "its tables were loaded anew, again and again, while they were read";
        Err(Error::unavailable("read", self.pool.name(), reason))
    }

    /// The fields of a row out of the text that the server has of it.
    fn fields(&self, text: &[u8], asked: Asked<'_>, reading: &Reading) -> Result<Vec<String>> {
        let error = |found: String| {
            let key = redis_keys::row(asked.side.into(), reading.generation, asked.key);
            let what = format!("{}, key {key}", self.pool.name());
            Error::content(what, format!("a JSON list of {} texts", reading.width), found)
        };
        let mut fields: Vec<String> = serde_json::from_slice(text).map_err(|e| error(e.to_string()))?;
        if fields.len() != reading.width {
            return Err(error(format!("{} texts", fields.len())));
        }
        if reading.places.iter().copied().eq(0..reading.width) {
            return Ok(fields);
        }
        Ok(reading.places.iter().map(|&place| std::mem::take(&mut fields[place])).collect())
    }
}

/// Adds the question of what each table is to the commands.
fn and_what(commands: &mut redis::Pipeline) {
    commands.cmd("HMGET").arg(FEATURES);
    for name in TableName::ALL {
        commands.arg(name.as_str());
    }
}

fn ask_what(pool: &Pool, patience: Duration) -> Result<[Option<String>; 3]> {
    let mut commands = redis::pipe();
    and_what(&mut commands);
    let (said,) = pool.ask(&commands, Deadline::within(patience))?;
    Ok(said)
}

impl Store for RedisStore {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn sides(&self) -> &Sides {
        &self.sides
    }

    fn look_up(&self, asked: &[Asked<'_>], deadline: Duration) -> Result<Vec<Option<Vec<String>>>> {
        // Tables that were not there when the store was opened are not asked for.
        let is_known = |asked: &Asked<'_>| self.sides.of(asked.side).is_some();
        if !asked.iter().any(is_known) {
            return Ok(vec![None; asked.len()]);
        }
        let deadline = Deadline::within(deadline);
        let (texts, current) = self.of_one_load(|current| {
            let mut commands = redis::pipe();
            commands.cmd("MGET");
            for asked in asked {
                let generation = match &current.tables[TableName::from(asked.side) as usize] {
                    Some(reading) if is_known(asked) => reading.generation,
                    // No load has this number.
                    _ => 0,
                };
                commands.arg(redis_keys::row(asked.side.into(), generation, asked.key));
            }
            and_what(&mut commands);
            self.pool.ask::<(Vec<Option<Vec<u8>>>, [Option<String>; 3])>(&commands, deadline)
        })?;
        if texts.len() != asked.len() {
            let found = format!("{} values", texts.len());
            return Err(Error::content(self.name(), format!("{} values", asked.len()), found));
        }
        let row = |(text, asked): (Option<Vec<u8>>, &Asked<'_>)| {
            let reading = current.tables[TableName::from(asked.side) as usize].as_ref();
            let Some((text, reading)) = text.zip(reading) else { return Ok(None) };
            self.fields(&text, *asked, reading).map(Some)
        };
        texts.into_iter().zip(asked).map(row).collect()
    }

    fn seen(&self, user: &str, deadline: Duration) -> Result<Vec<String>> {
        let deadline = Deadline::within(deadline);
        let (mut items, _) = self.of_one_load(|current| {
            let generation =
                current.tables[TableName::Seen as usize].as_ref().map_or(0, |seen| seen.generation);
            let mut commands = redis::pipe();
            commands.cmd("SMEMBERS").arg(redis_keys::row(TableName::Seen, generation, user));
            and_what(&mut commands);
            self.pool.ask::<(Vec<String>, [Option<String>; 3])>(&commands, deadline)
        })?;
        items.sort_unstable();
        Ok(items)
    }

    fn rows(&self) -> Result<Vec<(TableName, u64)>> {
        let said = ask_what(&self.pool, PATIENCE)?;
        let rows = TableName::ALL.into_iter().zip(&said).filter_map(|(name, text)| {
            let found = Description::parse(text.as_deref()?, name, self.name());
            Some(found.map(|found| (name, found.rows)))
        });
        rows.collect()
    }
}
