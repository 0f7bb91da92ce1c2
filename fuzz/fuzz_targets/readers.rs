//! Files of every format: no panic, and every error leaves the reader at the next row or ends the pass.
#![no_main]
use dlrm_data::readers::{Format, Input};
use dlrm_data::{Error, RawRow};
use libfuzzer_sys::fuzz_target;
use std::io::Write;

/// Rows and malformed rows that are read at most.
const MOST: usize = 10_000;

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, contents)) = bytes.split_first() else { return };
    let (_, format) = Format::ALL[usize::from(which) % Format::ALL.len()];
    let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
    file.write_all(contents).expect("written");
    let Ok(mut rows) = Input::new([file.path()]).with_format(format).open() else { return };
    let mut row = RawRow::default();
    for _ in 0..MOST {
        match rows.next_row(&mut row) {
            Ok(true) => assert!(row.fields().len() == row.len()),
            Ok(false) => break,
            Err(Error::Row(_)) => {}
            Err(_) => break,
        }
    }
});
