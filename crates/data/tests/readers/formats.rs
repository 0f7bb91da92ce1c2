//! Criteo, MovieLens, libsvm and libffm.
use crate::{Files, read, read_text, refusal};
use dlrm_data::readers::{Format, Input, default_schema};
use dlrm_data::schema::{Task, Transform};

fn criteo_row(label: &str) -> String {
    let integers = ["1", "-2", "", "0", "5", "6", "7", "8", "9", "10", "11", "", "13"].join("\t");
    let categories: Vec<String> =
        (0..26).map(|i| if i == 3 { String::new() } else { format!("68fd1e{i:02x}") }).collect();
    format!("{label}{integers}\t{}", categories.join("\t"))
}

#[test]
fn criteo_rows_are_validated() {
    let good = criteo_row("1\t");
    let text = [
        good.clone(),
        good.replace("\t13\t", "\t1.5\t"),
        good.replace("68fd1e00", "68fd1e00f"),
        criteo_row(""),
        good.replacen('1', "2", 1),
        good.clone(),
    ];
    let files = Files::new(&[("train.txt", text.join("\n").as_bytes())]);
    let found = read(&files.input(&["train.txt"]).with_format(Format::Criteo)).expect("opened");
    assert_eq!(found.columns.len(), 40);
    assert_eq!(
        (found.columns[0].as_str(), found.columns[13].as_str(), found.columns[39].as_str()),
        ("label", "I13", "C26")
    );
    assert_eq!(found.lines, [1, 6]);
    assert_eq!(
        (found.rows[0][2].as_str(), found.rows[0][3].as_str(), found.rows[0][17].as_str()),
        ("-2", "", "")
    );
    assert_eq!(
        found.bad,
        [
            "train.txt:2:14 (column \"I13\"): expected an integer or nothing, found \"1.5\"",
            "train.txt:3:15 (column \"C1\"): expected at most 8 hexadecimal digits, found \"68fd1e00f\"",
            "train.txt:4:40 (column \"C26\"): expected 40 tab-separated fields, found 39",
            "train.txt:5:1 (column \"label\"): expected 0 or 1, found \"2\"",
        ]
    );
    let schema = default_schema(Format::Criteo, &found.columns).expect("a schema");
    schema.check("criteo").expect("sound");
    assert_eq!((schema.dense.len(), schema.categorical.len()), (13, 26));
    assert!(
        schema.dense.iter().all(|column| column.transform == Transform::Log1p && column.missing_indicator)
    );
}

#[test]
fn criteo_test_sets_have_no_label() {
    let found = read_text("test.txt", &[criteo_row(""), criteo_row("")].join("\n"));
    assert_eq!(found.columns[0], "I1");
    assert_eq!(found.rows.len(), 2);
    assert!(default_schema(Format::Criteo, &found.columns).is_none());
}

/// A data set in the form of MovieLens 100K.
fn movielens_100k() -> Files {
    let genres = b"unknown|0\nAction|1\nComedy|2\n\n";
    let items = b"1|Caf\xe9 (1995)|01-Jan-1996||http://x|0|1|1\n2|Nameless (1990)||||1|0|0\n3|?||||0|0|0\n";
    let users = b"7|24|M|technician|85711\n8|53|F|other|94043\n";
    let ratings = b"7\t1\t3\t881250949\n8\t2\t5\t0\n9\t3\t1\t-1\n7\t4\t2\t1000000000\n";
    Files::new(&[
        ("u.genre", genres),
        ("u.item", items),
        ("u.user", users),
        ("u.data", ratings),
        ("u1.base", &ratings[..17]),
    ])
}

#[test]
fn movielens_100k_is_joined() {
    let files = movielens_100k();
    let found = read(&Input::new([files.directory()])).expect("opened");
    let columns =
        "user_id item_id age gender occupation zip_code release_year genres hour weekday timestamp rating";
    assert_eq!(found.columns, columns.split(' ').collect::<Vec<_>>());
    let rows: Vec<String> = found.rows.iter().map(|row| row.join(",")).collect();
    assert_eq!(
        rows,
        [
            "7,1,24,M,technician,85711,1996,Action|Comedy,15,3,881250949,3",
            "8,2,53,F,other,94043,1990,unknown,0,3,0,5",
            "9,3,,,,,,,23,2,-1,1",
            "7,4,24,M,technician,85711,,,1,6,1000000000,2",
        ]
    );
    let fold = read(&files.input(&["u1.base"])).expect("opened");
    assert_eq!((fold.columns, fold.rows.len()), (found.columns.clone(), 1));
    let directory = Input::new([files.directory()]).with_format(Format::Movielens);
    assert_eq!(read(&directory).expect("opened").rows, found.rows);
    assert_eq!(directory.byte_len().expect("a size"), 50);
    let schema = default_schema(Format::Movielens, &found.columns).expect("a schema");
    schema.check("movielens").expect("sound");
    assert_eq!(
        (schema.label.task, schema.time.as_deref(), schema.categorical.len()),
        (Task::Rating, Some("timestamp"), 9)
    );
}

