//! A whole data set, from an archive to a directory: what is verified, what is refused, and what then stays.
mod server;
use dlrm_data::readers::Format;
use dlrm_fetch::catalogue::{Archive, Checksum, DataSet, Packing, Source, TableFile};
use dlrm_fetch::place::{RECORD, Record, TERMS, whole};
use dlrm_fetch::transfer::Patience;
use dlrm_fetch::{Error, Observer, Request, fetch};
use server::{Act, Server};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zip::write::SimpleFileOptions;

const RATINGS: &str = "1::10::5::881250949\n1::11::3::881250950\n2::10::4::881250951\n";
const ITEMS: &str = "10::A (1995)::Drama\n11::B (1996)::Comedy\n";

/// A tiny data set in the form of MovieLens 1M.
fn tiny(packing: Packing, checksum: Checksum) -> DataSet {
    const TABLES: &[TableFile] =
        &[TableFile { file: "ratings.dat", rows: 3, bad_rows: 0, format: Format::Movielens, columns: &[] }];
    DataSet {
        name: "tiny",
        title: "Tiny",
        publisher: "nobody",
        page: "https://example.org/tiny",
        source: Source::Login("ask nobody"),
        archive: Archive { file: "tiny.zip", packing, checksum },
        tables: TABLES,
        needed: &["movies.dat"],
        extras: &["README"],
        unpacked: 10_000,
        terms: "any use",
        terms_text: "Any use.\n",
    }
}

const UNKNOWN: Checksum = Checksum::Unknown { bytes: 1000 };
const ZIP: Packing = Packing::Zip("tiny");

fn zipped(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, contents) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(contents.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn good() -> Vec<u8> {
    zipped(&[
        ("tiny/ratings.dat", RATINGS),
        ("tiny/movies.dat", ITEMS),
        ("tiny/README", "read me"),
        ("tiny/more/x.txt", "x"),
    ])
}

fn tarred(entries: &[(&str, &str, tar::EntryType)]) -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, contents, kind) in entries {
        let mut header = tar::Header::new_gnu();
        // By hand: the library would refuse to write what it should refuse to read.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, contents.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Scratch { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), contents).unwrap();
        self.path(name)
    }

    fn fetch(&self, set: &DataSet, from: Option<&Path>, url: Option<&str>) -> Result<Record, Error> {
        let millisecond = Duration::from_millis(1);
        let patience = Patience {
            idle: Duration::from_millis(300),
            attempts: 3,
            pause: millisecond,
            ..Patience::default()
        };
        let directory = self.path("out");
        fetch(
            set,
            &Request { directory: &directory, from, url, beside: &[("recipe.toml", "# a recipe")], patience },
            &mut (),
        )
    }

    /// Fails, says all of `parts`, and leaves nothing under the final name.
    fn fails(&self, set: &DataSet, from: Option<&Path>, url: Option<&str>, parts: &[&str]) -> Error {
        let error = self.fetch(set, from, url).unwrap_err();
        let text = format!("{error}\n{}", error.hint().unwrap_or_default());
        for part in parts {
            assert!(text.contains(part), "missing \"{part}\" in {text}");
        }
        assert!(!self.path("out").exists() && !self.path("out.partial/files").exists(), "{text}");
        error
    }

    /// Names below the directory, sorted.
    fn names(&self, name: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(name))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The archive `bytes` is refused.
fn refused(bytes: &[u8], packing: Packing, parts: &[&str]) {
    let scratch = Scratch::new();
    let archive = scratch.file("tiny.zip", bytes);
    scratch.fails(&tiny(packing, UNKNOWN), Some(&archive), None, parts);
    assert_eq!(scratch.names(""), ["out.partial", "tiny.zip"], "nothing went anywhere else");
}

#[test]
fn from_a_server_to_a_directory() {
    let scratch = Scratch::new();
    let server = Server::start(good(), vec![Act::Cut(100), Act::Serve]);
    let set = tiny(ZIP, UNKNOWN);
    let record = scratch.fetch(&set, None, Some(&server.url)).unwrap();
    assert_eq!(server.ranges(), [None, Some(100)]);
    assert_eq!(scratch.names(""), ["out"], "the archive is not kept");
    assert_eq!(
        scratch.names("out"),
        ["README", RECORD, TERMS, "more", "movies.dat", "ratings.dat", "recipe.toml"]
    );
    assert_eq!(fs::read_to_string(scratch.path("out/ratings.dat")).unwrap(), RATINGS);
    assert!(
        fs::read_to_string(scratch.path("out").join(TERMS))
            .unwrap()
            .contains("https://example.org/tiny\n\nAny use.")
    );
    assert_eq!((record.origin.as_str(), record.rows["ratings.dat"]), (server.url.as_str(), 3));
    assert_eq!(record.checked, "3 rows counted; no checksum is published");
    assert_eq!(
        record.files.keys().collect::<Vec<_>>(),
        ["README", "more/x.txt", "movies.dat", "ratings.dat"]
    );
    assert_eq!(whole(&set, &scratch.path("out"), &mut ()).unwrap(), Some(record));
}

