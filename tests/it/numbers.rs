//! How numbers and times become inputs, from the command line to scores.
use crate::common::{fails, works};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Irregular numbers in 0…1, the same every time.
fn uniform(seed: u64, row: u64) -> f64 {
    (xxhash_rust::xxh3::xxh3_64_with_seed(&row.to_le_bytes(), seed) >> 11) as f64 / (1u64 << 53) as f64
}

/// Clicks far from the middle of `x` alone; a tenth of `x` is missing, one value is far away.
fn far_from_the_middle() -> String {
    let row = |r: u64| {
        let (x, z) = (uniform(1, r) * 40.0 - 20.0, uniform(2, r));
        let click = u8::from((x.abs() > 10.0) ^ (uniform(3, r) < 0.05));
        let x = match r {
            7 => "1e12".to_owned(),
            _ if r % 10 == 3 => String::new(),
            _ => format!("{x:.3}"),
        };
        format!("{click},{x},{z:.3},u{}\n", r % 7)
    };
    "click,x,z,user\n".to_owned() + &(0..3000).map(row).collect::<String>()
}

fn auc(dir: &Path, out: &str, args: &[&str]) -> f64 {
    let args = [&["--json", "-q", "train", "--model", "lr", "-o", out], args].concat();
    let report: Value = serde_json::from_str(works(dir, &args).out.trim()).expect("JSON");
    let test = report["candidates"][0]["splits"].as_array().and_then(|all| all.last()).expect("test rows");
    let of = |kind: &str| {
        let all = test["intervals"].as_array().expect("intervals").iter();
        all.clone().find(|m| m["metric"] == kind).expect(kind)["interval"]["estimate"].as_f64()
    };
    of("auc").expect("a number")
}

#[test]
fn piecewise_linear_inputs_tell_what_a_line_cannot() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("rows.csv"), far_from_the_middle()).expect("a file");
    let line = &["rows.csv", "--label", "click", "--set", "data.dense_transform=standardize"];
    let plain = auc(dir.path(), "plain", line);
    let with = &["rows.csv", "--label", "click", "--set", "data.dense_transform=piecewise_linear"];
    let pieces = auc(dir.path(), "pieces", with);
    assert!(plain < 0.6 && pieces > 0.85, "{plain} {pieces}");
    let report = fs::read_to_string(dir.path().join("pieces/report.html")).expect("a report");
    assert!(report.contains("piecewise linear in 16 bins"));
    // A schema that is given says it for each column.
    let schema = "label = { column = \"click\" }\ndense = [{ name = \"x\", transform = \"piecewise_linear\", \
        bins = 4, clip_quantiles = [0.01, 0.99], missing_indicator = true }, { name = \"z\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).expect("a file");
    let given = &[with, &["--schema", "schema.toml"][..]].concat();
    assert!(auc(dir.path(), "given", given) > 0.85);
    let encoder = fs::read_to_string(dir.path().join("given/model/encoder.json")).expect("an encoder");
    let encoder: Value = serde_json::from_str(&encoder).expect("JSON");
    let dense = &encoder["dense"];
    assert_eq!(dense[0]["pieces"]["edges"].as_array().map(Vec::len), Some(5), "{dense}");
    assert_eq!((&dense[1]["transform"], &dense[1]["pieces"]), (&Value::from("standardize"), &Value::Null));
    assert_eq!(dense[0]["clip"][0], dense[0]["pieces"]["edges"][0], "the range that was asked for");
}