#[test]
fn movielens_1m_in_both_spellings() {
    let users = b"1::F::18::10::48067\n".as_slice();
    let movies = b"1193::One Flew (1975)::Drama|Children's\n".as_slice();
    let dat = Files::new(&[
        ("users.dat", users),
        ("movies.dat", movies),
        ("ratings.dat", b"1::1193::5::978300760\n"),
    ]);
    let csv = Files::new(&[
        ("users.dat", users),
        ("movies.dat", movies),
        ("ratings.csv", b"user_id,movie_id,rating,timestamp\n1,1193,5,978300760\n1,1193,4,\n"),
    ]);
    let dat = read(&Input::new([dat.directory()])).expect("opened");
    let csv = read(&Input::new([csv.directory()])).expect("opened");
    assert_eq!(dat.rows[0].join(","), "1,1193,18,F,10,48067,1975,Drama|Children's,22,6,978300760,5");
    assert_eq!(csv.rows[0], dat.rows[0]);
    assert_eq!(csv.rows[1].join(","), "1,1193,18,F,10,48067,1975,Drama|Children's,,,,4");
    assert_eq!(csv.columns, dat.columns);
}

#[test]
fn movielens_without_users() {
    let movies = b"movieId,title,genres\r\n1,\"Toy, The (1982)\",Comedy\r\n2,Nothing,(no genres listed)\r\n"
        .as_slice();
    let ratings =
        b"userId,movieId,rating,timestamp\r\n1,1,4.5,964982703\r\n1,2,x,964982703\r\n1,2,3,964982703\r\n"
            .as_slice();
    let files = Files::new(&[("movies.csv", movies), ("ratings.csv", ratings)]);
    let found = read(&Input::new([files.directory()])).expect("opened");
    assert_eq!(
        found.columns,
        ["user_id", "item_id", "release_year", "genres", "hour", "weekday", "timestamp", "rating"]
    );
    assert_eq!(found.rows[0].join(","), "1,1,1982,Comedy,18,6,964982703,4.5");
    assert_eq!(found.rows[1].join(","), "1,2,,,18,6,964982703,3");
    assert_eq!(found.bad, ["ratings.csv:3:3 (column \"rating\"): expected a number, found \"x\""]);
}

#[test]
fn movielens_side_files_are_checked() {
    for (name, text, message) in [
        ("u.user", "7|24|M|technician\n", "u.user:1: expected 5 fields separated by `|`, found 4"),
        (
            "u.user",
            "7|24|M|t|8\nx|24|M|t|8\n",
            "u.user:2:1 (column \"id\"): expected an integer id, found \"x\"",
        ),
        (
            "u.user",
            "7|24|M|t|8\n7|24|M|t|8\n",
            "u.user:2:1 (column \"id\"): expected each id once, found 7 again",
        ),
        ("u.item", "1|T|D|||0|2|0\n", "u.item:1:7 (column \"Action\"): expected 0 or 1, found \"2\""),
        (
            "u.genre",
            "unknown|0\nAction|2\n",
            "u.genre:2:2 (column \"number\"): expected genre number 1, found \"2\"",
        ),
    ] {
        let files = movielens_100k();
        std::fs::write(files.path(name), text).expect("written");
        let (found, _) = refusal(&Input::new([files.directory()]));
        assert!(found.ends_with(message), "{found}");
    }
    let files = movielens_100k();
    std::fs::remove_file(files.path("u.genre")).expect("removed");
    assert!(refusal(&Input::new([files.directory()])).1.contains("u.genre"));
    let empty = Files::new(&[]);
    let (found, hint) = refusal(&Input::new([empty.directory()]).with_format(Format::Movielens));
    assert!(
        found.contains("expected one of u.data, ratings.dat, ratings.csv in it")
            && hint.contains("MovieLens"),
        "{found}"
    );
}

#[test]
fn libsvm_rows() {
    let text = b"# made here\n1 3:0.5 7:1 # two\n\n-1 2:1e-3\n0\n1 x:1\nq 1:1\n1 4:nan\n";
    let files = Files::new(&[("a.libsvm", text)]);
    let found = read(&files.input(&["a.libsvm"]).with_format(Format::Libsvm)).expect("opened");
    assert_eq!(found.columns, ["label", "features"]);
    assert_eq!(found.rows, [["1", "3:0.5|7:1"], ["-1", "2:1e-3"], ["0", ""]]);
    assert_eq!(found.lines, [2, 4, 5]);
    assert_eq!(
        found.bad,
        [
            "a.libsvm:6:2: expected index:value with an integer and a number, found \"x:1\"",
            "a.libsvm:7:1: expected a number as label, found \"q\"",
            "a.libsvm:8:2: expected index:value with an integer and a number, found \"4:nan\"",
        ]
    );
    let ranked = read_text("a.libsvm", "2 qid:10 1:1\n0 2:1\n");
    assert_eq!(ranked.rows, [["2", "10", "1:1"], ["0", "", "2:1"]]);
    let schema = default_schema(Format::Libsvm, &ranked.columns).expect("a schema");
    schema.check("libsvm").expect("sound");
    assert_eq!(schema.categorical[0].multi.as_ref().expect("several").weight_separator, Some(':'));
}

