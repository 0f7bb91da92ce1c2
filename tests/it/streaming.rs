//! Streamed rows: windows keep their order whoever reads them, and a cache changes no bit, whatever becomes
//! of it.
use dlrm::data::batch::{Batch, BatchSource, Layout};
use dlrm::data::batches::{RowStream, StreamBatches};
use dlrm::data::dataset::{Fitted, Sources};
use dlrm::data::prepared::Cache;
use dlrm::data::readers::Input;
use dlrm::data::rng::Rng;
use dlrm::data::schema::Schema;
use dlrm::data::source::DataSource;
use dlrm::data::split::{Part, Split};
use dlrm::engine::feed::StreamFeed;
use dlrm::engine::training_rows::TrainingRows;
use std::fs;
use std::path::Path;

const ROWS: usize = 1000;
const BATCH: usize = 64;
const WINDOW: usize = 300;

/// Every kind of column: dense, single and multi-valued with and without weights, sample weights, groups.
const SCHEMA: &str = r#"
weight = "w"
group = "user"
label = { column = "click" }
dense = [{ name = "x", missing_indicator = true }]
categorical = [
  { name = "user" },
  { name = "token", encoding = { kind = "hash", buckets = 50 } },
  { name = "tags", multi = { separator = "|" } },
  { name = "likes", multi = { separator = "|", weight_separator = ":" } },
]
"#;

/// Calls `test` with the rows of a file and a directory beside it.
fn with_sources(test: impl Fn(&Sources<'_>, &Fitted, &Path)) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("clicks.csv");
    let row = |i: usize| {
        let tags = ["", "a", "a|b", "c|a|b"][i % 4];
        let likes = ["p:0.5|q:2", "", "q:0.25"][i % 3];
        format!(
            "{},{},{},u{},{:08x},{tags},{likes}\n",
            i % 2,
            i % 7,
            if i.is_multiple_of(9) { "" } else { "1.5" },
            i % 31,
            i * 7919
        )
    };
    fs::write(
        &path,
        "click,w,x,user,token,tags,likes\n".to_owned() + &(0..ROWS).map(row).collect::<String>(),
    )
    .expect("a file");
    let (input, split) = (Input::new([&path]), Split::Random { validation: 0.1, test: 0.1, seed: 3 });
    let sources = Sources::of(&input, &split, 2);
    let fitted = sources.fit(&Schema::from_toml(SCHEMA, "schema").expect("a schema")).expect("a fit");
    test(&sources, &fitted, dir.path());
}

fn feed<'a>(sources: &'a Sources<'a>, fitted: &'a Fitted, cache: Option<&Cache>) -> StreamFeed<'a> {
    StreamFeed::new(DataSource::Raw(sources), fitted, BATCH, WINDOW, 5).with_cache(cache.cloned())
}

fn cache(fitted: &Fitted, dir: &Path) -> Cache {
    Cache::new(dir.join("rows"), "17".into(), &fitted.encoder)
}

fn epoch(feed: &mut StreamFeed<'_>, number: u64, skip: u64) -> Vec<Batch> {
    let (mut batches, mut batch) = (Vec::new(), Batch::default());
    assert!(feed.start(number, skip, &mut || false).expect("a stream"));
    while feed.next_batch(&mut batch).expect("a batch") {
        batches.push(batch.clone());
    }
    batches
}

/// The definition: windows of consecutive rows, each in random order, cut into batches.
fn expected(rows: &Batch, layout: &Layout, number: u64) -> Vec<Batch> {
    let (mut order, mut rng) = ((0..rows.len()).collect::<Vec<_>>(), Rng::new(5, number));
    order.chunks_mut(WINDOW).for_each(|window| rng.shuffle(window));
    let batch = |rows_of: &[usize]| {
        let mut batch = Batch::new(layout);
        rows_of.iter().for_each(|&row| batch.push_row_of(rows, row));
        batch
    };
    order.chunks(BATCH).map(batch).collect()
}

#[test]
fn a_cache_changes_no_bit() {
    with_sources(|sources, fitted, dir| {
        let layout = fitted.encoder.layout();
        let rows =
            sources.encode(fitted, |part| part == Part::Train).expect("rows").parts[Part::Train].clone();
        let cache = cache(fitted, dir);
        let (mut plain, mut cached) = (feed(sources, fitted, None), feed(sources, fitted, Some(&cache)));
        for number in 0..3 {
            let expected = expected(&rows, &layout, number);
            assert_eq!(epoch(&mut plain, number, 0), expected);
            assert_eq!(epoch(&mut cached, number, 0), expected);
            assert!(cache.dir().join("kept.json").exists());
            for skip in [1, 4, 5, 100] {
                let rest = &expected[expected.len().min(skip)..];
                assert_eq!(epoch(&mut plain, number, skip as u64), rest);
                assert_eq!(epoch(&mut cached, number, skip as u64), rest);
            }
        }
        // A run that starts in the middle of an epoch writes a whole cache too.
        fs::remove_dir_all(cache.dir()).expect("a cache");
        let mut resumed = feed(sources, fitted, Some(&cache));
        assert_eq!(epoch(&mut resumed, 1, 5), expected(&rows, &layout, 1)[5..]);
        assert!(cache.dir().join("kept.json").exists());
        assert_eq!(epoch(&mut resumed, 2, 0), expected(&rows, &layout, 2));
        assert_eq!(cache.take_warning(), None);
    });
}

