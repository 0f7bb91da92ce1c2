//! `dlrm data`: public data sets from a server or a file, verified, unpacked, and trained on as the command
//! says. The rows are made up; only their number and form are those of the data sets.
#[path = "../../crates/fetch/tests/server/mod.rs"]
mod server;
use crate::common::{Ran, command, data, finished, works};
use serde_json::Value;
use server::{Act, Server};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use zip::write::SimpleFileOptions;

const USAGE: i32 = 2;
const DATA: i32 = 3;
const RESOURCES: i32 = 5;

fn zipped(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_level(Some(1));
    for (name, contents) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(contents.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// In the form of MovieLens latest-small.
fn latest(rows: u64) -> Vec<u8> {
    let mut ratings = "userId,movieId,rating,timestamp\n".to_owned();
    for i in 0..rows {
        let (user, movie) = (1 + i % 610, 1 + i * i % 97);
        writeln!(
            ratings,
            "{user},{movie},{}.{},{}",
            1 + (user + movie) % 4,
            5 * (i % 2),
            1_000_000_000 + i * 60
        )
        .unwrap();
    }
    let movies: String =
        (1..100).map(|i| format!("{i},\"Film, The {i} ({})\",Drama|War\n", 1950 + i)).collect();
    let movies = format!("movieId,title,genres\n{movies}");
    zipped(&[
        ("ml-latest-small/ratings.csv", &ratings),
        ("ml-latest-small/movies.csv", &movies),
        ("ml-latest-small/README.txt", "x"),
    ])
}

fn whole_latest() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| latest(100_836))
}

/// In the form of UCI's archive: a comment above the test rows, full stops behind their labels, empty last
/// lines.
fn adult() -> Vec<u8> {
    let rows = |count: usize, stop: &str| -> String {
        let row = |i: usize| {
            let (age, hours) = (17 + i % 60, 20 + i % 41);
            let label = if (age + hours) % 4 == 0 { ">50K" } else { "<=50K" };
            format!(
                "{age}, Private, {}, Bachelors, {}, Never-married, Sales, Husband, White, Male, 0, 0, \
                    {hours}, ?, {label}{stop}\n",
                1000 + i,
                1 + i % 16
            )
        };
        (0..count).map(row).collect()
    };
    let test = format!("|1x3 Cross validator\n{}\n", rows(16_281, "."));
    zipped(&[("adult.data", &(rows(32_561, "") + "\n")), ("adult.test", &test), ("Index", "x")])
}

/// Runs `dlrm` in a world without proxies.
fn dlrm(dir: &Path, args: &[&str]) -> Ran {
    finished(command(dir, args).stdin(Stdio::null()).output().unwrap())
}

fn fails(dir: &Path, args: &[&str], code: i32, parts: &[&str]) {
    dlrm(dir, args).failed(args, code, parts);
}

/// Runs the command that `out` ends with, a little shorter.
fn goes_on(dir: &Path, out: &str) -> String {
    let line = out.lines().last().unwrap().trim();
    let words = line.strip_prefix("dlrm ").unwrap_or_else(|| panic!("a command in {out}"));
    let quoted: Vec<&str> = words.split('"').collect();
    let mut args = Vec::new();
    for (i, part) in quoted.iter().enumerate() {
        if i % 2 == 1 { args.push(*part) } else { args.extend(part.split_whitespace()) }
    }
    works(dir, &[&args[..], &["--epochs", "1", "--no-baseline", "--quiet"]].concat());
    line.to_owned()
}

#[test]
fn the_list() {
    let dir = tempfile::tempdir().unwrap();
    let text = works(dir.path(), &["data"]).out;
    for part in [
        "movielens-100k",
        "GroupLens",
        "4.9 MB",
        "100,000",
        "no redistribution",
        "data/adult",
        "by hand",
        "Criteo Terabyte",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list: Value = serde_json::from_str(&works(dir.path(), &["data", "--json"]).out).unwrap();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|set| set["name"] == "criteo-kaggle" && set["rows"] == 51_882_752)
    );
}