#[test]
fn piecewise_linear_inputs_are_the_same_from_text_and_prepared_and_in_scores() {
    let dir = tempfile::tempdir().expect("a directory");
    let (root, rows) = (dir.path(), far_from_the_middle());
    fs::write(root.join("rows.csv"), &rows).expect("a file");
    let config = "[data]\ndense_transform = \"piecewise_linear\"\n[schema]\nlabel = { column = \"click\" }\n\
        dense = [{ name = \"x\", transform = \"piecewise_linear\", missing_indicator = true }, { name = \
        \"z\", transform = \"piecewise_linear\", bins = 3 }]\ncategorical = [{ name = \"user\" }]\n";
    fs::write(root.join("mine.toml"), config).expect("a file");
    works(root, &["-q", "prepare", "rows.csv", "--config", "mine.toml", "-o", "prepared"]);
    let model = |input: &str, out: &str, more: &[&str]| {
        let own = if input == "prepared" { &[][..] } else { &["--config", "mine.toml"] };
        let small = ["--epochs", "2", "--no-baseline", "--set", "model.bottom=[16]", "-o", out];
        works(root, &[&["-q", "train", input], own, &small, more].concat());
        ["weights.safetensors", "golden.json", "encoder.json"]
            .map(|name| fs::read(root.join(out).join("model").join(name)).expect(name))
    };
    let expected = model("rows.csv", "text", &[]);
    assert!(expected == model("prepared", "set", &[]), "prepared");
    assert!(expected == model("rows.csv", "threads", &["--threads", "1"]), "one thread");
    let streamed = model("rows.csv", "stream", &["--stream"]);
    assert!(streamed == model("prepared", "set-stream", &["--stream"]), "a prepared stream");
    assert!(expected[2] == streamed[2], "one encoder");
    // Rows in another order, scored by another reading of them: the same scores.
    let scores = works(root, &["-q", "predict", "text", "rows.csv"]).out;
    let mut lines: Vec<&str> = rows.lines().collect();
    lines[1..].reverse();
    fs::write(root.join("reversed.csv"), lines.join("\n")).expect("a file");
    let reversed = works(root, &["-q", "predict", "set", "reversed.csv"]).out;
    let forward: Vec<&str> =
        scores.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    let backward: Vec<&str> =
        reversed.lines().rev().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!((forward.len(), &forward), (3000, &backward));
    works(root, &["-q", "evaluate", "text", "rows.csv"]);
    assert!(works(root, &["show", "text"]).out.contains('x'));
}

const DAY: u64 = 86_400;

/// Moments of sixty days, in seconds since 1970.
fn moment(r: u64) -> u64 {
    1_700_000_000 + (uniform(5, r) * 60.0 * DAY as f64) as u64
}

/// Clicks at night and on Sundays, at a moment that `write` writes.
fn night(write: impl Fn(u64) -> String) -> String {
    let row = |r: u64| {
        let t = moment(r);
        let (hour, weekday) = (t % DAY / 3600, (t / DAY + 3) % 7);
        let click = u8::from(((hour < 6 || weekday == 6) ^ (uniform(3, r) < 0.05)) && r != 0);
        format!("{click},{},u{}\n", write(t), r % 7)
    };
    "click,seen_at,user\n".to_owned() + &(0..3000).map(row).collect::<String>()
}

/// The date and the time of day of a moment of the months in question.
fn written(t: u64, form: &str) -> String {
    // 2023-11-14 is day 19,675.
    let day = (t / DAY - 19_675 + 14) as u32;
    let (y, m, d) = match day {
        1..=30 => (2023, 11, day),
        31..=61 => (2023, 12, day - 30),
        _ => (2024, 1, day - 61),
    };
    let time = format!("{:02}:{:02}", t % DAY / 3600, t % 3600 / 60);
    match form {
        "iso" => format!("{y}-{m:02}-{d:02} {time}"),
        "day" => format!("{d:02}/{m:02}/{y} {time}"),
        _ => format!("{m}/{d}/{y} {time}"),
    }
}

#[test]
fn hour_and_weekday_of_a_timestamp_are_inputs_however_it_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut scores = Vec::new();
    for (name, write) in [
        ("seconds", &(|t: u64| t.to_string()) as &dyn Fn(u64) -> String),
        ("milliseconds", &|t| (t * 1000).to_string()),
        ("iso", &|t| written(t, "iso")),
        ("day", &|t| written(t, "day")),
        ("month", &|t| written(t, "month")),
    ] {
        let file = format!("{name}.csv");
        fs::write(dir.path().join(&file), night(write)).expect("a file");
        let auc = auc(dir.path(), name, &[&file, "--label", "click"]);
        assert!(auc > 0.85, "{name}: {auc}");
        // The raw rows at scoring take the same way.
        scores.push(works(dir.path(), &["-q", "predict", name, &file]).out);
    }
    assert!(scores.windows(2).all(|pair| pair[0] == pair[1]), "one log, one score");
    let said = works(dir.path(), &["train", "day.csv", "--label", "click", "--epochs", "1", "-o", "x"]).err;
    assert!(said.contains("column \"seen_at\", a timestamp: hour of day and weekday are inputs"), "{said}");
    // The column still orders the rows, and the weekday of later ones is no drift.
    works(
        dir.path(),
        &["-q", "train", "day.csv", "--label", "click", "--split", "time", "--epochs", "1", "-o", "y"],
    );
    let text =
        works(dir.path(), &["inspect", "day.csv", "--label", "click", "--split", "time", "-o", "s.toml"]).out;
    assert!(
        text.contains("seen_at:hour and seen_at:weekday as inputs") && text.contains("Findings: none"),
        "{text}"
    );
    let schema = fs::read_to_string(dir.path().join("s.toml")).expect("a schema");
    assert!(
        schema.contains("date_order = \"day_first\"") && schema.contains("part = \"weekday\""),
        "{schema}"
    );
    works(dir.path(), &["-q", "train", "day.csv", "--schema", "s.toml", "--epochs", "1", "-o", "z"]);
}

