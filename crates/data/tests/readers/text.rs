//! Delimited text and the streams under it.
use crate::{Files, read, read_text, refusal};
use dlrm_data::readers::{Format, Header, Input, Quote, Trim};
use dlrm_data::{Error, RawRow};
use std::io::Write;

#[test]
fn header_quotes_and_line_numbers() {
    let found = read_text("a.csv", "\u{feff}id,name\r\n1,\"x, \"\"y\"\"\nz\"\n\n2,w\r\n3,β");
    assert_eq!(found.columns, ["id", "name"]);
    assert_eq!(found.rows, [["1", "x, \"y\"\nz"], ["2", "w"], ["3", "β"]]);
    assert_eq!(found.lines, [2, 5, 6]);
    assert_eq!(found.bad, [""; 0]);
}

#[test]
fn bad_rows_say_where_and_the_next_row_follows() {
    let files =
        Files::new(&[("a.csv", b"id,name\n1,x\n2\n3,y,z\n4,\xff\xfe\n5,\"a\"b\n6,ok\n7,\"open\n8,lost?\n")]);
    let found = read(&Input { quote: Some(Quote::Double), ..files.input(&["a.csv"]) }).expect("opened");
    assert_eq!(found.rows, [["1", "x"], ["6", "ok"], ["8", "lost?"]]);
    assert_eq!(found.lines, [2, 7, 9]);
    assert_eq!(
        found.bad,
        [
            "a.csv:3:2 (column \"name\"): expected 2 fields, found 1",
            "a.csv:4:3: expected 2 fields, found 3",
            "a.csv:5:2 (column \"name\"): expected UTF-8 text, found byte 0xff in \"4,��\"",
            "a.csv:6:2 (column \"name\"): expected a delimiter or the line end behind a closing quote, found \
                \"5,\\\"a\\\"b\"",
            "a.csv:8:2 (column \"name\"): expected a closing quote, found none before the end of the file: \
                \"7,\\\"open\"",
        ]
    );
}

#[test]
fn every_pass_is_the_same() {
    let files = Files::new(&[("a.csv", b"id,name\n1,x\n2\n3,\"y\n4,z\n")]);
    let input = files.input(&["a.csv"]);
    let first = read(&input).expect("opened");
    assert_eq!(read(&input).expect("opened"), first);
    assert_eq!(read(&input.resolve().expect("resolved")).expect("opened"), first);
}

#[test]
fn resolved_inputs_are_complete_and_stored_as_toml() {
    let files = Files::new(&[("a.data", b"39, State-gov, <=50K\n50, Self-emp, >50K\n38, Private, <=50K\n")]);
    let input = files.input(&["a.data"]).resolve().expect("resolved");
    assert_eq!((input.format, input.delimiter), (Format::Csv, Some(',')));
    assert_eq!(
        (input.quote, input.header, input.trim),
        (Some(Quote::Double), Some(Header::Absent), Some(Trim::Blanks))
    );
    assert_eq!(input.columns.as_deref().expect("names"), ["column_1", "column_2", "column_3"]);
    assert_eq!(read(&input).expect("opened").rows[0], ["39", "State-gov", "<=50K"]);
    let text = toml::to_string(&input).expect("toml");
    assert_eq!(toml::from_str::<Input>(&text).expect("read back"), input);
    assert_eq!(input.resolve().expect("resolved again"), input);
    assert_eq!(input.byte_len().expect("a size"), 59);

    let named: Input =
        toml::from_str("paths = [\"x\"]\ncolumns = [\"age\", \"work\", \"income\"]").expect("toml");
    let named = Input { paths: input.paths, ..named };
    assert_eq!(read(&named).expect("opened").columns, ["age", "work", "income"]);
    let unknown = toml::from_str::<Input>("paths = []\ndelimeter = \",\"").expect_err("unknown");
    assert!(unknown.message().contains("unknown field"), "{unknown}");
}

#[test]
fn given_details_are_obeyed() {
    let files = Files::new(&[("a.txt", b"a\"b;c,d\nx;y\n")]);
    let input = Input { delimiter: Some(','), header: Some(Header::Absent), ..files.input(&["a.txt"]) };
    assert_eq!(read(&input).expect("opened").rows, [["a\"b;c", "d"]]);
    let renamed = Input {
        header: Some(Header::Present),
        columns: Some(vec!["p".into(), "q".into()]),
        ..files.input(&["a.txt"])
    };
    let found = read(&renamed).expect("opened");
    assert_eq!(
        (found.columns, found.rows),
        (vec!["p".to_owned(), "q".to_owned()], vec![vec!["x".to_owned(), "y".to_owned()]])
    );
    let wrong =
        Input { columns: Some(vec!["p".into()]), header: Some(Header::Present), ..files.input(&["a.txt"]) };
    assert!(
        refusal(&wrong)
            .0
            .ends_with("a.txt:1: expected 1 fields, as many as `columns` names, found a header of 2"),
        "{:?}",
        refusal(&wrong)
    );
}

