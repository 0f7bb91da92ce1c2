//! Parquet files written here.
use crate::{Files, read, refusal};
use dlrm_data::readers::{Format, Input};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

const SCHEMA: &str = "message rows {
    required int64 id;
    optional int32 small (INTEGER(32,false));
    optional float f;
    optional double d;
    required boolean click;
    optional binary name (UTF8);
    optional int64 price (DECIMAL(12,2));
    required int64 time (TIMESTAMP(MILLIS,true));
    optional group genres (LIST) { repeated group list { optional binary element (UTF8); } }
}";

fn column<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, std::fs::File>,
    values: &[T::T],
    definitions: Option<&[i16]>,
    repetitions: Option<&[i16]>,
) {
    let mut column = group.next_column().expect("a column").expect("a column");
    column.typed::<T>().write_batch(values, definitions, repetitions).expect("written");
    column.close().expect("closed");
}

/// Two row groups of the same three rows.
fn write(files: &Files, name: &str, genre: &str) {
    let schema = Arc::new(parse_message_type(SCHEMA).expect("a schema"));
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let file = std::fs::File::create(files.path(name)).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    for _ in 0..2 {
        let mut group = writer.next_row_group().expect("a group");
        column::<Int64Type>(&mut group, &[i64::MAX, -1, 0], None, None);
        column::<Int32Type>(&mut group, &[-1, 7], Some(&[1, 0, 1]), None);
        column::<FloatType>(&mut group, &[0.1], Some(&[0, 1, 0]), None);
        column::<DoubleType>(&mut group, &[0.1, -2.5e-7, 3.0], Some(&[1, 1, 1]), None);
        column::<BoolType>(&mut group, &[true, false, true], None, None);
        column::<ByteArrayType>(&mut group, &["a, \"b\"".into(), "β".into()], Some(&[1, 1, 0]), None);
        column::<Int64Type>(&mut group, &[-5, 123_456], Some(&[1, 0, 1]), None);
        column::<Int64Type>(&mut group, &[1, 2, 3], None, None);
        let genres: [ByteArray; 3] = ["Action".into(), genre.into(), "Drama".into()];
        // [Action, genre], [], [null, Drama]
        column::<ByteArrayType>(&mut group, &genres, Some(&[3, 3, 1, 2, 3]), Some(&[0, 1, 0, 0, 1]));
        group.close().expect("closed");
    }
    writer.close().expect("closed");
}

#[test]
fn every_type_is_exact() {
    let files = Files::new(&[]);
    write(&files, "a.parquet", "Comedy");
    let found = read(&files.input(&["a.parquet"])).expect("opened");
    assert_eq!(found.columns, ["id", "small", "f", "d", "click", "name", "price", "time", "genres"]);
    let rows: Vec<String> = found.rows.iter().map(|row| row.join(";")).collect();
    let expected = [
        "9223372036854775807;4294967295;;0.1;1;a, \"b\";-0.05;1970-01-01 00:00:00.001;Action|Comedy",
        "-1;;0.1;-0.00000025;0;β;;1970-01-01 00:00:00.002;",
        "0;7;;3;1;;1234.56;1970-01-01 00:00:00.003;Drama",
    ];
    assert_eq!(rows, [expected, expected].concat());
    assert_eq!(found.lines, [1, 2, 3, 4, 5, 6]);
    let input = files.input(&["a.parquet"]);
    assert_eq!(input.resolve().expect("resolved").format, Format::Parquet);
    let some =
        Input { columns: Some(vec!["genres".into(), "id".into()]), ..input.with_format(Format::Parquet) };
    assert_eq!(read(&some).expect("opened").rows[0], ["Action|Comedy", "9223372036854775807"]);
    let wrong = Input { columns: Some(vec!["genre".into()]), ..some };
    assert_eq!(refusal(&wrong).1, "did you mean \"genres\"?");
}