#[test]
fn the_age_of_another_moment_is_an_input() {
    let dir = tempfile::tempdir().expect("a directory");
    // What was published within two days is clicked, at any time of the sixty days.
    let row = |r: u64| {
        let (seen, age) = (moment(r), (uniform(7, r) * 6.0 * DAY as f64) as u64);
        let click = u8::from((age < 2 * DAY) ^ (uniform(3, r) < 0.05));
        format!("{click},{},{},u{}\n", (seen - age) * 1000, written(seen, "iso"), r % 7)
    };
    let rows = "click,published_at,seen_at,user\n".to_owned() + &(0..3000).map(row).collect::<String>();
    fs::write(dir.path().join("rows.csv"), &rows).expect("a file");
    let said = works(dir.path(), &["train", "rows.csv", "--label", "click", "--epochs", "1", "-o", "x"]).err;
    let note = "column \"published_at\", a timestamp: the days from it to \"seen_at\" are an input";
    assert!(said.contains(note), "{said}");
    let with = auc(dir.path(), "with", &["rows.csv", "--label", "click"]);
    let ignore = ["rows.csv", "--label", "click", "--ignore", "published_at"];
    let without = auc(dir.path(), "without", &ignore);
    assert!(with > 0.85 && without < 0.6, "{with} {without}");
    assert!(works(dir.path(), &["show", "with"]).out.contains("published_at:age"));
    // From a prepared set, in another order, and of rows without labels: the same scores.
    let scores = works(dir.path(), &["-q", "predict", "with", "rows.csv"]).out;
    works(dir.path(), &["-q", "prepare", "rows.csv", "--label", "click", "-o", "set"]);
    works(dir.path(), &["-q", "train", "set", "--model", "lr", "-o", "prepared"]);
    assert_eq!(works(dir.path(), &["-q", "predict", "prepared", "rows.csv"]).out, scores);
    let text = works(dir.path(), &["inspect", "rows.csv", "--label", "click", "-o", "s.toml"]).out;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("days to seen_at as an input"), "{text}");
    let schema = fs::read_to_string(dir.path().join("s.toml")).expect("a schema");
    assert!(schema.contains("[dense.age]") && schema.contains("time = \"seen_at\""), "{schema}");
    works(dir.path(), &["-q", "train", "rows.csv", "--schema", "s.toml", "--model", "lr", "-o", "given"]);
    assert_eq!(works(dir.path(), &["-q", "predict", "given", "rows.csv"]).out, scores);
    // A moment that is missing is no error, one that is none is.
    let unknown = "published_at,seen_at,user\n,2023-11-15 10:00,u1\n";
    fs::write(dir.path().join("new.csv"), unknown).expect("a file");
    works(dir.path(), &["predict", "with", "new.csv"]);
    fs::write(dir.path().join("new.csv"), unknown.replace("\n,", "\nsoon,")).expect("a file");
    let expected = ["(column \"published_at\"): expected a moment", "found \"soon\""];
    fails(dir.path(), &["predict", "with", "new.csv"], 3, &expected);
    let twice = schema.replace("until = \"seen_at\"", "until = \"published_at\"");
    fs::write(dir.path().join("s.toml"), twice).expect("a file");
    let args = ["train", "rows.csv", "--schema", "s.toml", "-o", "y"];
    fails(dir.path(), &args, 3, &["the moments of two columns", "\"published_at\""]);
}