#[test]
fn unusable_inputs_are_refused_with_a_hint() {
    let files = Files::new(&[
        ("empty.csv", b""),
        ("blank.csv", b"\n\r\n"),
        ("latin.csv", b"us\xe9r,price\n1,2\n3,4\n"),
        ("twice.csv", b"a,b,a\n1,2,3\n"),
        ("unnamed.csv", b"a,,c\n1,2,3\n"),
        ("a.csv", b"x\n1\n"),
        ("mac.csv", b"a,b\r1,2\r3,4\r"),
    ]);
    let present = |name: &str| Input { header: Some(Header::Present), ..files.input(&[name]) };
    for name in ["empty.csv", "blank.csv"] {
        assert!(refusal(&files.input(&[name])).0.ends_with("expected rows, found an empty file"));
    }
    assert!(refusal(&present("twice.csv")).0.contains(
        "twice.csv:1 (header): expected column names that differ, found \"a\" for columns 1 and 3"
    ));
    assert_eq!(read(&present("unnamed.csv")).expect("opened").columns, ["a", "column_2", "c"]);
    assert!(
        refusal(&files.input(&["twice.csv"])).0.contains("column names that differ"),
        "no header is taken for a row"
    );
    let latin = refusal(&files.input(&["latin.csv"]));
    assert!(
        latin.0.contains("latin.csv:1:1: expected UTF-8 text, found byte 0xe9") && latin.1.contains("iconv"),
        "{latin:?}"
    );
    assert!(refusal(&Input::new(["-"])).0.contains("standard input"));
    assert!(refusal(&files.input(&["mac.csv"])).1.contains("tr "));
    assert!(matches!(files.input(&["none.csv"]).open(), Err(Error::Io { action: "open", .. })));
    assert!(refusal(&Input::default()).0.contains("at least one file"));
    let tab = Input { delimiter: Some('é'), ..files.input(&["a.csv"]) };
    assert!(refusal(&tab).1.contains("usual ones"));
    let criteo = Input { delimiter: Some(','), ..files.input(&["a.csv"]).with_format(Format::Criteo) };
    assert!(refusal(&criteo).0.contains("`delimiter`"));
    assert!(refusal(&files.input(&["a.csv"]).with_format(Format::Criteo)).1.contains("csv"));
    let nothing = Files::new(&[("README", b"text")]);
    assert!(refusal(&Input::new([nothing.directory()])).0.contains("a file ending in one of .csv"));
}

#[test]
fn formats_are_parsed_with_a_hint() {
    assert_eq!("criteo".parse::<Format>().expect("known"), Format::Criteo);
    let error = "movilens".parse::<Format>().expect_err("unknown");
    assert_eq!(error.hint(), Some(&"did you mean \"movielens\"?".into()));
    assert_eq!(Format::ALL.map(|(name, format)| name == format.to_string()), [true; 10]);
}

#[test]
fn several_files_are_one_stream() {
    let files = Files::new(&[
        ("b.csv", b"id,x\n3,c"),
        ("a.csv", b"id,x\n1,a\n2\n"),
        ("c.csv", b"id,y\n4,d\n"),
        ("note.md", b"no data"),
        ("README.txt", b"none"),
        ("SOURCE.txt", b"none"),
    ]);
    let found = read(&files.input(&["a.csv", "b.csv"])).expect("opened");
    assert_eq!(found.rows, [["1", "a"], ["3", "c"]]);
    assert_eq!(found.lines, [2, 2]);
    assert_eq!(found.bad, ["a.csv:3:2 (column \"x\"): expected 2 fields, found 1"]);
    let (message, _) = refusal(&files.input(&["a.csv", "c.csv"]));
    assert!(
        message.contains("c.csv: expected column 2 to be \"x\" as in ")
            && message.ends_with("a.csv, found \"y\""),
        "{message}"
    );
    std::fs::remove_file(files.path("c.csv")).expect("removed");
    let directory = Input::new([files.directory()]);
    assert_eq!(read(&directory).expect("opened").rows, [["1", "a"], ["3", "c"]]);
    assert_eq!(directory.files().expect("files"), [files.path("a.csv"), files.path("b.csv")]);
}

#[test]
fn packed_files_read_alike_and_truncation_is_final() {
    let text: String =
        std::iter::once("id,x\n".to_owned()).chain((0..20_000).map(|i| format!("{i},{}\n", i * i))).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("packed");
    let gzip = gzip.finish().expect("packed");
    let zstd = zstd::encode_all(text.as_bytes(), 1).expect("packed");
    let files = Files::new(&[
        ("a.csv", text.as_bytes()),
        ("b.csv", &gzip),
        ("c.csv", &zstd),
        ("cut.csv.gz", &gzip[..gzip.len() / 2]),
    ]);
    let plain = read(&files.input(&["a.csv"])).expect("opened");
    assert_eq!(plain.rows.len(), 20_000);
    assert_eq!(read(&files.input(&["b.csv"])).expect("opened"), plain);
    assert_eq!(read(&files.input(&["c.csv"])).expect("opened"), plain);
    // The columns of a file that breaks off far behind its beginning are known, so it opens.
    let cut = read(&Input { columns: Some(vec!["id".into(), "x".into()]), ..files.input(&["cut.csv.gz"]) });
    let message = cut.map_or_else(|error| error.to_string(), |cut| cut.end.expect("a final error"));
    assert!(
        message.contains("cut.csv.gz: expected a whole gzip file, found its end inside line"),
        "{message}"
    );
}