#[test]
fn from_a_server_to_a_trained_model() {
    let dir = tempfile::tempdir().unwrap();
    let body = whole_latest();
    let server = Server::start(body.to_vec(), vec![Act::Cut(body.len() / 3), Act::Status(500), Act::Serve]);
    let args = ["data", "movielens-latest-small", "--url", &server.url, "--accept-terms"];
    let ran = dlrm(dir.path(), &args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for part in [
        "GroupLens",
        "https://grouplens.org",
        "nothing commercial",
        "fetching http://127.0.0.1",
        "warning: 127.0.0.1 broke off",
        "unpacking",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    for part in ["data/movielens-latest-small", "100,836 rows", "no checksum is published", "SHA-256"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert_eq!(server.ranges(), [None, Some(body.len() / 3), Some(body.len() / 3)]);
    let place = dir.path().join("data/movielens-latest-small");
    assert!(fs::read_to_string(place.join("TERMS.txt")).unwrap().contains("GroupLens"));
    assert!(!dir.path().join("data/movielens-latest-small.partial").exists());
    // It is there: nothing is asked for, neither terms nor bytes.
    let again = dlrm(dir.path(), &args[..2]);
    assert!(
        again.code == 0 && again.out.contains("is there already") && !again.err.contains("Terms"),
        "{}{}",
        again.out,
        again.err
    );
    assert_eq!(server.requests().len(), 3);
    let line = goes_on(dir.path(), &again.out);
    assert_eq!(
        line,
        "dlrm train data/movielens-latest-small --format movielens --label-rule \"rating >= 4\" -o \
            runs/movielens-latest-small"
    );
    // Torn afterwards.
    fs::write(place.join("movies.csv"), "movieId,title,genres\n").unwrap();
    fails(
        dir.path(),
        &args,
        DATA,
        &[
            "data/movielens-latest-small/movies.csv",
            "found 21 bytes",
            "move data/movielens-latest-small away",
        ],
    );
}

#[test]
fn adult_as_uci_has_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("adult.zip"), adult()).unwrap();
    let ran = works(dir.path(), &["data", "adult", "--from", "adult.zip", "-o", "my data/adult"]);
    assert!(ran.out.contains("adult.data 32,561 rows, adult.test 16,281 rows"), "{}", ran.out);
    goes_on(dir.path(), &ran.out);
    // A directory that is read as a whole takes no terms for rows.
    let found: Value =
        serde_json::from_str(&works(dir.path(), &["inspect", "my data/adult", "--json"]).out).unwrap();
    assert_eq!(found["profile"]["rows"], 32_561);
    let json: Value = serde_json::from_str(
        &works(dir.path(), &["data", "adult", "--from", "adult.zip", "-o", "other", "--json", "--quiet"]).out,
    )
    .unwrap();
    assert_eq!(
        (&json["fetched"], &json["record"]["rows"]["adult.test"]),
        (&Value::Bool(true), &Value::from(16_281))
    );
}

#[test]
fn terms_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(whole_latest().to_vec(), vec![Act::Serve]);
    fails(
        dir.path(),
        &["data", "movielens-100k", "--url", &server.url],
        USAGE,
        &["Research use only", "Do not redistribute", "--accept-terms"],
    );
    assert!(server.requests().is_empty() && !dir.path().join("data").exists());
}

#[test]
fn names() {
    let dir = tempfile::tempdir().unwrap();
    fails(
        dir.path(),
        &["data", "movielens100k"],
        USAGE,
        &["\"movielens100k\"", "did you mean \"movielens-100k\"?"],
    );
    fails(dir.path(), &["data", "netflix"], USAGE, &["\"netflix\"", "dlrm data"]);
    fails(
        dir.path(),
        &["data", "avazu"],
        USAGE,
        &["avazu", "log in", "kaggle.com", "dlrm data avazu --from train.gz"],
    );
    fails(
        dir.path(),
        &["data", "adult", "--url", "ftp://x", "--accept-terms"],
        USAGE,
        &["http://", "ftp://x"],
    );
}

#[test]
fn files_that_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let short = &whole_latest()[..50_000];
    fs::write(dir.path().join("short.zip"), short).unwrap();
    fs::write(dir.path().join("few.zip"), latest(500)).unwrap();
    let from = |name: &str, file: &str, parts: &[&str]| {
        fails(dir.path(), &["data", name, "--from", file], DATA, parts)
    };
    from("movielens-latest-small", "short.zip", &["short.zip", "a whole zip archive"]);
    from("movielens-latest-small", "few.zip", &["few.zip/ratings.csv", "100,836 rows", "found 500"]);
    from(
        "movielens-100k",
        "few.zip",
        &["few.zip", "4,924,029 bytes", "https://grouplens.org/datasets/movielens/100k/"],
    );
    fs::create_dir(dir.path().join("empty")).unwrap();
    from("movielens-1m", "empty", &["empty", "ratings.dat in it"]);
    fs::write(dir.path().join("wrong.zip"), vec![0; 4_924_029]).unwrap();
    from(
        "movielens-100k",
        "wrong.zip",
        &["wrong.zip", "MD5 0e33842e24a9c977be4e0107933c0723 (of GroupLens)"],
    );
    fails(dir.path(), &["data", "adult", "--from", "nowhere.zip"], RESOURCES, &["nowhere.zip"]);
    for name in ["movielens-latest-small", "movielens-100k", "movielens-1m", "adult"] {
        assert!(!dir.path().join("data").join(name).exists(), "{name}");
    }
    // From a server, what is wrong does not stay to be gone on with.
    let server = Server::start(latest(500), vec![Act::Serve]);
    let args = ["data", "movielens-latest-small", "--url", &server.url, "--accept-terms"];
    fails(dir.path(), &args, DATA, &["100,836 rows"]);
    assert!(!dir.path().join("data/movielens-latest-small.partial/ml-latest-small.zip").exists());
}