#[test]
fn what_is_not_known_of_moments_is_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let unclear = |t: u64| format!("{:02}/{:02}/2024", 1 + t % 12, 1 + t / 7 % 12);
    fs::write(dir.path().join("unclear.csv"), night(unclear)).expect("a file");
    let said =
        works(dir.path(), &["train", "unclear.csv", "--label", "click", "--epochs", "1", "-o", "x"]).err;
    assert!(said.contains("no row tells whether the day or the month comes first"), "{said}");
    let schema = "label = { column = \"click\" }\ncategorical = [{ name = \"user\" }, { name = \"weekday\", \
        time = { column = \"seen_at\", part = \"weekday\" } }]\n";
    fs::write(dir.path().join("schema.toml"), schema).expect("a file");
    let args = ["train", "unclear.csv", "--schema", "schema.toml", "--epochs", "1", "-o", "y"];
    fails(
        dir.path(),
        &args,
        3,
        &["(column \"seen_at\"): expected a moment", "need `date_order` in the schema"],
    );
    fs::write(dir.path().join("schema.toml"), format!("date_order = \"month_first\"\n{schema}"))
        .expect("a file");
    works(dir.path(), &[&["-q"], &args[..]].concat());
    let missing = "seen_at,user\n,u1\n01/05/2024,u2\n";
    fs::write(dir.path().join("new.csv"), missing).expect("a file");
    assert!(
        works(dir.path(), &["predict", "y", "new.csv"]).out.lines().count() >= 2,
        "a missing moment is no error"
    );
    fs::write(dir.path().join("new.csv"), "seen_at,user\nsoon,u1\n").expect("a file");
    fails(dir.path(), &["predict", "y", "new.csv"], 3, &["found \"soon\"", "list its text under `missing`"]);
}

#[test]
fn sentinels_are_found_and_declared() {
    let dir = tempfile::tempdir().expect("a directory");
    let row = |r: u64| {
        let x = uniform(1, r) * 100.0;
        let click = u8::from(uniform(2, r) < 0.5);
        let x = if r % 20 == 3 { "-999".to_owned() } else { format!("{x:.2}") };
        format!("{click},{x},u{}\n", r % 7)
    };
    let rows = "click,x,user\n".to_owned() + &(0..2000).map(row).collect::<String>();
    fs::write(dir.path().join("rows.csv"), rows).expect("a file");
    let finding = |args: &[&str]| {
        let out = works(dir.path(), &[&["--json", "inspect", "rows.csv"], args].concat()).out;
        let report: Value = serde_json::from_str(out.trim()).expect("JSON");
        let all = report["doctor"]["findings"].as_array().expect("findings").clone();
        all.into_iter().find(|f| f["found"].as_str().is_some_and(|found| found.contains("may stand for")))
    };
    let found = finding(&["--label", "click"]).expect("a finding");
    assert_eq!(found["column"], "x");
    let text = found["found"].as_str().expect("a text");
    assert!(
        text.contains("-999") && text.contains("100 rows (5.0 %)") && text.contains("`sentinels`"),
        "{text}"
    );
    let said = works(dir.path(), &["train", "rows.csv", "--label", "click", "--epochs", "1", "-o", "a"]).err;
    assert!(said.contains("column \"x\": -999 may stand for a missing value"), "{said}");
    let schema = "label = { column = \"click\" }\ndense = [{ name = \"x\", sentinels = [-999], \
        missing_indicator = true }]\ncategorical = [{ name = \"user\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).expect("a file");
    assert_eq!(finding(&["--schema", "schema.toml"]), None, "it is declared");
    works(dir.path(), &["-q", "train", "rows.csv", "--schema", "schema.toml", "--epochs", "1", "-o", "b"]);
    fs::write(dir.path().join("new.csv"), "x,user\n-999,u1\n-999.0,u1\n,u1\n50,u1\n").expect("a file");
    let out = works(dir.path(), &["-q", "predict", "b", "new.csv"]).out;
    let scores: Vec<&str> =
        out.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert!(scores[0] == scores[2] && scores[1] == scores[2] && scores[2] != scores[3], "{out}");
}
