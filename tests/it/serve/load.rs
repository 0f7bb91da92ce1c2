//! `dlrm bench http://…`: a server under load, and what is said of servers that cannot be measured.
use super::{models, options, start};
use crate::common::{Ran, command, dlrm, finished};
use dlrm::serve::{Catalogue, Keys};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const USAGE: i32 = 2;
const RESOURCES: i32 = 5;
const INTERRUPTED: i32 = 130;

/// Runs the command on a server.
fn bench(at: impl std::fmt::Display, args: &[&str]) -> Ran {
    let address = format!("http://{at}");
    dlrm(models(), &[&["bench", &address], args].concat())
}

fn measured(at: impl std::fmt::Display, args: &[&str]) -> Value {
    let ran = bench(at, &[&["--json", "-q"], args].concat());
    assert_eq!(ran.code, 0, "{args:?}\n{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn answers_are_counted_from_when_they_were_due() {
    let server = start(options(&[("m", &models().join("runs/dlrm"))]));
    let args = ["--rate", "150", "--seconds", "1.5", "--rows", "3", "--seed", "5", "--connections", "8"];
    let found = measured(server.http(), &args);
    assert_eq!((found["model"].as_str(), found["version"].as_str().map(str::len)), (Some("m"), Some(12)));
    let found = &found["measured"];
    let due = found["due"].as_u64().expect("a count");
    assert!((150..300).contains(&due), "{found}");
    assert_eq!(found["statuses"]["200"].as_u64(), Some(due), "{found}");
    assert_eq!(
        (found["refused"].as_u64(), found["unsent"].as_u64(), &found["end"]),
        (Some(0), Some(0), &"planned".into())
    );
    let times = &found["latency_ms"];
    let times: Vec<f64> =
        ["p50", "p90", "p99", "p99.9", "max"].map(|name| times[name].as_f64().expect("a time")).into();
    assert!(times[0] > 0.0 && times.windows(2).all(|two| two[0] <= two[1]), "{times:?}");
    let goodput = found["goodput"].as_f64().expect("a rate");
    let rows = found["rows_per_second"].as_f64().expect("a rate");
    assert!((rows - 3.0 * goodput).abs() < 1e-6 && goodput > 50.0, "{found}");
    for stage in ["parse", "queue", "score"] {
        let stages = found["stages"].as_array().expect("stages");
        let own =
            stages.iter().find(|own| own["stage"] == stage).unwrap_or_else(|| panic!("{stage}: {stages:?}"));
        assert!(own["count"].as_u64() >= Some(due) && own["mean"].as_f64() > Some(0.0), "{own}");
    }
    // The same seed has the same requests at the same times.
    assert_eq!(measured(server.http(), &args)["measured"]["due"].as_u64(), Some(due));
}

#[test]
fn rankings_of_rows_of_a_table_for_people() {
    let dir = models();
    let mut options = options(&[("m", &dir.join("runs/deepfm")), ("other", &dir.join("runs/lr"))]);
    let scratch = tempfile::tempdir().expect("a directory");
    let items = Catalogue::open(&dir.join("items.csv"), None, scratch.path()).expect("items");
    options.catalogue = Some(Arc::new(items));
    let server = start(options);
    let args = ["--rank", "40", "--rate", "40", "--seconds", "1", "--arrivals", "even", "--data", "new.csv"];
    let ran = bench(server.http(), &[&args[..], &["--model", "other"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    for part in [
        "model \"other\"",
        "rank of 40 items that differ in item, shelf",
        "evenly spaced",
        "40 requests a second",
    ] {
        assert!(ran.err.contains(part), "missing \"{part}\" in\n{}", ran.err);
    }
    for part in ["status 200 (goodput)", "p99.9", "parse", "score", "rows"] {
        assert!(ran.out.contains(part), "missing \"{part}\" in\n{}", ran.out);
    }
    let line = ran.out.lines().find(|line| line.starts_with("answered")).expect("a line");
    assert_eq!(line.split_whitespace().nth(1), Some("40"), "{}", ran.out);
    // Columns of items as they are told.
    let ran =
        bench(server.http(), &["--rank", "5", "--items", "item,price", "--rate", "20", "--seconds", "0.2"]);
    assert!(ran.code == 0 && ran.err.contains("differ in item, price"), "{}", ran.err);
}

#[test]
fn a_server_that_has_too_much_to_do() {
    let mut options = options(&[("m", &models().join("runs/lr"))]);
    options.threads = 1;
    options.limits.waiting = 2;
    options.probe = Some(Arc::new(|_| thread::sleep(Duration::from_millis(10))));
    let server = start(options);
    // Each request alone, so that none shares a pass with another.
    let args = ["--rate", "400", "--seconds", "1", "--rows", "100"];
    let found = &measured(server.http(), &args)["measured"];
    let counts = |found: &Value, name: &str| found[name].as_u64().expect("a count");
    let answered = counts(&found["statuses"], "200");
    let refused = counts(found, "refused");
    assert!(refused > 50 && answered > 20, "{found}");
    assert_eq!(refused + answered + counts(found, "unsent"), counts(found, "due"), "{found}");
    assert!(
        found["statuses"].get("429").is_none() && found["refused_ms"]["p50"].as_f64() > Some(0.0),
        "{found}"
    );
    // Few connections: what waits for one counts from when it was due.
    let found = &measured(server.http(), &[&args[..], &["--connections", "1"]].concat())["measured"];
    assert!(counts(found, "unsent") > 100 && counts(found, "held_back") > 20, "{found}");
    assert!(found["latency_ms"]["p50"].as_f64() > Some(200.0), "{found}");
}

#[test]
fn keys_are_sent_and_never_shown() {
    let mut options = options(&[("m", &models().join("runs/lr"))]);
    options.keys = Keys::parse("right-key\n");
    let server = start(options);
    let args = ["--rate", "50", "--seconds", "0.2"];
    bench(server.http(), &args).failed(&args, USAGE, &["expected a key", "found none", "DLRM_KEY"]);
    let address = format!("http://{}", server.http());
    let with = |key: &str| {
        let mut asking = command(models(), &["bench", &address, "--rate", "50", "--seconds", "0.2"]);
        finished(asking.env("DLRM_KEY", key).output().expect("the command"))
    };
    with("wrong-key").failed(&args, USAGE, &["one that it refuses"]);
    with("two\nlines").failed(&args, USAGE, &["--key"]);
    let ran = with("right-key");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!(ran.err + &ran.out).contains("right-key"));
    assert!(!with("wrong-key").err.contains("wrong-key"));
}

#[test]
fn what_is_no_server_of_ours() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    bench(free, &[]).failed(&[], RESOURCES, &["expected a server that listens", "dlrm serve"]);
    for (answer, part) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "list of models"),
        ("", "closed"),
    ] {
        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = other.local_addr().expect("its address");
        let asked = thread::spawn(move || bench(at, &[]));
        let (mut stream, _) = other.accept().expect("a client");
        let _ = stream.read(&mut [0; 1000]).expect("a request");
        stream.write_all(answer.as_bytes()).expect("an answer");
        drop(stream);
        asked.join().expect("no panic").failed(&[], RESOURCES, &["a server of dlrm", part]);
    }
}