#[test]
fn a_text_that_is_none_is_one_bad_row_among_many() {
    const ROWS: usize = 5_000;
    let text =
        |row: usize| (!row.is_multiple_of(7)).then(|| "ä".repeat(row % 23) + &(row / 3 % 100).to_string());
    for (kind, with_dictionary, bad) in [
        ("(UTF8)", true, None),
        ("(UTF8)", true, Some(3_000)),
        ("(UTF8)", false, Some(4_999)),
        ("", true, Some(10)),
    ] {
        let files = Files::new(&[]);
        let schema = parse_message_type(&format!(
            "message rows {{ optional binary name {kind}; required int64 id; }}"
        ))
        .expect("a schema");
        let properties = WriterProperties::builder().set_dictionary_enabled(with_dictionary).build();
        let file = std::fs::File::create(files.path("a.parquet")).expect("a file");
        let mut writer =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).expect("a writer");
        let bytes = |row| {
            if bad == Some(row) {
                Some(vec![b'a', 0xff].into())
            } else {
                text(row).map(|text| ByteArray::from(text.as_str()))
            }
        };
        let definitions: Vec<i16> = (0..ROWS).map(|row| i16::from(bytes(row).is_some())).collect();
        let mut group = writer.next_row_group().expect("a group");
        column::<ByteArrayType>(
            &mut group,
            &(0..ROWS).filter_map(bytes).collect::<Vec<_>>(),
            Some(&definitions),
            None,
        );
        column::<Int64Type>(&mut group, &(0..ROWS as i64).collect::<Vec<_>>(), None, None);
        group.close().expect("closed");
        writer.close().expect("closed");

        let found = read(&files.input(&["a.parquet"])).expect("opened");
        let expected = (0..ROWS)
            .filter(|&row| bad != Some(row))
            .map(|row| [text(row).unwrap_or_default(), row.to_string()]);
        assert!(found.rows == expected.collect::<Vec<_>>(), "{kind} {with_dictionary} {bad:?}");
        let message = bad.map(|row| {
            format!("a.parquet:{}:1 (column \"name\"): expected UTF-8 text, found other bytes", row + 1)
        });
        assert!(
            found.bad.len() == message.iter().len()
                && found.bad.iter().zip(&message).all(|(bad, message)| bad.starts_with(message)),
            "{:?}",
            found.bad
        );
    }
}

#[test]
fn separators_within_lists_are_bad_rows() {
    let files = Files::new(&[]);
    write(&files, "a.parquet", "Come|dy");
    let found = read(&files.input(&["a.parquet"])).expect("opened");
    assert_eq!(found.lines, [2, 3, 5, 6]);
    assert!(
        found.bad[0].starts_with("a.parquet:1:9 (column \"genres\"): expected list values without `|`"),
        "{:?}",
        found.bad
    );
}

#[test]
fn what_has_no_text_form_is_refused() {
    for (schema, found) in [
        ("required group point { required int32 x; required int32 y; }", "a struct or a map"),
        ("required group one { required int32 x; }", "a struct or a map"),
        (
            "required group map (MAP) { repeated group key_value { required binary key (UTF8); optional \
                int32 value; } }",
            "a struct or a map",
        ),
        (
            "required group deep (LIST) { repeated group list { required group element (LIST) { repeated \
                group list { required int32 element; } } } }",
            "a list of lists",
        ),
        (
            "required fixed_len_byte_array(12) span (INTERVAL);",
            "values of type FIXED_LEN_BYTE_ARRAY (INTERVAL)",
        ),
    ] {
        let files = Files::new(&[]);
        let schema = Arc::new(parse_message_type(&format!("message rows {{ {schema} }}")).expect("a schema"));
        let file = std::fs::File::create(files.path("a.parquet")).expect("a file");
        SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer").close().expect("closed");
        let (message, hint) = refusal(&files.input(&["a.parquet"]));
        assert!(message.contains(found) && message.contains("column \""), "{message}");
        assert!(hint.contains("columns"));
    }
}

#[test]
fn damaged_files_are_errors() {
    let files = Files::new(&[("text.parquet", b"a,b\n1,2\n")]);
    write(&files, "a.parquet", "Comedy");
    assert!(refusal(&files.input(&["text.parquet"]).with_format(Format::Parquet)).1.contains("damaged"));
    let whole = std::fs::read(files.path("a.parquet")).expect("read");
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(files.path("cut.parquet"), &whole[..length]).expect("written");
        assert!(files.input(&["cut.parquet"]).with_format(Format::Parquet).open().is_err());
    }
}

/// Bytes flipped anywhere in a Parquet file.
#[test]
fn flipped_bytes_never_panic() {
    let files = Files::new(&[]);
    write(&files, "a.parquet", "Comedy");
    let whole = std::fs::read(files.path("a.parquet")).expect("read");
    let mut state = 7u64;
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 20) as u8;
        }
        std::fs::write(files.path("b.parquet"), &bytes).expect("written");
        let input = files.input(&["b.parquet"]).with_format(Format::Parquet);
        let _ = read(&input);
    }
}

