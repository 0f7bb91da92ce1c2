//! Features on a Redis server: Debian's, started for each test on a free port, and stopped by it.
mod common;

use common::{DEADLINE, Tables, assert_holds_all, program, row};
use dlrm_features::{Asked, Error, Side, TableName, open};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A server that keeps nothing; it ends with this value.
struct Server {
    program: &'static str,
    port: u16,
    child: Child,
}

impl Server {
    fn start(test: &str) -> Option<Self> {
        let program = program(test, "redis-server")?;
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
        Some(Server { program, port: free, child: started(program, free) })
    }

    fn address(&self) -> String {
        format!("redis://127.0.0.1:{}/3", self.port)
    }

    fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.address()).expect("an address");
        client.get_connection().expect("connected")
    }

    fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().expect("a command"));
        asked.arg(words.collect::<Vec<_>>());
        asked.query(&mut self.connection()).expect("an answer")
    }

    fn stop(&mut self) {
        self.child.kill().expect("stopped");
        self.child.wait().expect("ended");
    }

    fn start_again(&mut self) {
        self.child = started(self.program, self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn started(program: &str, port: u16) -> Child {
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the server does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn what_is_loaded_is_looked_up() {
    let Some(server) = Server::start("redis: what_is_loaded_is_looked_up") else { return };
    let tables = Tables::new();
    let none = open(&server.address()).err().expect("nothing is there").to_string();
    assert!(none.contains("expected tables of features"), "{none}");
    for round in 1..=2 {
        let loaded = tables.load(&server.address()).expect("loaded");
        let told: Vec<_> = loaded.iter().map(|table| (table.name, table.rows, table.replaced)).collect();
        assert_eq!(told, [(TableName::Users, 3, 1), (TableName::Items, 2, 0), (TableName::Seen, 3, 1)]);
        let store = open(&server.address()).expect("opened");
        assert_holds_all(&*store);
        let rows = [(TableName::Users, 3), (TableName::Items, 2), (TableName::Seen, 3)];
        assert_eq!(store.rows().expect("counted"), rows);
        // Three users, two items, two that have had something, the descriptions, the number of loads.
        assert_eq!(server.ask::<u64>("DBSIZE"), 9, "round {round}: nothing of another load");
    }
}

#[test]
fn a_table_is_replaced_whole_while_it_is_read() {
    let Some(server) = Server::start("redis: a_table_is_replaced_whole_while_it_is_read") else { return };
    let tables = Tables::new();
    let rows = |version: u32, more: &str| -> String {
        (0..3000).map(|user| format!("u{user},{more}{version}\n")).collect()
    };
    tables.write("a.csv", &format!("user_id,version\n{}", rows(1, "")));
    tables.write("b.csv", &format!("user_id,more,version\n{}", rows(2, "x,")));
    tables.load_users(&server.address(), "a.csv", u64::MAX).expect("loaded");
    let store = open(&server.address()).expect("opened");
    let keys: Vec<String> = (0..3000).step_by(50).map(|user| format!("u{user}")).collect();
    let asked: Vec<Asked<'_>> = keys.iter().map(|key| Asked { side: Side::User, key }).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                let mut seen = [0u64; 2];
                while !done.load(Ordering::Relaxed) {
                    let found = store.look_up(&asked, DEADLINE).expect("an answer at every moment");
                    let first = found[0].clone();
                    assert!(found.iter().all(|row| *row == first), "rows of two loads");
                    // The column that was there when it was opened, wherever it stands now.
                    let first = first.expect("a row");
                    assert_eq!(first.len(), 1);
                    seen[usize::from(first[0] == "2")] += 1;
                }
                seen
            })
        });
        for round in 0..10 {
            let name = ["b.csv", "a.csv"][round % 2];
            tables.load_users(&server.address(), name, u64::MAX).expect("loaded beside readers");
        }
        done.store(true, Ordering::Relaxed);
        let seen = readers.map(|reader| reader.join().expect("no reader failed"));
        assert!(seen.iter().any(|seen| seen[0] > 0 && seen[1] > 0), "{seen:?}");
    });
    assert_eq!(server.ask::<u64>("DBSIZE"), 3002, "nothing of other loads");
}

#[test]
fn what_is_not_finished_changes_nothing() {
    let Some(server) = Server::start("redis: what_is_not_finished_changes_nothing") else { return };
    let tables = Tables::new();
    tables.load(&server.address()).expect("loaded");
    let rows: String = (0..5000).map(|user| format!("{user},new\n")).collect();
    tables.write("many.csv", &format!("user_id,age\n{rows}"));
    let error = tables.load_users(&server.address(), "many.csv", 2048).expect_err("stopped");
    assert_eq!(error.to_string(), "interrupted");
    assert_eq!(server.ask::<u64>("DBSIZE"), 9, "nothing is left of it");
    // One that was killed has left rows behind, and holds its turn for a while.
    server.ask::<()>("SET dlrm:users:2:99 [\"killed\"]");
    server.ask::<()>("SET dlrm:loading 2 EX 60");
    let error = tables.load(&server.address()).expect_err("another one loads");
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("expected a store that no other process loads"), "{error}");
    server.ask::<()>("DEL dlrm:loading");
    tables.load(&server.address()).expect("loaded");
    assert_eq!(server.ask::<u64>("DBSIZE"), 9, "nothing is left of the other one");
    assert_holds_all(&*open(&server.address()).expect("opened"));
}

