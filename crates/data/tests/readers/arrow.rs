//! Arrow arrays in memory, and the same rows as a Parquet file.
use crate::Files;
use arrow_array::types::{Float64Type, Int8Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray,
    StringViewArray, StructArray, Time32MillisecondArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use dlrm_data::error::Result;
use dlrm_data::readers::{ArrowColumn, ArrowRows, Format, Input};
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::rows::OpenRows;
use dlrm_data::schema::MultiValued;
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

/// Two rows of each type, of which one is missing where that can be.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let lists = [Some(vec![Some(1), None, Some(3)]), None];
    let decimals = Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(20, 2);
    vec![
        ("text", Arc::new(StringArray::from(vec![Some("a,\"b\""), None]))),
        ("large", Arc::new(LargeStringArray::from(vec!["", "β"]))),
        ("view", Arc::new(StringViewArray::from(vec![Some("longer than twelve bytes"), None]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"x"[..]), None]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("small", Arc::new(Int8Array::from(vec![-1, 7]))),
        ("int", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("float", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("double", Arc::new(Float64Array::from(vec![-2.5e-7, f64::NAN]))),
        ("date", Arc::new(Date32Array::from(vec![11_016, -1]))),
        ("moment", Arc::new(TimestampMicrosecondArray::from(vec![Some(951_913_800_250_000), None]))),
        ("time", Arc::new(Time32MillisecondArray::from(vec![7, 8]))),
        ("price", Arc::new(decimals.expect("a decimal"))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ("key", Arc::new(DictionaryArray::<Int8Type>::from_iter([Some("k"), None]))),
        ("nothing", Arc::new(NullArray::new(2))),
    ]
}

fn in_memory(columns: Vec<(&str, Vec<ArrayRef>)>) -> Result<ArrowRows> {
    let column =
        |(name, chunks): (&str, Vec<ArrayRef>)| ArrowColumn { name: name.to_owned(), chunks, lists: None };
    ArrowRows::new("rows", columns.into_iter().map(column).collect())
}

fn texts(source: &mut dyn RowSource) -> Vec<Vec<String>> {
    let (mut row, mut rows) = (RawRow::default(), Vec::new());
    while source.next_row(&mut row).expect("a row") {
        rows.push(row.fields().map(str::to_owned).collect());
    }
    rows
}

#[test]
fn rows_in_memory_are_those_of_the_file() {
    let files = Files::new(&[]);
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns().into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("a batch");
    let file = std::fs::File::create(files.path("rows.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let input = Input { format: Format::Parquet, ..files.input(&["rows.parquet"]) };
    let expected = texts(&mut *input.open().expect("a file of rows"));
    // One column in pieces of other lengths than the others'.
    let pieces = |array: ArrayRef| vec![array.slice(0, 1), array.slice(1, 0), array.slice(1, 1)];
    let split: Vec<_> = columns().into_iter().map(|(name, array)| (name, pieces(array))).collect();
    let whole: Vec<_> = columns().into_iter().map(|(name, array)| (name, vec![array])).collect();
    for columns in [whole, split] {
        let rows = in_memory(columns).expect("rows");
        assert_eq!(texts(&mut *rows.open_rows().expect("a pass")), expected);
        assert_eq!(texts(&mut *rows.open_rows().expect("another pass")), expected);
        let (memory, file) =
            (rows.open_rows().expect("a pass").lists(), input.open().expect("a pass").lists());
        assert_eq!(
            (memory, file),
            (vec![(14, MultiValued::separated())], vec![(14, MultiValued::separated())])
        );
    }
    assert_eq!(expected[0][14], "1|3");
    assert_eq!(expected[0][13], "-0.05");
}

#[test]
fn what_has_no_text_form_is_refused_by_name() {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let field = Arc::new(Field::new("x", DataType::Int64, true));
    let parts: ArrayRef = Arc::new(StructArray::from(vec![(field, inner.clone())]));
    let refusal = |columns| in_memory(columns).expect_err("refused").to_string();
    assert_eq!(
        refusal(vec![("part", vec![parts])]),
        "rows: column \"part\": expected single values, a list of them, a map to their weights, or a struct \
         of two lists, values and weights, found a struct"
    );
    let two = Arc::new(Int64Array::from(vec![1, 2]));
    assert_eq!(
        refusal(vec![("a", vec![inner]), ("b", vec![two])]),
        "rows: column \"b\": expected 1 values, as in column \"a\", found 2"
    );
    assert_eq!(refusal(Vec::new()), "rows: expected columns, found none");
}

#[test]
fn lists_have_their_weights_in_a_list_beside_them() {
    let struct_of = |values: ListArray, weights: ListArray| -> ArrayRef {
        let field = |name, array: &ListArray| Arc::new(Field::new(name, array.data_type().clone(), true));
        let (v, w) = (field("values", &values), field("weights", &weights));
        Arc::new(StructArray::from(vec![
            (v, Arc::new(values) as ArrayRef),
            (w, Arc::new(weights) as ArrayRef),
        ]))
    };
    let ids = |rows: [&[Option<i32>]; 3]| {
        ListArray::from_iter_primitive::<Int32Type, _, _>(rows.map(|row| Some(row.to_vec())))
    };
    let weights = |rows: [&[Option<f64>]; 3]| {
        ListArray::from_iter_primitive::<Float64Type, _, _>(rows.map(|row| Some(row.to_vec())))
    };
    let values = ids([&[Some(3), None, Some(5)], &[], &[Some(7)]]);
    let own = weights([&[Some(0.5), Some(9.0), None], &[], &[Some(2.0)]]);
    let column = struct_of(values.clone(), own);
    let rows = in_memory(vec![("x", vec![column.slice(0, 1), column.slice(1, 2)])]).expect("rows");
    assert_eq!(rows.open_rows().expect("a pass").lists(), [(0, MultiValued::weighted())]);
    assert_eq!(texts(&mut *rows.open_rows().expect("a pass")), [["3:0.5|5"], [""], ["7:2"]]);

    let fewer = weights([&[Some(0.5), Some(9.0), None], &[Some(1.0)], &[Some(2.0)]]);
    let rows = in_memory(vec![("x", vec![struct_of(values, fewer)])]).expect("rows");
    let (mut source, mut row) = (rows.open_rows().expect("a pass"), RawRow::default());
    assert!(source.next_row(&mut row).expect("the first row"));
    let error = source.next_row(&mut row).expect_err("one weight for nothing").to_string();
    assert_eq!(error, "rows:2:1 (column \"x\"): expected as many weights as values, found other bytes");
}

#[test]
fn a_malformed_row_is_named_and_passed_over() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\xff"[..], b"ok"]));
    let rows = in_memory(vec![("b", vec![bytes])]).expect("rows");
    let (mut source, mut row) = (rows.open_rows().expect("a pass"), RawRow::default());
    let error = source.next_row(&mut row).expect_err("no UTF-8").to_string();
    assert_eq!(error, "rows:1:1 (column \"b\"): expected UTF-8 text, found other bytes");
    assert!(source.next_row(&mut row).expect("the next row"));
    assert_eq!(row.field(0), "ok");
}