#[test]
fn a_server_that_goes_in_between() {
    let server = start(options(&[("m", &models().join("runs/lr"))]));
    let at = server.http();
    let asked = thread::spawn(move || bench(at, &["--rate", "100", "--seconds", "60"]));
    thread::sleep(Duration::from_secs(2));
    server.stop();
    let ran = asked.join().expect("no panic");
    ran.failed(&[], RESOURCES, &["expected a server that listens", "of 60 s"]);
    assert!(ran.out.contains("status 200 (goodput)") && ran.out.contains("p99.9"), "{}", ran.out);
}

#[test]
fn a_signal_ends_it_with_figures() {
    let server = start(options(&[("m", &models().join("runs/lr"))]));
    let address = format!("http://{}", server.http());
    let mut asking = command(models(), &["bench", &address, "--rate", "5", "--seconds", "60"]);
    let child = asking.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
    thread::sleep(Duration::from_secs(2));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("a signal");
    let ran = finished(child.wait_with_output().expect("its end"));
    ran.failed(&[], INTERRUPTED, &["stopped", "of 60 s"]);
    assert!(ran.out.contains("status 200 (goodput)"), "{}", ran.out);
}

#[test]
fn mistakes_say_what_to_do() {
    let server = start(options(&[("m", &models().join("runs/lr"))]));
    let own = format!("http://{}", server.http());
    let cases: [(&[&str], i32, &[&str]); 13] = [
        (&["https://localhost:8000"], USAGE, &["https", "TLS is not spoken"]),
        (&["localhost:8000"], USAGE, &["expected an address that begins with http://"]),
        (&["http://localhost:8000/v1"], USAGE, &["nothing behind host and port", "/v1"]),
        (&[&own, "k"], USAGE, &["one server alone"]),
        (&[&own, "--batch", "7"], USAGE, &["--batch", "the server http://"]),
        (&["k", "--rate", "7"], USAGE, &["--rate", "found workloads to train"]),
        (&[&own, "--items", "item"], USAGE, &["--rank"]),
        (&[&own, "--rank", "5", "--items", "itme"], USAGE, &["\"itme\"", "user, item"]),
        (&[&own, "--rate", "0"], USAGE, &["--rate", "from 0.01"]),
        (&[&own, "--rate", "100000", "--seconds", "3600"], USAGE, &["--rate", "20,000,000"]),
        (&[&own, "--model", "n"], USAGE, &["\"n\"", "one of its models, m"]),
        (&[&own, "--rank", "5000"], USAGE, &["status 422", "at most 4096"]),
        (&[&own, "--data", "nowhere.csv"], RESOURCES, &["nowhere.csv"]),
    ];
    for (args, code, parts) in cases {
        let args = [&["bench"], args].concat();
        let ran = dlrm(models(), &args);
        ran.failed(&args, code, parts);
        assert!(ran.out.is_empty(), "{args:?}\n{}", ran.out);
    }
}