#[test]
fn other_values_than_those_that_were_written() {
    let Some(server) = Server::start("redis: other_values_than_those_that_were_written") else { return };
    let tables = Tables::new();
    tables.load(&server.address()).expect("loaded");
    let store = open(&server.address()).expect("opened");
    for (value, found) in [("[\"1\"]", "found 1 texts"), ("x", "expected value"), ("[1,2]", "invalid type")] {
        server.ask::<()>(&format!("SET dlrm:users:1:7 {value}"));
        let error = store.look_up(&[Asked { side: Side::User, key: "7" }], DEADLINE).expect_err(value);
        assert!(matches!(error, Error::Content { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("key dlrm:users:1:7: expected a JSON list of 2 texts"), "{text}");
        assert!(text.contains(found), "{text}");
        assert_eq!(
            row(&*store, Side::User, "196").expect("a row"),
            ["50", "maker"],
            "others are as they were"
        );
    }
    server.ask::<()>("HSET dlrm:features users {}");
    let error = store.look_up(&[Asked { side: Side::User, key: "7" }], DEADLINE).expect_err("no description");
    assert!(error.to_string().contains("key dlrm:features, field users"), "{error}");
    // All is gone: nobody is known.
    server.ask::<()>("FLUSHALL");
    assert_eq!(row(&*store, Side::User, "196"), None);
    assert_eq!(store.seen("196", DEADLINE).expect("an answer"), Vec::<String>::new());
}

/// No look-up of these tests takes as long, however slow the machine is, unless it waits for what never
/// comes.
const NEVER: Duration = Duration::from_secs(60);

/// Asks until there is an answer: an outage is remembered for a moment.
fn wait_for(answer: impl Fn() -> bool) {
    let until = Instant::now() + NEVER;
    while !answer() {
        assert!(Instant::now() < until, "it does not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_outage_costs_the_deadline_and_ends_by_itself() {
    let Some(mut server) = Server::start("redis: an_outage_costs_the_deadline_and_ends_by_itself") else {
        return;
    };
    let tables = Tables::new();
    tables.load(&server.address()).expect("loaded");
    let store = open(&server.address()).expect("opened");
    let ask = |deadline| store.look_up(&[Asked { side: Side::User, key: "7" }], deadline);
    assert!(ask(DEADLINE).is_ok());
    let done = AtomicBool::new(false);
    let short = Duration::from_millis(200);
    std::thread::scope(|scope| {
        // Look-ups go on all the time; each has an answer or an error, soon.
        let asking = [0, 1].map(|_| {
            scope.spawn(|| {
                let mut longest = Duration::ZERO;
                while !done.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    if let Err(error) = ask(short) {
                        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
                    }
                    longest = longest.max(started.elapsed());
                    std::thread::sleep(Duration::from_millis(1));
                }
                longest
            })
        });
        server.stop();
        std::thread::sleep(Duration::from_millis(300));
        assert!(ask(short).is_err());
        server.start_again();
        tables.load(&server.address()).expect("loaded");
        wait_for(|| ask(short).is_ok());
        // A server that is there and says nothing.
        let pid = server.child.id().to_string();
        let signal = |name: &str| Command::new("kill").args([name, pid.as_str()]).status().expect("sent");
        assert!(signal("-STOP").success());
        let (started, silent) = (Instant::now(), ask(short));
        let took = started.elapsed();
        // Whoever waits itself says how long; others hear what the one before has found out.
        let own = Duration::from_millis(201);
        let heard = (0..50).any(|_| !ask(own).expect_err("silent").to_string().contains("201 ms"));
        assert!(signal("-CONT").success());
        assert!(silent.is_err() && took < NEVER, "{took:?}");
        assert!(heard, "nobody waits twice");
        wait_for(|| ask(short).is_ok());
        done.store(true, Ordering::Relaxed);
        for thread in asking {
            let longest = thread.join().expect("no look-up failed in another way");
            assert!(longest < NEVER, "{longest:?}");
        }
    });
    wait_for(|| ask(DEADLINE).is_ok());
    assert_holds_all(&*store);
}

#[test]
fn servers_that_are_not_there() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port");
    let address = format!("redis://:secret@{free}");
    let error = open(&address).err().expect("nobody listens");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot read redis://{free}")), "{error}");
    let error = Tables::new().load(&address).expect_err("nobody listens");
    assert!(error.to_string().starts_with(&format!("cannot write redis://{free}")), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}
