//! A file by HTTP from a server that breaks off, changes its mind, hangs or refuses.
mod server;
use dlrm_fetch::transfer::{Patience, Transfer};
use dlrm_fetch::{Error, Observer};
use server::{Act, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    idle: Duration::from_millis(250),
    attempts: 4,
    pause: Duration::from_millis(1),
};

/// Bytes of which no two stretches are alike.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

/// Notes what it is told; wishes to stop after so many bytes.
#[derive(Default)]
struct Notes {
    warnings: Vec<String>,
    stop_after: Option<u64>,
    done: u64,
}

impl Observer for Notes {
    fn progress(&mut self, done: u64, _all: Option<u64>) {
        self.done = done;
    }

    fn warned(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    fn should_stop(&mut self) -> bool {
        self.stop_after.is_some_and(|most| self.done >= most)
    }
}

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Place { path: dir.path().join("file"), _dir: dir }
    }
}

fn run(url: &str, path: &Path, bytes: Option<u64>, notes: &mut Notes) -> Result<(), Error> {
    Transfer { url, path, bytes, most: bytes.unwrap_or(10_000_000), patience: &PATIENCE }.run(notes)
}

/// Fetches with these acts; the file must be `body`.
fn fetches(body: &[u8], first: Vec<u8>, acts: Vec<Act>) -> (Server, Notes) {
    let (server, place, mut notes) = (Server::start(first, acts), Place::new(), Notes::default());
    run(&server.url, &place.path, None, &mut notes).unwrap();
    assert!(fs::read(&place.path).unwrap() == body, "the same bytes");
    (server, notes)
}

/// Fails with these acts; returns the error, the place and the server.
fn fails(acts: Vec<Act>, parts: &[&str]) -> (Error, Place, Server) {
    let (server, place) = (Server::start(bytes(50_000, 1), acts), Place::new());
    let error = run(&server.url, &place.path, Some(50_000), &mut Notes::default()).unwrap_err();
    let text = format!("{error}\n{}", error.hint().unwrap_or_default());
    for part in parts {
        assert!(text.contains(part), "missing \"{part}\" in {text}");
    }
    (error, place, server)
}

#[test]
fn a_whole_file_at_once() {
    let body = bytes(300_000, 1);
    let (server, notes) = fetches(&body, body.clone(), vec![Act::Serve]);
    assert_eq!(server.ranges(), [None]);
    assert!(notes.warnings.is_empty() && notes.done == 300_000, "{:?}", notes.warnings);
    let request = &server.requests()[0];
    assert!(
        request.contains("user-agent: dlrm/") && request.contains("accept-encoding: identity"),
        "{request}"
    );
}

#[test]
fn interrupted_transfers_go_on_where_they_were() {
    let body = bytes(300_000, 1);
    let acts = vec![Act::Cut(1), Act::Cut(99_999), Act::Cut(0), Act::Cut(65_536), Act::Cut(7), Act::Serve];
    let (server, notes) = fetches(&body, body.clone(), acts);
    assert_eq!(server.ranges(), [None, Some(1), Some(100_000), Some(100_000), Some(165_536), Some(165_543)]);
    assert_eq!(notes.warnings.len(), 5);
    assert!(notes.warnings[1].contains("100,000 of 300,000 bytes"), "{:?}", notes.warnings);
    assert!(server.requests()[1].contains("if-range: \"one\""));
}

#[test]
fn a_server_without_ranges_starts_again() {
    let body = bytes(100_000, 1);
    let (server, _) =
        fetches(&body, body.clone(), vec![Act::Plain(40_000), Act::Plain(70_000), Act::Plain(usize::MAX)]);
    assert_eq!(server.ranges(), [None, None, None]);
}

#[test]
fn a_server_without_ranges_that_always_breaks_off_is_given_up() {
    let (_, place, server) =
        fails(vec![Act::Plain(20_000)], &["127.0.0.1", "20,000 of 50,000 bytes", "from = FILE"]);
    assert_eq!(server.requests().len(), 4, "progress over the same bytes is none");
    assert!(place.path.exists());
}

#[test]
fn a_file_that_changed_in_between_starts_again() {
    let (old, new) = (bytes(100_000, 1), bytes(90_000, 2));
    let acts = vec![Act::Cut(60_000), Act::Replace(new.clone(), "\"two\"")];
    let (server, _) = fetches(&new, old, acts);
    assert_eq!(server.ranges(), [None, Some(60_000)], "the second answer is the whole new file");
    let acts = vec![Act::Cut(95_000), Act::Replace(new.clone(), "\"two\"")];
    fetches(&new, bytes(100_000, 1), acts);
}

