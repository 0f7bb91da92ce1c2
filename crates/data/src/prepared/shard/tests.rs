use super::*;
use crate::fit::EncoderFit;

#[test]
fn more_values_than_offsets_tell_apart_are_refused() {
    let schema = "label = { column = \"y\" }\ncategorical = [\
        { name = \"a\", encoding = { kind = \"hash\", buckets = 9 } },\
        { name = \"b\", multi = { separator = \"|\" }, encoding = { kind = \"hash\", buckets = 9 } }]";
    let schema = crate::Schema::from_toml(schema, "schema").expect("a schema");
    let form = Form::new(&EncoderFit::new(&schema).finish().expect("an encoder"));
    let mut rows = form.batch();
    for row in 0..4u32 {
        rows.labels.push(0.0);
        for (bags, values) in rows.bags.iter_mut().zip([1, row]) {
            bags.ids.extend((0..values).map(|value| 1 + value));
            bags.offsets.push(bags.ids.len() as u32);
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (name, sum) = form.write(dir.path(), "rows", rows.clone(), |_| "rows.arrow".into()).expect("written");
    let shard = form.open(&dir.path().join(name), &sum).expect("opened");
    let mut all = form.batch();
    shard.append_within(&mut all, 0..4, &[], 6).expect("six values are in the second column");
    assert_eq!(all, rows);
    let error = shard.append_within(&mut all, 0..2, &[], 7).map_err(|e| e.to_string());
    error.expect("seven values");
    let error = shard.append_within(&mut all, 2..4, &[], 7).expect_err("twelve values");
    assert!(error.to_string().contains("fewer than 2^32 values") && error.hint().is_some(), "{error}");
}

const SCHEMA: &str = "weight = \"w\"\ngroup = \"g\"\nlabel = { column = \"y\" }\n\
    dense = [{ name = \"x\", transform = \"none\" }]\n\
    categorical = [{ name = \"u\", encoding = { kind = \"hash\", buckets = 9 } }, { name = \"t\", \
    encoding = { kind = \"hash\", buckets = 9 }, \
    multi = { separator = \"|\", weight_separator = \":\" } }]\n";

fn rows(form: &Form, rows: u32) -> Batch {
    let mut batch = form.batch();
    for row in 0..rows {
        batch.labels.push(f32::from(row % 2 == 0));
        batch.dense.push(row as f32);
        batch.weights.iter_mut().for_each(|weights| weights.push(1.0));
        batch.groups.iter_mut().for_each(|groups| groups.push(u64::from(row)));
        for (bags, ids) in batch.bags.iter_mut().zip([1, row % 3]) {
            bags.ids.extend(0..ids);
            bags.weights.iter_mut().for_each(|weights| weights.extend((0..ids).map(|_| 0.5)));
            bags.offsets.push(bags.ids.len() as u32);
        }
    }
    batch
}

/// A checksum is no proof: whoever writes a file can write its checksum too.
#[test]
fn whatever_the_bytes_a_file_is_rows_or_an_error() {
    let schema = crate::Schema::from_toml(SCHEMA, "schema").expect("a schema");
    let form = Form::new(&EncoderFit::new(&schema).finish().expect("an encoder"));
    let dir = tempfile::tempdir().expect("a directory");
    let (name, _) =
        form.write(dir.path(), "rows", rows(&form, 20), |_| "rows.arrow".into()).expect("written");
    let whole = fs::read(dir.path().join(name)).expect("a file");
    let (mut read, mut refused) = (0, 0);
    let mut check = |bytes: &[u8]| {
        // A new name: mapped files are not written to.
        let changed = dir.path().join(format!("{}.arrow", read + refused));
        fs::write(&changed, bytes).expect("written");
        match form.open(&changed, &FileSum::of(bytes)) {
            Ok(shard) => {
                let mut batch = form.batch();
                shard.append(&mut batch, 0..shard.rows()).expect("few values");
                read += 1;
            }
            Err(_) => refused += 1,
        }
        fs::remove_file(&changed).expect("removed");
    };
    for at in 0..whole.len() {
        for value in [whole[at] ^ 1, whole[at] ^ 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            check(&bytes);
        }
    }
    (0..whole.len()).step_by(7).for_each(|length| check(&whole[..length]));
    assert!(refused > 100 && read > 0, "{refused} {read}");
}