#[test]
fn libffm_rows() {
    let mut text = "1 10:3:0.5 2:7:1 2:8:1\n".repeat(10_000);
    text += "0 2:1:1\n0 5:1:1\n";
    let files = Files::new(&[("a.ffm", text.as_bytes())]);
    let found = read(&files.input(&["a.ffm"])).expect("opened");
    assert_eq!(found.columns, ["label", "field_2", "field_10"]);
    assert_eq!(found.rows[0], ["1", "7:1|8:1", "3:0.5"]);
    assert_eq!(found.rows[10_000], ["0", "1:1", ""]);
    assert_eq!(found.bad, ["a.ffm:10002:2: expected a known field, found \"5:1:1\""]);
    let resolved = files.input(&["a.ffm"]).resolve().expect("resolved");
    let all = Input {
        columns: Some(["label", "field_2", "field_5", "field_10"].map(str::to_owned).to_vec()),
        ..resolved
    };
    assert_eq!(read(&all).expect("opened").rows[10_001], ["0", "", "1:1", ""]);
}

#[test]
fn json_lines() {
    let text = "{\"click\": 1, \"user\": \"a\", \"price\": 1.50, \"tags\": [\"x\", \"y\", null]}\n\
        \n\
        {\"user\": \"b\\u00e9\\n\", \"click\": false, \"id\": 9007199254740993}\r\n\
        {\"click\": true, \"price\": null, \"tags\": []}";
    let found = read_text("rows.jsonl", text);
    assert_eq!(found.columns, ["click", "user", "price", "tags", "id"]);
    let expected = [
        ["1", "a", "1.50", "x|y", ""],
        ["0", "b\u{e9}\n", "", "", "9007199254740993"],
        ["1", "", "", "", ""],
    ];
    assert_eq!(found.rows, expected);
    assert_eq!(found.lines, [1, 3, 4]);
    let files = Files::new(&[("rows.json", text.as_bytes())]);
    let resolved = files.input(&["rows.json"]).resolve().expect("resolved");
    assert_eq!(resolved.format, Format::Jsonl, "whatever the name");
    let some = Input { columns: Some(vec!["id".into(), "click".into()]), ..resolved };
    assert_eq!(read(&some).expect("opened").rows[1], ["9007199254740993", "0"]);
}

#[test]
fn json_lines_that_are_wrong() {
    let good = "{\"click\": 1, \"user\": \"a\"}\n".repeat(20);
    for (line, message) in [
        (
            "{\"click\": 1, \"user\": {\"id\": 3}}",
            "rows.jsonl:21:2 (column \"user\"): expected a single value or a list",
        ),
        ("{\"click\": 1, \"user\": [[1]]}", "expected a single value or a list of them, found \"[1]\""),
        ("{\"click\": 1, \"user\": [\"a|b\"]}", "expected list values without `|`"),
        ("{\"click\": 1, \"click\": 0}", "(column \"click\"): expected each key once"),
        ("{\"error\": \"timeout\"}", "expected an object with one of the columns as key, found \"error\""),
        ("{}", "found an empty one"),
        ("[1, 2]", "expected a JSON object in a line, found \"[1, 2]\""),
        ("{\"click\": 1, \"user\": \"a", "expected a JSON object in a line, found \"{"),
        ("click,user", "expected a JSON object in a line"),
    ] {
        let files = Files::new(&[("rows.jsonl", format!("{good}{line}\n{good}").as_bytes())]);
        let columns = Some(vec!["click".to_owned(), "user".to_owned()]);
        let input = Input { columns, ..files.input(&["rows.jsonl"]).with_format(Format::Jsonl) };
        let found = read(&input).expect("opened");
        assert_eq!((found.rows.len(), found.bad.len(), found.end), (40, 1, None), "{line}");
        assert!(found.bad[0].contains(message), "{}", found.bad[0]);
    }
    let deep = format!("{good}{{\"user\": {}}}\n", "[".repeat(100_000));
    assert_eq!(read_text("rows.jsonl", &deep).bad.len(), 1);
    let latin = [good.as_bytes(), b"{\"user\": \"\xe9\"}\n"].concat();
    let files = Files::new(&[("rows.jsonl", &latin)]);
    assert!(read(&files.input(&["rows.jsonl"])).expect("opened").bad[0].contains("UTF-8"));
}

#[test]
fn json_lines_packed_in_several_files() {
    let text = "{\"a\": 1, \"b\": \"x\"}\n".repeat(30);
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("packed");
    let files = Files::new(&[("1.jsonl", text.as_bytes()), ("2.ndjson.zst", &packed)]);
    let found = read(&files.input(&["1.jsonl", "2.ndjson.zst"])).expect("opened");
    assert_eq!((found.rows.len(), found.columns), (60, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(read(&Input::new([files.directory()])).expect("opened").rows.len(), 60);
}