#[test]
fn another_run_goes_on_but_not_from_another_address() {
    let body = bytes(100_000, 1);
    let server = Server::start(body.clone(), vec![Act::Serve]);
    let place = Place::new();
    let mut notes = Notes { stop_after: Some(50_000), ..Notes::default() };
    let error = run(&server.url, &place.path, None, &mut notes).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }) && error.to_string().contains("stay"), "{error}");
    let have = fs::metadata(&place.path).unwrap().len() as usize;
    assert!((50_000..100_000).contains(&have));
    let other = Server::start(body.clone(), vec![Act::Cut(60_000)]);
    run(&other.url, &place.path, None, &mut Notes { stop_after: Some(60_000), ..Notes::default() })
        .unwrap_err();
    assert_eq!(other.ranges(), [None], "what came from elsewhere is not gone on with");
    run(&server.url, &place.path, None, &mut Notes::default()).unwrap();
    assert!(fs::read(&place.path).unwrap() == body);
    run(&server.url, &place.path, None, &mut Notes::default()).unwrap();
    assert_eq!(server.requests().len(), 2, "what is whole is not asked for");
}

#[test]
fn errors_of_the_server_pass_or_do_not() {
    let body = bytes(1000, 1);
    let (server, notes) =
        fetches(&body, body.clone(), vec![Act::Status(500), Act::Status(503), Act::Status(429), Act::Serve]);
    assert_eq!(server.requests().len(), 4);
    assert!(notes.warnings[0].contains("127.0.0.1 answered 500"), "{:?}", notes.warnings);
    let (error, place, server) = fails(
        vec![Act::Status(404)],
        &["/file", "127.0.0.1 answered 404", "with fetch.url", "with fetch.from"],
    );
    assert!(matches!(error, Error::Network { .. }));
    assert_eq!(server.requests().len(), 1, "a 404 does not pass");
    assert!(!place.path.exists());
    let (_, _, server) = fails(vec![Act::Status(503)], &["answered 503"]);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn redirects_are_followed_a_while() {
    let body = bytes(100_000, 1);
    let target = Server::start(body.clone(), vec![Act::Cut(30_000), Act::Serve]);
    let (first, _) = fetches(&body, Vec::new(), vec![Act::Redirect(target.url.clone())]);
    assert_eq!((first.requests().len(), target.ranges()), (2, vec![None, Some(30_000)]));
    fails(vec![Act::Redirect("/file".into())], &["redirect"]);
}

#[test]
fn silence_is_not_waited_for_forever() {
    let body = bytes(100_000, 1);
    let began = Instant::now();
    let (server, notes) = fetches(&body, body.clone(), vec![Act::Hang(10_000), Act::Hang(0), Act::Serve]);
    assert_eq!(server.ranges(), [None, Some(10_000), Some(10_000)]);
    assert!(
        notes.warnings.iter().all(|warning| warning.contains("nothing came any more")),
        "{:?}",
        notes.warnings
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_wrong_length_is_seen_before_the_bytes() {
    let (error, place, _) = fails(vec![Act::Claim(60_000)], &["50,000 bytes", "60,000 bytes"]);
    assert!(matches!(error, Error::Input { .. }) && !place.path.exists());
    // Without a published length there is a bound.
    let (server, place) = (Server::start(bytes(5000, 1), vec![Act::Claim(5000)]), Place::new());
    let error =
        Transfer { url: &server.url, path: &place.path, bytes: None, most: 4000, patience: &PATIENCE }
            .run(&mut ())
            .unwrap_err();
    assert!(error.to_string().contains("at most 4,000 bytes"), "{error}");
}

#[test]
fn nobody_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new();
    let mut notes = Notes::default();
    let error = run(&format!("http://{free}/file"), &place.path, None, &mut notes).unwrap_err();
    let hint = error.hint().unwrap().to_string();
    assert!(
        error.to_string().contains("127.0.0.1 could not be reached") && hint.contains("from = FILE"),
        "{error} {hint}"
    );
    assert_eq!(notes.warnings.len(), 1, "one more try");
}

#[test]
fn no_trust_without_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/file", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 This is no TLS\r\n\r\n");
            // Read what was sent, or closing would throw the answer away.
            let _ = std::io::Read::read(&mut stream, &mut [0; 1 << 14]);
        }
    });
    let place = Place::new();
    let error = run(&url, &place.path, Some(10), &mut Notes::default()).unwrap_err();
    let hint = error.hint().unwrap().to_string();
    assert!(
        error.to_string().contains("no trusted connection to 127.0.0.1") && hint.contains("url = http://"),
        "{error} {hint}"
    );
}

#[test]
fn addresses_that_are_none() {
    for url in ["file:///etc/passwd", "x", "ftp://a/b", "http://"] {
        let error = run(url, Path::new("/nowhere"), None, &mut Notes::default()).unwrap_err();
        assert!(error.to_string().contains("http://"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_called_so() {
    let server = Server::start(bytes(1000, 1), vec![Act::Serve]);
    let place = Place::new();
    std::os::unix::fs::symlink("/dev/full", &place.path).unwrap();
    let error = run(&server.url, &place.path, None, &mut Notes::default()).unwrap_err();
    assert!(
        error.to_string().contains("No space left")
            && error.hint().unwrap().to_string().contains("free some space"),
        "{error}"
    );
}