#[test]
fn servers_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/ml-1m.zip");
    let args = ["data", "movielens-1m", "--accept-terms", "--url"];
    fails(
        dir.path(),
        &[&args[..], &[&url]].concat(),
        RESOURCES,
        &["127.0.0.1 could not be reached", "ml-1m.zip elsewhere", "--from FILE"],
    );
    let server = Server::start(Vec::new(), vec![Act::Status(404)]);
    fails(
        dir.path(),
        &[&args[..], &[&server.url]].concat(),
        RESOURCES,
        &["127.0.0.1 answered 404", "--from"],
    );
    let server = Server::start(vec![0; 100], vec![Act::Serve]);
    fails(dir.path(), &[&args[..], &[&server.url]].concat(), DATA, &["5,917,549 bytes", "found 100 bytes"]);
    assert!(!dir.path().join("data/movielens-1m").exists());
}

#[test]
fn places_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("few.zip"), latest(5)).unwrap();
    let from = ["data", "movielens-latest-small", "--from", "few.zip", "-o"];
    fails(dir.path(), &[&from[..], &["few.zip/out"]].concat(), RESOURCES, &["few.zip/out"]);
    fs::create_dir(dir.path().join("mine")).unwrap();
    fs::write(dir.path().join("mine/notes.txt"), "mine").unwrap();
    fails(dir.path(), &[&from[..], &["mine"]].concat(), USAGE, &["mine", "notes.txt", "-o"]);
    assert_eq!(fs::read_to_string(dir.path().join("mine/notes.txt")).unwrap(), "mine");
}

#[cfg(target_os = "linux")]
#[test]
fn permissions_and_full_disks() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(whole_latest().to_vec(), vec![Act::Serve]);
    let args = ["data", "movielens-latest-small", "--accept-terms", "--url", &server.url];
    let partial = dir.path().join("data/movielens-latest-small.partial");
    fs::create_dir_all(&partial).unwrap();
    symlink("/dev/full", partial.join("ml-latest-small.zip")).unwrap();
    fails(
        dir.path(),
        &args,
        RESOURCES,
        &["ml-latest-small.zip", "No space left", "the same command resumes there"],
    );
    fs::remove_file(partial.join("ml-latest-small.zip")).unwrap();
    assert_eq!(dlrm(dir.path(), &args).code, 0, "once there is space");
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere.
    if fs::write(closed.join("x"), "").is_err() {
        let args = [&args[..], &["-o", "closed/out"]].concat();
        fails(dir.path(), &args, RESOURCES, &["cannot create closed/out.partial", "with -o"]);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(whole_latest().to_vec(), vec![Act::Trickle, Act::Serve]);
    let args = ["data", "movielens-latest-small", "--accept-terms", "--url", &server.url];
    let child = command(dir.path(), &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let archive = dir.path().join("data/movielens-latest-small.partial/ml-latest-small.zip");
    while fs::metadata(&archive).map_or(0, |metadata| metadata.len()) < 5000 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran = finished(child.wait_with_output().unwrap());
    assert!(
        ran.code == 130 && ran.err.contains("stopped: ") && ran.err.contains("have arrived and stay"),
        "{} {}",
        ran.code,
        ran.err
    );
    let have = fs::metadata(&archive).unwrap().len() as usize;
    assert_eq!(dlrm(dir.path(), &args).code, 0);
    assert_eq!(server.ranges(), [None, Some(have)]);
}

#[test]
fn real_data_sets_from_directories() {
    let Some(all) = data("dlrm data --from the real data sets", "") else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, folder) in [
        ("movielens-100k", "movielens-100k"),
        ("movielens-latest-small", "movielens-latest-small"),
        ("adult", "adult-census"),
    ] {
        let from = all.join(folder);
        let ran = works(dir.path(), &["data", name, "--from", from.to_str().unwrap()]);
        assert!(ran.out.contains("rows counted"), "{}", ran.out);
        goes_on(dir.path(), &ran.out);
    }
    // Its timestamps are not whole, and its ratings in a file of another name.
    let from = all.join("movielens-1m");
    fails(
        dir.path(),
        &["data", "movielens-1m", "--from", from.to_str().unwrap()],
        DATA,
        &["ratings.dat in it"],
    );
}