/// A file of one column of long texts that are all the same, packed so.
fn repetitive(files: &Files, name: &str, compression: Compression, megabytes: usize) {
    let schema =
        Arc::new(parse_message_type("message rows { required binary t (UTF8); }").expect("a schema"));
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .set_data_page_size_limit(4 << 30)
        .set_data_page_row_count_limit(usize::MAX)
        .set_write_batch_size(1 << 20)
        .build();
    let file = std::fs::File::create(files.path(name)).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let text: ByteArray = "x".repeat(1 << 20).as_str().into();
    column::<ByteArrayType>(&mut group, &vec![text; megabytes], None, None);
    group.close().expect("closed");
    writer.close().expect("closed");
}

#[test]
fn pages_that_would_fill_the_memory_are_refused_before_they_are_unpacked() {
    let files = Files::new(&[]);
    for (compression, name) in [
        (Compression::GZIP(parquet::basic::GzipLevel::default()), "gzip.parquet"),
        (Compression::ZSTD(ZstdLevel::default()), "zstd.parquet"),
    ] {
        repetitive(&files, name, compression, 300);
        let size = std::fs::metadata(files.path(name)).expect("a file").len();
        assert!(size < 2 << 20, "{size}");
        let end = read(&files.input(&[name])).expect("opened").end.expect("an error");
        assert!(end.contains("a page that unpacks to 3145") && end.contains("column \"t\""), "{end}");
        repetitive(&files, name, compression, 40);
        let found = read(&files.input(&[name])).expect("opened");
        assert_eq!((found.rows.len(), found.end), (40, None));
    }
}

#[test]
fn a_page_that_unpacks_to_more_than_it_says_is_refused() {
    let files = Files::new(&[]);
    let name = "liar.parquet";
    repetitive(&files, name, Compression::GZIP(parquet::basic::GzipLevel::default()), 300);
    let bytes = std::fs::read(files.path(name)).expect("a file");
    // The header of the page: type 0, then its size unpacked, which becomes 16 MiB in as many bytes.
    let mut said = vec![0x15, 0x00, 0x15];
    let zigzag = |mut n: u64| {
        let mut out = Vec::new();
        while n > 0x7f {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    };
    let unpacked = zigzag(2 * 300 * ((1 << 20) + 4));
    said.extend(&unpacked);
    let at = bytes.windows(said.len()).position(|window| window == said).expect("the header") + 3;
    let mut lie = zigzag(2 * (16 << 20));
    while lie.len() < unpacked.len() {
        *lie.last_mut().expect("a byte") |= 0x80;
        lie.push(0);
    }
    let mut lying = bytes;
    lying[at..at + lie.len()].copy_from_slice(&lie);
    std::fs::write(files.path(name), &lying).expect("written");
    let end = read(&files.input(&[name])).expect("opened").end.expect("an error");
    assert!(end.contains("more than its header says"), "{end}");
}

#[test]
fn a_decimal_of_absurd_scale_is_refused() {
    let files = Files::new(&[]);
    let schema = "message rows { required int32 price (DECIMAL(9,2)); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = std::fs::File::create(files.path("a.parquet")).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    column::<Int32Type>(&mut group, &[1, 2], None, None);
    group.close().expect("closed");
    writer.close().expect("closed");
    // The scale, 2, and the precision, 9, as fields of the schema: 70,000 takes three bytes, as these two
    // take two.
    let bytes = std::fs::read(files.path("a.parquet")).expect("a file");
    for (at, _) in bytes.windows(3).enumerate().filter(|(_, window)| *window == [0x04, 0x15, 0x12]) {
        let mut changed = bytes.clone();
        changed.splice(at..at + 1, [0xe0, 0xc5, 0x08]);
        let end = changed.len() - 8;
        let footer = u32::from_le_bytes(changed[end..end + 4].try_into().expect("four bytes")) + 2;
        changed[end..end + 4].copy_from_slice(&footer.to_le_bytes());
        std::fs::write(files.path("b.parquet"), &changed).expect("written");
        // Not a panic: rows, or an error that says what is wrong.
        let _ = read(&files.input(&["b.parquet"]));
    }
}
