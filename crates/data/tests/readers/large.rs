//! Faults deep in large files. They are packed as they are made, so that neither disk nor memory holds them.
use crate::{Files, read};
use dlrm_data::Stop;
use dlrm_data::dataset::Sources;
use dlrm_data::readers::Format;
use dlrm_data::split::Split;
use dlrm_data::{Error, RawRow, Schema};
use std::fs::File;
use std::io::Write;

/// Most memory that the process has held, in bytes, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[test]
fn a_line_of_100_mb_is_one_bad_row_in_every_text_format() {
    let seeds = [
        (Format::Csv, "id,x\n1,2\n", "3,4\n"),
        (Format::Tsv, "id\tx\n1\t2\n", "3\t4\n"),
        (Format::Libsvm, "1 3:0.5\n", "0 2:1\n"),
        (Format::Libffm, "1 0:3:0.5\n", "0 0:2:1\n"),
    ];
    let piece = "7".repeat(1 << 20);
    for (format, before, after) in seeds {
        let files = Files::new(&[]);
        let mut out =
            zstd::Encoder::new(File::create(files.path("a.zst")).expect("a file"), 1).expect("an encoder");
        out.write_all(before.as_bytes()).expect("packed");
        (0..100).for_each(|_| out.write_all(piece.as_bytes()).expect("packed"));
        out.write_all(b"\n").and_then(|()| out.write_all(after.as_bytes())).expect("packed");
        out.finish().expect("packed");
        let had = peak();
        let found = read(&files.input(&["a.zst"]).with_format(format)).expect("opened");
        assert_eq!((found.rows.len(), found.bad.len(), found.end), (2, 1, None), "{format}");
        assert!(
            found.bad[0].contains("expected a line of at most 16 MiB, found a longer one"),
            "{}",
            found.bad[0]
        );
        // Other tests of this process need memory too, but not so much.
        if let (Some(had), Some(has)) = (had, peak()) {
            assert!(has - had.min(has) < 80 << 20, "{} MB more", (has - had) >> 20);
        }
    }
}

#[test]
fn a_type_that_changes_at_row_five_million_is_named() {
    const ROWS: usize = 5_000_000;
    let files = Files::new(&[]);
    let mut out = zstd::Encoder::new(File::create(files.path("clicks.csv.zst")).expect("a file"), 1)
        .expect("an encoder");
    let block = "1,5\n0,7\n".repeat(500);
    out.write_all(b"click,price\n").expect("packed");
    (1..ROWS / 1000).for_each(|_| out.write_all(block.as_bytes()).expect("packed"));
    out.write_all(&block.as_bytes()[..4 * 999])
        .and_then(|()| out.write_all(b"1,cheap\n0,3\n"))
        .expect("packed");
    out.finish().expect("packed");
    let input = files.input(&["clicks.csv.zst"]).resolve().expect("an input");
    let schema =
        Schema::from_toml("label = { column = \"click\" }\ndense = [{ name = \"price\" }]", "schema")
            .expect("a schema");
    let split = Split::Random { validation: 0.1, test: 0.1, seed: 0 };
    let fit = |max_bad_rows| {
        Sources {
            main: &input,
            validation: None,
            test: None,
            split: &split,
            max_bad_rows,
            threads: 2,
            stop: Stop::never(),
        }
        .fit(&schema)
    };
    let Err(Error::Row(bad)) = fit(0) else { panic!("no malformed row") };
    let (error, hint) = (bad.to_string(), bad.hint.clone().unwrap_or_default().to_string());
    assert!(
        error.contains("clicks.csv.zst:5000001:2 (column \"price\"): expected a number, found \"cheap\""),
        "{error}"
    );
    assert!(hint.contains("make the column categorical") && hint.contains("data.max_bad_rows"), "{hint}");
    let fitted = fit(1).expect("one row may be skipped");
    assert_eq!((fitted.rows.values().sum::<u64>(), fitted.skipped), (ROWS as u64, 1));
}

#[test]
fn line_ends_of_all_kinds_are_line_ends() {
    let files = Files::new(&[("a.csv", b"id,x\r\n1,a\n2,b\r\n3,c\n\r\n4,\"d\r\ne\"\n5,f")]);
    let found = read(&files.input(&["a.csv"])).expect("opened");
    assert_eq!(found.rows, [["1", "a"], ["2", "b"], ["3", "c"], ["4", "d\r\ne"], ["5", "f"]]);
    // A lone carriage return is none: it belongs to the field, which a number would not survive.
    let files = Files::new(&[("a.csv", b"id,x\n1,a\r2,b\n3,c\n")]);
    let found = read(&files.input(&["a.csv"])).expect("opened");
    assert_eq!((found.rows, found.bad.len()), (vec![vec!["3".to_owned(), "c".into()]], 1));
    let mut row = RawRow::default();
    let files = Files::new(&[("a.csv", b"id,x\n1,a\xff\n2,b\n")]);
    let error =
        files.input(&["a.csv"]).open().expect("opened").next_row(&mut row).expect_err("no UTF-8").to_string();
    assert!(error.contains("a.csv:2") && error.contains("UTF-8"), "{error}");
}