#[test]
fn an_open_quote_costs_bounded_memory_and_one_row() {
    let mut text = String::from("id,x\n1,\"open\n");
    (2..1_600_000).for_each(|i| text += &format!("{i},abcdefg\n"));
    assert!(text.len() > 18 << 20);
    let files = Files::new(&[("a.csv", text.as_bytes())]);
    let mut source = files.input(&["a.csv"]).open().expect("opened");
    let mut row = RawRow::default();
    let error = source.next_row(&mut row).expect_err("open");
    assert!(
        error
            .to_string()
            .contains("a.csv:2:2 (column \"x\"): expected a closing quote, found none within 16 MiB"),
        "{error}"
    );
    assert!(source.next_row(&mut row).expect("the next row"));
    assert_eq!((row.field(0), row.line), ("2", 3));
}

#[test]
fn headers_are_found_over_numbers_and_trimmed() {
    let index = read_text("a.csv", ", user ,price\n0,u1,2.5\n1,u2,3\n");
    assert_eq!(
        (index.columns, index.rows.len()),
        (vec!["column_1".to_owned(), "user".into(), "price".into()], 2)
    );
    assert_eq!(
        read_text("a.csv", "click,2019,colour\n1,7,red\n0,8,colour\n").columns,
        ["click", "2019", "colour"]
    );
}

#[test]
fn an_endless_line_in_the_beginning_is_one_bad_row() {
    let text = format!("id,x\n1,{}\n2,b\n", "y".repeat(17 << 20));
    let found = read_text("a.csv", &text);
    assert_eq!(
        (found.rows, found.columns),
        (vec![vec!["2".to_owned(), "b".into()]], vec!["id".to_owned(), "x".into()])
    );
    assert_eq!(found.bad, ["a.csv:2: expected a line of at most 16 MiB, found a longer one"]);
}

#[test]
fn what_is_no_table_is_said() {
    let csv = "a,b,c\n1,2,3\n4,5,6\n";
    let mut tar = vec![0u8; 512];
    tar[..5].copy_from_slice(b"x.csv");
    tar[257..262].copy_from_slice(b"ustar");
    tar.extend(csv.as_bytes());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &tar).expect("packed");
    let gzip = gzip.finish().expect("packed");
    let mut long = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    long.window_log(28).expect("a setting");
    std::io::Write::write_all(&mut long, csv.as_bytes()).expect("packed");
    let long = long.finish().expect("packed");
    let words: Vec<u8> =
        (0..400u32).flat_map(|i| format!("{i},{},{}\n", i * 7, i % 5).into_bytes()).collect();
    let mut with_dictionary =
        zstd::stream::write::Encoder::with_dictionary(Vec::new(), 1, &words).expect("an encoder");
    std::io::Write::write_all(&mut with_dictionary, &words).expect("packed");
    let with_dictionary = with_dictionary.finish().expect("packed");
    let comment = format!("# made by a program, on a day\n{csv}");
    for (name, bytes, found, hint) in [
        ("x.tar.gz", &gzip[..], "a tar archive", "tar -xf"),
        ("x.tar", &tar, "a tar archive", "tar -xf"),
        ("long.csv.zst", &long, "whose window", "--long=31"),
        ("words.csv.zst", &with_dictionary, "dictionary", "-D DICTIONARY"),
        (
            "comment.csv",
            comment.as_bytes(),
            "comment.csv:1: expected the names of the columns",
            "grep -v '^#'",
        ),
    ] {
        let files = Files::new(&[(name, bytes)]);
        let (message, said) = match files.input(&[name]).open() {
            Ok(_) => panic!("{name}: {:?}", read(&files.input(&[name]))),
            Err(error) => (error.to_string(), error.hint().map(ToString::to_string).unwrap_or_default()),
        };
        assert!(
            (message.contains(found) || said.contains(found)) && said.contains(hint),
            "{message}\n{said}"
        );
    }
    for (address, hint) in [
        ("s3://bucket/day_*.csv", "aws s3 cp"),
        ("https://example.com/a.csv", "curl -O"),
        ("file:///tmp/a.csv", "name its path: /tmp/a.csv"),
    ] {
        let (message, said) = refusal(&Input::new([address]));
        assert!(message.contains("an address") && said.contains(hint), "{message}\n{said}");
    }
    assert_eq!(read_text("a.csv", "#a,b\n1,2\n3,4\n").columns, ["#a", "b"], "a name");
}

#[test]
fn numbers_of_columns_are_their_names() {
    let found = read_text("a.csv", "0,1,2,3\n1,0.5,x,7\n0,0.25,y,7\n");
    assert_eq!((found.columns, found.rows.len()), (["0", "1", "2", "3"].map(str::to_owned).to_vec(), 2));
}