#[test]
fn a_login_is_said_to_be_needed() {
    Scratch::new().fails(
        &tiny(ZIP, UNKNOWN),
        None,
        None,
        &["tiny", "log in", "ask nobody", "https://example.org/tiny", "from = FILE"],
    );
}

#[test]
fn published_checksums_must_be_met() {
    let scratch = Scratch::new();
    let archive = scratch.file("tiny.zip", b"abc");
    let md5 = |bytes, md5| tiny(ZIP, Checksum::Md5 { bytes, md5, by: "nobody" });
    scratch.fails(
        &md5(4, "900150983cd24fb0d6963f7d28e17f72"),
        Some(&archive),
        None,
        &["tiny.zip", "4 bytes", "3 bytes"],
    );
    let wrong = md5(3, "000150983cd24fb0d6963f7d28e17f72");
    scratch.fails(
        &wrong,
        Some(&archive),
        None,
        &["000150983cd24fb0d6963f7d28e17f72 (of nobody)", "900150983cd24fb0d6963f7d28e17f72"],
    );
    // This one is met, and no zip.
    scratch.fails(&md5(3, "900150983cd24fb0d6963f7d28e17f72"), Some(&archive), None, &["whole zip archive"]);
    assert!(archive.exists(), "what is the user's stays");
    let server = Server::start(b"abc".to_vec(), vec![Act::Serve]);
    scratch.fails(&wrong, None, Some(&server.url), &["MD5"]);
    assert_eq!(scratch.names("out.partial"), ["lock"], "what was fetched and is wrong goes");
}

#[test]
fn noted_checksums_are_told() {
    let scratch = Scratch::new();
    let archive = scratch.file("tiny.zip", &good());
    let sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    let record =
        scratch.fetch(&tiny(ZIP, Checksum::Noted { bytes: 500, sha256 }), Some(&archive), None).unwrap();
    assert!(
        record.checked.contains("no checksum is published; the SHA-256 is another"),
        "{}",
        record.checked
    );
    assert_eq!(record.archive.unwrap().bytes, good().len() as u64);
}

#[test]
fn torn_and_foreign_archives() {
    let whole = good();
    refused(&whole[..whole.len() - 30], ZIP, &["tiny.zip", "whole zip archive", "fetch it again"]);
    refused(&whole[..whole.len() / 2], ZIP, &["tiny.zip", "whole zip archive"]);
    refused(b"<html>404</html>", ZIP, &["tiny.zip", "whole zip archive"]);
    let mut damaged = whole.clone();
    damaged[60] ^= 0x10;
    refused(&damaged, ZIP, &["ratings.dat", "whole file"]);
    refused(&zipped(&[("tiny/movies.dat", ITEMS)]), ZIP, &["tiny.zip", "ratings.dat in it"]);
    refused(
        &zipped(&[("tiny/ratings.dat", &RATINGS[20..]), ("tiny/movies.dat", ITEMS)]),
        ZIP,
        &["tiny.zip/ratings.dat", "3 rows", "found 2"],
    );
    refused(
        &zipped(&[("tiny/ratings.dat", &format!("{RATINGS}x\n")), ("tiny/movies.dat", ITEMS)]),
        ZIP,
        &["rows as published", "ratings.dat:4"],
    );
    let tar = tarred(&[("ratings.dat", RATINGS, tar::EntryType::Regular)]);
    refused(&tar[..tar.len() / 2], Packing::TarGz, &["tiny.zip"]);
    refused(b"no gzip", Packing::TarGz, &["whole tar.gz archive"]);
}