#[test]
fn pieces_of_files_come_out_in_order() {
    with_sources(|sources, fitted, dir| {
        let cache = cache(fitted, dir);
        epoch(&mut feed(sources, fitted, Some(&cache)), 0, 0);
        let stream = || sources.stream(fitted).expect("a stream");
        // Other windows and batches than those that wrote it.
        let all = |rows| {
            let mut batches = StreamBatches::new(rows, &fitted.encoder.layout(), 7, 50, Rng::new(1, 1));
            let (mut all, mut batch) = (Vec::new(), Batch::new(&fitted.encoder.layout()));
            while batches.next_batch(&mut batch).expect("a batch") {
                all.push(batch.clone());
            }
            all
        };
        assert_eq!(all(cache.rows(Box::new(stream()))), all(Box::new(stream())));
    });
}

#[test]
fn a_damaged_cache_is_noticed_and_made_anew() {
    with_sources(|sources, fitted, dir| {
        let cache = cache(fitted, dir);
        let mut feed = feed(sources, fitted, Some(&cache));
        let expected = epoch(&mut feed, 0, 0);
        let files = ["rows-00000.arrow", "kept.json"].map(|name| cache.dir().join(name));
        let whole = files.each_ref().map(|path| fs::read(path).expect("a file"));
        for (path, bytes) in files.iter().zip(&whole) {
            let steps = bytes.len() / 20;
            let cut = (0..bytes.len()).step_by(steps).map(|length| bytes[..length].to_vec());
            let flipped = (0..bytes.len()).step_by(steps).map(|at| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x10;
                bytes
            });
            for damaged in cut.chain(flipped) {
                fs::write(path, damaged).expect("a damaged cache");
                assert_eq!(epoch(&mut feed, 0, 0), expected);
                let warning = cache.take_warning().expect("a warning");
                assert!(
                    warning.contains("encoded rows in ") && warning.contains("written anew"),
                    "{warning}"
                );
                epoch(&mut feed, 0, 0);
                assert_eq!(
                    files.each_ref().map(|path| fs::read(path).expect("a file")),
                    whole,
                    "written anew"
                );
                assert_eq!(cache.take_warning(), None);
            }
        }
        // A file that is gone is as bad as a torn one.
        fs::remove_file(&files[0]).expect("a file");
        assert_eq!(epoch(&mut feed, 0, 0), expected);
        assert!(cache.take_warning().expect("a warning").contains("rows-00000.arrow"));
    });
}

#[test]
fn a_cache_of_other_rows_is_not_used() {
    with_sources(|sources, fitted, dir| {
        epoch(&mut feed(sources, fitted, Some(&cache(fitted, dir))), 0, 0);
        let other = Cache::new(dir.join("rows"), "18".into(), &fitted.encoder);
        epoch(&mut feed(sources, fitted, Some(&other)), 0, 0);
        assert!(
            other.take_warning().expect("a warning").contains("expected the rows of this run, found others")
        );
        epoch(&mut feed(sources, fitted, Some(&other)), 1, 0);
        assert_eq!(other.take_warning(), None);
    });
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    with_sources(|sources, fitted, dir| {
        fs::write(dir.join("taken"), "").expect("a file");
        let nowhere = cache(fitted, &dir.join("taken"));
        let mut plain = feed(sources, fitted, None);
        let mut without = feed(sources, fitted, Some(&nowhere));
        assert_eq!(epoch(&mut without, 0, 0), epoch(&mut plain, 0, 0));
        let warning = nowhere.take_warning().expect("a warning");
        assert!(warning.contains("cannot be written") && warning.contains("disk space"), "{warning}");
        assert_eq!(epoch(&mut without, 1, 0), epoch(&mut plain, 1, 0));
        assert!(nowhere.take_warning().is_none(), "warned once");
    });
}

#[test]
fn a_cache_that_fails_on_its_way_is_removed() {
    with_sources(|sources, fitted, dir| {
        let cache = cache(fitted, dir);
        let stream = || -> Box<dyn RowStream> { Box::new(sources.stream(fitted).expect("a stream")) };
        let (mut kept, mut plain) = (cache.rows(stream()), stream());
        let [mut a, mut b] = [(); 2].map(|()| Batch::new(&fitted.encoder.layout()));
        assert_eq!(kept.append_rows(&mut a, 100).expect("rows"), 100);
        // As if the disk were gone.
        fs::remove_dir_all(cache.dir()).expect("removed");
        while kept.append_rows(&mut a, 100).expect("rows") > 0 {}
        while plain.append_rows(&mut b, 100).expect("rows") > 0 {}
        assert_eq!(a, b);
        assert!(cache.take_warning().expect("a warning").contains("cannot be written"));
        assert!(!cache.dir().exists());
    });
}

#[test]
fn going_to_the_middle_of_an_epoch_can_be_stopped() {
    with_sources(|sources, fitted, _| {
        let (mut feed, mut asked) = (feed(sources, fitted, None), 0);
        let mut stop = || {
            asked += 1;
            asked > 3
        };
        assert!(!feed.start(0, 10, &mut stop).expect("a stream"));
        assert_eq!(asked, 4);
    });
}

#[test]
fn an_epoch_that_is_left_leaves_no_cache() {
    with_sources(|sources, fitted, dir| {
        let cache = cache(fitted, dir);
        let mut left = feed(sources, fitted, Some(&cache));
        left.start(0, 0, &mut || false).expect("a stream");
        left.next_batch(&mut Batch::default()).expect("a batch");
        drop(left);
        assert!(!cache.dir().join("kept.json").exists());
    });
}
