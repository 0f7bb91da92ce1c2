//! Mutated files: whatever the bytes, a reader ends without a panic, and two passes agree.
use crate::{Files, read};
use dlrm_data::readers::Format;

/// Small deterministic random numbers (PCG's multiplier; the high bits are good enough).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }
}

const SPICE: [&[u8]; 12] =
    [b"\"", b",", b"\t", b"\n", b"\r\n", b"::", b":", b"|", b"\xff", b" ", b"#", b"99999999999999999999"];

fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len().max(1));
        let end = (at + random.below(5)).min(bytes.len());
        let spice = SPICE[random.below(SPICE.len())];
        bytes.splice(at.min(end)..end, spice.iter().copied());
    }
    bytes.truncate(bytes.len() - random.below(bytes.len().max(4) / 4));
    bytes
}

fn check(format: Format, name: &str, seed: &[u8], beside: &[(&str, &[u8])]) {
    let mut random = Random(format as u64 + 1);
    let files = Files::new(beside);
    for _ in 0..400 {
        let bytes = mutated(seed, &mut random);
        std::fs::write(files.path(name), &bytes).expect("written");
        let input = files.input(&[name]).with_format(format);
        let once = read(&input).map_err(|error| error.to_string());
        let again = read(&input).map_err(|error| error.to_string());
        assert_eq!(once, again, "{format}: {:?}", String::from_utf8_lossy(&bytes));
        let detected = read(&files.input(&[name])).map_err(|error| error.to_string());
        if let Ok(outcome) = detected {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
            assert!(outcome.rows.len() + outcome.bad.len() <= lines);
        }
    }
}

#[test]
fn csv() {
    check(Format::Csv, "a.csv", b"id,name,x\n1,\"a, \"\"b\"\"\nc\",0.5\r\n2,d,\n\n3,\"e\",7\n4,f,8", &[]);
}

#[test]
fn tsv() {
    check(Format::Tsv, "a.tsv", b"id\tname\n1\ta\n2\t\n3\tc\n", &[]);
}

#[test]
fn criteo() {
    let row = format!("1{}{}\n", "\t5".repeat(13), "\t68fd1e64".repeat(26));
    check(Format::Criteo, "train.txt", row.repeat(5).as_bytes(), &[]);
}

#[test]
fn libsvm() {
    check(Format::Libsvm, "a.svm", b"1 qid:3 3:0.5 7:1 # x\n-1 qid:4 2:1\n0\n", &[]);
}

#[test]
fn libffm() {
    check(Format::Libffm, "a.ffm", b"1 0:3:0.5 1:7:1\n0 0:2:1\n1 2:2:2\n", &[]);
}

#[test]
fn movielens() {
    let ratings = b"7\t1\t3\t881250949\n8\t2\t5\t0\n9\t3\t1\t-1\n";
    let items = b"1|A (1995)|01-Jan-1996||http://x|0|1\n2|B (1990)||||1|0\n";
    let users = b"7|24|M|technician|85711\n8|53|F|other|94043\n";
    let genres = b"unknown|0\nAction|1\n";
    check(Format::Movielens, "u.data", ratings, &[("u.user", users), ("u.item", items), ("u.genre", genres)]);
    check(Format::Movielens, "u.item", items, &[("u.user", users), ("u.data", ratings), ("u.genre", genres)]);
    check(Format::Movielens, "ratings.csv", b"userId,movieId,rating,timestamp\n1,2,3,4\n1,3,3.5,4\n", &[]);
}

#[test]
fn packed() {
    let text = "id,name\n".to_owned() + &"1,abc\n2,def\n".repeat(200);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("packed");
    check(Format::Csv, "a.gz", &encoder.finish().expect("packed"), &[]);
    check(Format::Csv, "a.zst", &zstd::encode_all(text.as_bytes(), 1).expect("packed"), &[]);
}