#[test]
fn entries_that_lead_out() {
    for name in [
        "../ratings.dat",
        "tiny/../../ratings.dat",
        "/ratings.dat",
        "..\\ratings.dat",
        "C:/ratings.dat",
        "tiny/..",
    ] {
        refused(
            &zipped(&[("tiny/movies.dat", ITEMS), (name, RATINGS)]),
            ZIP,
            &["within the directory", "leads out"],
        );
        refused(
            &tarred(&[(name, RATINGS, tar::EntryType::Regular)]),
            Packing::TarGz,
            &["within the directory", "leads out"],
        );
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo, tar::EntryType::Char] {
        refused(
            &tarred(&[("link", "", kind)]),
            Packing::TarGz,
            &["within the directory", "a link or a device"],
        );
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.add_symlink("tiny/ratings.dat", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    refused(&writer.finish().unwrap().into_inner(), ZIP, &["within the directory", "a link"]);
}

#[test]
fn archives_that_grow_without_end() {
    let large = "0".repeat(30_000);
    refused(&zipped(&[("tiny/ratings.dat", &large)]), ZIP, &["more than 20.0 kB"]);
    refused(
        &tarred(&[("ratings.dat", &large, tar::EntryType::Regular)]),
        Packing::TarGz,
        &["more than 20.0 kB"],
    );
    let names: Vec<String> = (0..1001).map(|i| format!("tiny/{i}")).collect();
    refused(
        &zipped(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>()),
        ZIP,
        &["more than 1000 entries"],
    );
}

#[test]
fn a_tar_is_unpacked() {
    let scratch = Scratch::new();
    let entries =
        [("./", "", tar::EntryType::Directory), ("./ratings.dat", RATINGS, tar::EntryType::Regular)];
    let archive = scratch.file(
        "x.tar.gz",
        &tarred(&[&entries[..], &[("movies.dat", ITEMS, tar::EntryType::Regular)]].concat()),
    );
    scratch.fetch(&tiny(Packing::TarGz, UNKNOWN), Some(&archive), None).unwrap();
    assert_eq!(fs::read_to_string(scratch.path("out/ratings.dat")).unwrap(), RATINGS);
}

#[test]
fn from_a_directory() {
    let scratch = Scratch::new();
    let set = tiny(ZIP, UNKNOWN);
    scratch.file("mine/movies.dat", ITEMS.as_bytes());
    scratch.file("mine/notes.txt", b"mine");
    let mine = scratch.path("mine");
    scratch.fails(&set, Some(&mine), None, &["mine", "ratings.dat in it (of Tiny)"]);
    scratch.file("mine/ratings.dat", &RATINGS.as_bytes()[20..]);
    scratch.fails(&set, Some(&mine), None, &["mine/ratings.dat", "3 rows", "found 2"]);
    scratch.file("mine/ratings.dat", RATINGS.as_bytes());
    let record = scratch.fetch(&set, Some(&mine), None).unwrap();
    assert_eq!(record.checked, "3 rows counted; there was no archive to check");
    assert_eq!(
        scratch.names("out"),
        [RECORD, TERMS, "movies.dat", "ratings.dat", "recipe.toml"],
        "notes stay where they are"
    );
    assert!(matches!(scratch.fetch(&set, Some(Path::new("/no/such")), None), Err(Error::Io { .. })));
}

#[test]
fn what_lies_there_is_looked_at() {
    let scratch = Scratch::new();
    let (set, out) = (tiny(ZIP, UNKNOWN), scratch.path("out"));
    let looks = |parts: &[&str]| {
        let error = whole(&set, &out, &mut ()).unwrap_err();
        let text = format!("{error}\n{}", error.hint().unwrap_or_default());
        parts.iter().for_each(|part| assert!(text.contains(part), "missing \"{part}\" in {text}"));
    };
    assert_eq!(whole(&set, &out, &mut ()).unwrap(), None);
    fs::create_dir(&out).unwrap();
    assert_eq!(whole(&set, &out, &mut ()).unwrap(), None, "empty");
    let archive = scratch.file("tiny.zip", &good());
    scratch.fetch(&set, Some(&archive), None).unwrap();
    fs::write(out.join("ratings.dat"), &RATINGS[..20]).unwrap();
    looks(&["out/ratings.dat", "found 20 bytes", "move"]);
    fs::write(out.join("ratings.dat"), RATINGS.replace("881250949", "881250948")).unwrap();
    looks(&["out/ratings.dat", "other contents"]);
    fs::remove_file(out.join("ratings.dat")).unwrap();
    looks(&["out/ratings.dat", "none"]);
    fs::write(out.join("ratings.dat"), RATINGS).unwrap();
    fs::write(out.join("mine.toml"), "x").unwrap();
    fs::write(out.join("recipe.toml"), "edited").unwrap();
    assert!(whole(&set, &out, &mut ()).unwrap().is_some(), "files of the user's do not matter");
    let other = DataSet { name: "other", ..set.clone() };
    assert!(whole(&other, &out, &mut ()).unwrap_err().to_string().contains("the data set other, found tiny"));
    fs::write(out.join(RECORD), "{").unwrap();
    looks(&[RECORD, "the record of a data set"]);
    fs::remove_file(out.join(RECORD)).unwrap();
    looks(&["out", "README, TERMS.txt, mine.toml, …", "choose another with run.out"]);
}

#[test]
fn stopping_leaves_what_has_arrived() {
    struct Stop(&'static str, bool);
    impl Observer for Stop {
        fn stage(&mut self, what: &str) {
            self.1 |= what.starts_with(self.0);
        }
        fn should_stop(&mut self) -> bool {
            self.1
        }
    }
    for stage in ["fetching", "checking", "unpacking"] {
        let scratch = Scratch::new();
        let server = Server::start(good(), vec![Act::Serve]);
        let (set, directory) = (tiny(ZIP, UNKNOWN), scratch.path("out"));
        let request = Request {
            directory: &directory,
            from: None,
            url: Some(&server.url),
            beside: &[],
            patience: Patience::default(),
        };
        let error = fetch(&set, &request, &mut Stop(stage, false)).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{stage}: {error}");
        assert!(!directory.exists() && scratch.path("out.partial/tiny.zip").exists(), "{stage}");
        fetch(&set, &request, &mut ()).unwrap();
        if stage != "fetching" {
            assert_eq!(server.requests().len(), 1, "{stage}: it had arrived");
        }
        assert_eq!(scratch.names(""), ["out"]);
    }
}
