use super::*;
use crate::schema::{Age, DenseColumn, Label, Transform};

fn schema() -> Schema {
    let categorical =
        |name: &str, encoding, multi| CategoricalColumn { encoding, multi, ..CategoricalColumn::new(name) };
    Schema {
        missing: vec!["NA".into()],
        weight: None,
        group: None,
        time: Some("day".into()),
        date_order: None,
        label: Label::clicks("click"),
        dense: vec![DenseColumn::new("x", Transform::None)],
        categorical: vec![
            categorical("id", Encoding::Identity { bound: 10 }, None),
            categorical(
                "tags",
                Encoding::default(),
                Some(MultiValued { separator: '|', weight_separator: Some(':') }),
            ),
        ],
        crosses: Vec::new(),
    }
}

fn parse(fields: [&str; 5]) -> Result<ParsedRow> {
    let columns = ["click", "x", "id", "tags", "day"].map(str::to_owned);
    let parser = RowParser::new(&schema(), &columns, Labels::WithTime, "test")?;
    let mut row = RawRow::default();
    row.line = 3;
    row.file = "t.csv".into();
    fields.iter().for_each(|f| row.push(f));
    let mut out = ParsedRow::default();
    parser.parse(&row, &mut out).map(|()| out)
}

#[test]
fn small_integers_are_the_numbers_that_parsing_gives() {
    for text in ["0", "-0", "7", "-12", "999999999999999", "-999999999999999", "007"] {
        assert_eq!(
            small_integer(text).map(f64::to_bits),
            text.parse::<f64>().ok().map(f64::to_bits),
            "{text}"
        );
    }
    for text in ["", "-", "1.5", "1e3", "+3", "1234567890123456", "--1", "1-"] {
        assert_eq!(small_integer(text), None, "{text}");
    }
}

#[test]
fn typed_values() {
    let row = parse(["1", "2.5", "9", "a:0.5|b:2||c", "1970-01-02"]).unwrap();
    assert_eq!((row.label, row.dense[0], row.time), (1.0, 2.5, 86_400.0));
    assert_eq!(row.values(0), [Value::new(0..1, 1.0)]);
    let tags: Vec<_> = row.values(1).iter().map(|v| (v.of("a:0.5|b:2||c"), v.weight)).collect();
    assert_eq!(tags, [("a", 0.5), ("b", 2.0), ("c", 1.0)]);
    let row = parse(["0", "NA", "", "", "2000-03-01 12:30:00"]).unwrap();
    assert!(row.dense[0].is_nan() && row.values(0).is_empty() && row.values(1).is_empty());
    assert_eq!(row.time, 951_913_800.0);
}

#[test]
fn ages_are_the_days_between_two_moments() {
    let age = Age {
        column: "id".into(),
        until: "day".into(),
        unit: TimeUnit::Milliseconds,
        until_unit: TimeUnit::default(),
    };
    let mut schema = Schema { categorical: Vec::new(), ..schema() };
    schema.dense = vec![DenseColumn { age: Some(age), ..DenseColumn::new("id:age", Transform::None) }];
    assert_eq!((schema.inputs(), schema.needs_rows()), (vec!["id", "day"], true));
    let columns = ["click", "id", "day"].map(str::to_owned);
    let parser = RowParser::new(&schema, &columns, Labels::Required, "test").unwrap();
    let mut out = ParsedRow::default();
    let mut age = |from: &str, until: &str| {
        let mut row = RawRow::default();
        ["1", from, until].into_iter().for_each(|field| row.push(field));
        parser.parse(&row, &mut out).map(|()| out.dense[0])
    };
    assert_eq!(age("0", "1970-01-02").unwrap(), 1.0);
    assert_eq!(age("86400000", "1970-01-01 12:00").unwrap(), -0.5);
    assert!(age("", "1970-01-02").unwrap().is_nan() && age("0", "NA").unwrap().is_nan());
    let error = age("0", "soon").unwrap_err().to_string();
    assert!(error.contains("(column \"day\"): expected a moment"), "{error}");
}

#[test]
fn whole_floats_are_integers_where_the_schema_says_so() {
    for (text, value) in [
        ("34.0", "34"),
        ("34", "34"),
        ("-7.00", "-7"),
        ("34.5", "34.5"),
        ("34.", "34."),
        (".0", ".0"),
        ("-.0", "-.0"),
        ("1.0.0", "1.0.0"),
        ("v1.0", "v1.0"),
        ("", ""),
    ] {
        assert_eq!(&text[..integer_length(text)], value, "{text}");
    }
    let mut schema = schema();
    schema.categorical.iter_mut().for_each(|column| column.integers = true);
    let columns = ["click", "x", "id", "tags", "day"].map(str::to_owned);
    let parser = RowParser::new(&schema, &columns, Labels::Ignored, "test").unwrap();
    let (mut row, mut out) = (RawRow::default(), ParsedRow::default());
    ["1", "1", "4.0", "3.0:0.5|x", "1"].iter().for_each(|f| row.push(f));
    parser.parse(&row, &mut out).unwrap();
    assert_eq!(out.values(0)[0].of("4.0"), "4");
    let tags: Vec<_> = out.values(1).iter().map(|v| v.of("3.0:0.5|x")).collect();
    assert_eq!(tags, ["3", "x"]);
}

#[test]
fn decimal_commas() {
    for text in ["508,46", "-0,5", "1.508,46", "1,000"] {
        assert!(has_decimal_comma(text), "{text}");
    }
    for text in ["", "1", "1.5", ",5", "1,", "a,b", "1,2,3", "1.5,2", "red,blue"] {
        assert!(!has_decimal_comma(text), "{text}");
    }
}

#[test]
fn every_bad_field_is_named() {
    for (fields, message) in [
        (["2", "1", "1", "a", "1"], "t.csv:3:1 (column \"click\"): expected a label of 0 or 1, found \"2\""),
        (["1", "abc", "1", "a", "1"], "t.csv:3:2 (column \"x\"): expected a number, found \"abc\""),
        (["1", "nan", "1", "a", "1"], "expected a finite number, found \"nan\""),
        (["1", "1", "10", "a", "1"], "expected an id below the bound 10, found \"10\""),
        (["1", "1", "4.0", "a", "1"], "expected an integer id, found \"4.0\""),
        (["1", "1", "1", "a:x", "1"], "expected values with finite weights"),
        (["1", "1", "1", "a", "soon"], "to split by time, found \"soon\""),
        (["1", "1", "1", "a", "2023-02-29"], "to split by time, found \"2023-02-29\""),
        (["", "1", "1", "a", "1"], "expected a label, found an empty field"),
        (["1", "1e39", "1", "a", "1"], "expected a number below 3.4e38"),
    ] {
        let error = parse(fields).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
