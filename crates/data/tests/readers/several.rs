//! Several files as one stream, packed or not: the same rows in the same order.
use dlrm_data::readers::Input;
use dlrm_data::{RawRow, Result};
use std::fs;
use std::io::Write;

/// The lines of a file.
fn text(day: usize) -> String {
    let rows = if day.is_multiple_of(2) { 3 } else { 60_000 };
    let row = |row: usize| format!("{day},{row},{}\n", row * 7919 % 1013);
    format!("day,row,x\n{}", (0..rows).map(row).collect::<String>())
}

fn rows(dir: &std::path::Path) -> Result<(Vec<String>, usize)> {
    let mut source = Input::new([dir]).open()?;
    let (mut row, mut lines, mut all) = (RawRow::default(), Vec::new(), 0);
    while source.next_row(&mut row)? {
        all += 1;
        if all % 997 == 0 {
            lines.push(format!("{} {}", row.line, row.to_line()));
        }
    }
    Ok((lines, all))
}

#[test]
fn packed_files_give_the_rows_of_plain_ones() {
    let [plain, gzip, zstd] = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    for day in 0..7 {
        let bytes = text(day).into_bytes();
        fs::write(plain.path().join(format!("day_{day}.csv")), &bytes).expect("written");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&bytes).expect("packed");
        fs::write(gzip.path().join(format!("day_{day}.csv.gz")), packed.finish().expect("packed"))
            .expect("written");
        let packed = zstd::stream::encode_all(&bytes[..], 1).expect("packed");
        fs::write(zstd.path().join(format!("day_{day}.csv.zst")), packed).expect("written");
    }
    let expected = rows(plain.path()).expect("rows");
    assert_eq!(expected.1, 3 * 60_000 + 4 * 3);
    for (dir, last) in [(&gzip, "day_5.csv.gz"), (&zstd, "day_5.csv.zst")] {
        assert_eq!(rows(dir.path()).expect("rows"), expected);
        let path = dir.path().join(last);
        let whole = fs::read(&path).expect("a file");
        fs::write(&path, &whole[..whole.len() / 2]).expect("cut");
        let error = rows(dir.path()).expect_err("half a file").to_string();
        assert!(error.contains(last) && error.contains("truncated"), "{error}");
    }
}
