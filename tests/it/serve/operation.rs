//! A server in use: faults, floods, new models, and its end.
use super::client::{get, post};
use super::{models, numbers, options, predicted, start, table};
use crate::common::works;
use dlrm::serve::{Server, Split};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

fn one_row() -> String {
    json!({ "rows": [{ "user": "u1", "item": "i2" }] }).to_string()
}

#[test]
fn a_fault_spoils_its_own_request_alone() {
    let mut options = options(&[("m", &models().join("runs/dlrm"))]);
    options.threads = 1;
    options.probe = Some(Arc::new(|rows| {
        assert!(!rows.iter().any(|row| row.fields().any(|field| field == "poison")), "a fault")
    }));
    let server = start(options);
    let at = server.http();
    let expected = post(at, "/v1/predict", one_row()).json()["predictions"].clone();
    let asking = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..8 {
            let (expected, asking) = (&expected, &asking);
            scope.spawn(move || {
                for _ in 0..20 {
                    if number % 4 == 0 {
                        let body = json!({ "rows": [{ "user": "poison" }] }).to_string();
                        let answer = post(at, "/v1/predict", body);
                        assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
                    } else {
                        let answer = post(at, "/v1/predict", one_row());
                        assert_eq!((answer.status, &answer.json()["predictions"]), (200, expected));
                    }
                    asking.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(asking.into_inner(), 160);
    assert!(String::from_utf8_lossy(&get(at, "/metrics").body).contains("dlrm_panics_total 40"));
}

#[test]
fn a_flood_is_turned_away_and_nothing_else() {
    let mut options = options(&[("m", &models().join("runs/lr"))]);
    options.threads = 1;
    options.limits.waiting = 4;
    options.probe = Some(Arc::new(|_| thread::sleep(Duration::from_millis(20))));
    let server = start(options);
    let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let answer = post(server.http(), "/v1/predict", one_row());
                    match answer.status {
                        200 => answered.fetch_add(1, Ordering::Relaxed),
                        429 => {
                            assert_eq!(
                                (answer.code().as_str(), answer.header("retry-after")),
                                ("overloaded", Some("1"))
                            );
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}: {:?}", answer.json()),
                    };
                }
            });
        }
    });
    let (answered, refused) = (answered.into_inner(), refused.into_inner());
    assert!(answered > 0 && refused > 0 && answered + refused == 96, "{answered} {refused}");
}

#[test]
fn what_is_there_is_answered_before_the_end() {
    let mut options = options(&[("m", &models().join("runs/lr"))]);
    options.probe = Some(Arc::new(|_| thread::sleep(Duration::from_millis(300))));
    let server = start(options);
    let at = server.http();
    thread::scope(|scope| {
        let asked: Vec<_> =
            (0..4).map(|_| scope.spawn(move || post(at, "/v1/predict", one_row()).status)).collect();
        thread::sleep(Duration::from_millis(150));
        server.stop();
        let statuses: Vec<u16> = asked.into_iter().map(|asked| asked.join().expect("an answer")).collect();
        assert_eq!(statuses, [200; 4]);
    });
    assert!(std::net::TcpStream::connect(at).is_err(), "nobody listens any more");
}

/// A directory whose model is another one each time.
fn replace(dir: &Path, kind: &str) {
    works(
        models(),
        &[
            "-q",
            "train",
            "rows.csv",
            "--label",
            "click",
            "--model",
            kind,
            "--no-baseline",
            "--epochs",
            "1",
            "--set",
            "train.keep=last",
            "--overwrite",
            "-o",
            dir.to_str().expect("a path"),
        ],
    );
}

