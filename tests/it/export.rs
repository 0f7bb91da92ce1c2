//! `dlrm export`: the structure of ONNX files, read back field by field. That runtimes compute the same
//! scores of them is tested with ONNX Runtime in `python/tests/test_onnx.py`.
use crate::common::{demo_copy, fails, json, scratch, works};
use dlrm::models::ModelConfig;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

const USAGE: i32 = 2;

/// A field of a message: its number, and its bytes or its integer.
struct Field<'a> {
    number: u64,
    bytes: &'a [u8],
    int: u64,
}

/// The fields of a message.
fn fields(mut message: &[u8]) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let (mut bytes, mut int) = (&[][..], 0);
        match key & 7 {
            0 => int = varint(&mut message),
            2 => {
                let len = varint(&mut message) as usize;
                (bytes, message) = message.split_at(len);
            }
            5 => (bytes, message) = message.split_at(4),
            other => panic!("wire type {other}"),
        }
        found.push(Field { number: key >> 3, bytes, int });
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = message.split_first().expect("a whole number");
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of this number.
fn all(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter(move |field| field.number == number).map(|field| field.bytes)
}

fn one(message: &[u8], number: u64) -> &[u8] {
    all(message, number).next().unwrap_or_else(|| panic!("field {number}"))
}

fn texts(message: &[u8], number: u64) -> Vec<String> {
    all(message, number).map(|text| String::from_utf8(text.to_vec()).expect("UTF-8")).collect()
}

/// A constant of the graph: its name, how many numbers its shape has, and bytes of each.
fn tensor(message: &[u8]) -> (String, usize, usize) {
    let ints = |number| fields(message).into_iter().filter(move |f| f.number == number).map(|f| f.int);
    let width = match ints(2).next().expect("a type") {
        1 => 4,
        7 => 8,
        10 | 16 => 2,
        other => panic!("type {other}"),
    };
    (texts(message, 8).remove(0), ints(1).product::<u64>() as usize, width)
}

/// Every value is made once, before it is read; what a constant holds is as long as its shape says.
fn check_graph(model: &[u8]) -> HashSet<String> {
    let graph = one(model, 7);
    let mut known: HashSet<String> = all(graph, 11).map(|input| texts(input, 1).remove(0)).collect();
    for constant in all(graph, 5) {
        let (name, numbers, width) = tensor(constant);
        assert_eq!(one(constant, 9).len(), numbers * width, "{name}");
        assert!(known.insert(name.clone()), "{name} is there twice");
    }
    for node in all(graph, 1) {
        let operator = texts(node, 4);
        for input in texts(node, 1) {
            assert!(known.contains(&input), "{operator:?} reads {input}");
        }
        for output in texts(node, 2) {
            assert!(known.insert(output.clone()), "{output} is made twice");
        }
    }
    for output in all(graph, 12) {
        assert!(known.contains(&texts(output, 1)[0]));
    }
    known
}

fn train(dir: &Path, out: &str, flags: &[&str]) {
    let args =
        ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "1", "--no-baseline", "-q", "-o", out];
    works(dir, &[&args[..], flags].concat());
}

#[test]
fn every_kind_of_model_becomes_a_graph_in_order() {
    let dir = scratch(300);
    for about in ModelConfig::ABOUT {
        let (kind, file) = (about.kind, format!("{}.onnx", about.kind));
        train(dir.path(), kind, &["--model", kind]);
        for form in ["offsets", "padded"] {
            works(dir.path(), &["export", kind, "--onnx", &file, "--onnx-ids", form, "--overwrite"]);
            let model = fs::read(dir.path().join(&file)).unwrap();
            let known = check_graph(&model);
            assert!(known.contains("logit") && known.contains("probability"), "{kind}");
            assert_eq!(texts(&model, 2), ["dlrm"]);
            assert_eq!(texts(one(&model, 7), 2), [kind]);
        }
    }
}

#[test]
fn inputs_and_outputs_are_told() {
    let dir = demo_copy();
    let told = json(dir.path(), &["export", "runs/demo", "--onnx", "m.onnx"]);
    let names = |key: &str| -> Vec<String> {
        let ports = told[key].as_array().expect("a list");
        ports.iter().map(|port| port["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("outputs"), ["logit", "probability"]);
    assert!(names("inputs").contains(&"dense".to_owned()));
    assert!(names("inputs").contains(&"user_id.ids".to_owned()));
    assert!(!names("inputs").contains(&"user_id.offsets".to_owned()), "one id in each row");
    assert!(names("inputs").contains(&"interests.offsets".to_owned()));
    let bytes = told["files"][0]["bytes"].as_u64().expect("a size");
    assert_eq!(fs::metadata(dir.path().join("m.onnx")).unwrap().len(), bytes);
    let text = works(dir.path(), &["export", "runs/demo", "--onnx", "p.onnx", "--onnx-ids", "padded"]).out;
    assert!(text.contains("interests.ids") && !text.contains("offsets"), "{text}");
}

#[test]
fn weights_beside_the_model_are_those_within_it() {
    let dir = demo_copy();
    works(dir.path(), &["export", "runs/demo", "--onnx", "inside.onnx"]);
    works(dir.path(), &["export", "runs/demo", "--onnx", "m.onnx", "--external-data"]);
    let [inside, outside] = ["inside.onnx", "m.onnx"].map(|name| fs::read(dir.path().join(name)).unwrap());
    let data = fs::read(dir.path().join("m.onnx.data")).unwrap();
    let mut beside = 0;
    for (within, without) in all(one(&inside, 7), 5).zip(all(one(&outside, 7), 5)) {
        assert_eq!(tensor(within), tensor(without));
        let entries: Vec<String> = all(without, 13).map(|entry| texts(entry, 2).remove(0)).collect();
        let Some([location, offset, length]) = entries.get(..3) else {
            assert_eq!(one(within, 9), one(without, 9));
            continue;
        };
        assert_eq!(location, "m.onnx.data");
        let [offset, length] = [offset, length].map(|text| text.parse::<usize>().unwrap());
        assert!(offset.is_multiple_of(4096));
        assert_eq!(&data[offset..offset + length], one(within, 9));
        beside += 1;
    }
    assert!(beside > 3);
}

#[test]
fn nothing_is_replaced_unasked() {
    let dir = demo_copy();
    let export = ["export", "runs/demo", "--onnx", "m.onnx", "--external-data"];
    fs::write(dir.path().join("m.onnx.data"), "mine").unwrap();
    fails(dir.path(), &export, USAGE, &["--onnx", "m.onnx.data", "--overwrite"]);
    assert!(!dir.path().join("m.onnx").exists());
    works(dir.path(), &[&export[..], &["--overwrite"]].concat());
    fails(dir.path(), &export, USAGE, &["--onnx", "m.onnx", "--overwrite"]);
    let own = "runs/demo/model/weights.safetensors";
    let onto_itself = ["export", "runs/demo", "--onnx", own, "--overwrite"];
    fails(dir.path(), &onto_itself, USAGE, &["another file than those that are read"]);
    works(dir.path(), &["show", "runs/demo"]);
}