#[test]
fn another_model_takes_its_place_under_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = dir.path().join("run");
    replace(&run, "lr");
    let mut options = options(&[("m", &run)]);
    options.watch = true;
    let server = start(options);
    let at = server.http();
    let over = AtomicBool::new(false);
    let version = |at| get(at, "/v1/models").json()["models"][0]["current"]["version"].clone();
    let expected = |at| post(at, "/v1/predict", one_row()).json();
    let before = expected(at);
    thread::scope(|scope| {
        let (over, before) = (&over, &before);
        let asked: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let mut seen = vec![before.clone()];
                    while !over.load(Ordering::Relaxed) {
                        let answer = post(at, "/v1/predict", one_row());
                        assert_eq!(answer.status, 200, "{:?}", answer.json());
                        let answer = answer.json();
                        let known = seen.iter().find(|known| known["version"] == answer["version"]).cloned();
                        match known {
                            // A version always says the same.
                            Some(known) => assert_eq!(known["predictions"], answer["predictions"]),
                            None => seen.push(answer),
                        }
                    }
                    seen.len()
                })
            })
            .collect();
        let first = version(at);
        replace(&run, "dlrm");
        while version(at) == first {
            thread::sleep(Duration::from_millis(50));
        }
        // A damaged directory does not.
        let second = version(at);
        let weights = run.join("model/weights.safetensors");
        let mut bytes = fs::read(&weights).expect("weights");
        bytes[0] ^= 1;
        fs::write(&weights, bytes).expect("a file");
        let manifest = run.join("model/manifest.json");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        fs::write(&manifest, text + "\n").expect("a file");
        let failed = |at| get(at, "/v1/models").json()["models"][0]["failed"].clone();
        while failed(at).is_null() {
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(version(at), second);
        over.store(true, Ordering::Relaxed);
        for asked in asked {
            assert_eq!(asked.join().expect("no failed request"), 2, "both versions were seen");
        }
    });
    let admin = server.admin().expect("an address");
    let back = post(admin, "/v1/models/m/rollback", "");
    assert_eq!((back.status, expected(at)["version"].clone()), (200, before["version"].clone()));
    assert_eq!(post(admin, "/v2/repository/models/m/load", "").code(), "bad_request", "it is damaged");
    assert_eq!(post(admin, "/v2/repository/models/m/unload", "").status, 200);
    assert_eq!(post(at, "/v1/predict", one_row()).code(), "unavailable");
    assert_eq!(get(at, "/v2/health/ready").status, 503);
}

#[test]
fn what_was_answered_is_written_down_and_scored_again_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(&[("m", &models().join("runs/deepfm"))]);
    options.log = Some(dir.path().join("log"));
    let server = start(options);
    let new = table(&fs::read_to_string(models().join("new.csv")).expect("rows"));
    let answer =
        post(server.http(), "/v1/predict", json!({ "rows": new, "request": "mine" }).to_string()).json();
    assert_eq!(answer["request"], "mine");
    server.stop();
    let files: Vec<_> =
        fs::read_dir(dir.path().join("log/m")).expect("a log").map(|f| f.expect("a file").path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let model = models().join("runs/deepfm");
    let args = ["--json", "-q", "predict", model.to_str().expect("a path"), file.to_str().expect("a path")];
    let out = works(dir.path(), &args).out;
    let again: Vec<f64> = out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["probability"]
                .as_f64()
                .expect("a number")
        })
        .collect();
    assert_eq!(again, numbers(&answer["predictions"]));
    assert_eq!(again, predicted(models(), "runs/deepfm").0);
    // And it can be trained on: here on what was answered.
    let rule =
        ["train", file.to_str().expect("a path"), "--label-rule", "dlrm_prediction >= 0.4", "--epochs", "1"];
    works(dir.path(), &[&["-q", "--quiet"][1..], &rule, &["--no-baseline", "-o", "again"]].concat());
}

fn two(split: Option<Split>, shadow: Option<String>) -> Server {
    let (lr, fm) = (models().join("runs/lr"), models().join("runs/fm"));
    let mut options = options(&[("a", &lr), ("b", &fm)]);
    (options.split, options.shadow) = (split, shadow);
    start(options)
}

#[test]
fn shares_of_requests_and_a_model_beside() {
    let split = Split::new(vec![("a".into(), 0.5), ("b".into(), 0.5)], "user".into());
    let server = two(split, None);
    let model = |user: u32| {
        let body = json!({ "rows": [{ "user": format!("u{user}") }] }).to_string();
        post(server.http(), "/v1/predict", body).json()["model"].as_str().expect("a name").to_owned()
    };
    let first: Vec<String> = (0..20).map(model).collect();
    assert_eq!(first, (0..20).map(model).collect::<Vec<_>>(), "the same for the same user");
    assert!(first.contains(&"a".to_owned()) && first.contains(&"b".to_owned()), "{first:?}");
    let named = json!({ "rows": [], "model": "b" }).to_string();
    assert_eq!(post(server.http(), "/v1/predict", named).json()["model"], "b");
    let server = two(None, Some("b".into()));
    let told = || String::from_utf8_lossy(&get(server.http(), "/metrics").body).into_owned();
    while !told().contains("dlrm_shadow_difference_count{model=\"b\"}") {
        assert_eq!(post(server.http(), "/v1/predict", one_row()).json()["model"], "a");
        thread::sleep(Duration::from_millis(20));
    }
}
