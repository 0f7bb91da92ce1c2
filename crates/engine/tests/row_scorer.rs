//! A row gets the same bits alone and among others, whoever computes; and scoring it allocates nothing of its
//! own.
use dlrm_data::Encoder;
use dlrm_data::parse::Labels;
use dlrm_engine::row_scorer::{Pushed, RowScorer};
use dlrm_engine::{Network, Parallel, Workspace};
use dlrm_models::ModelConfig;
use dlrm_nn::{Isa, TablePrecision};
use proptest::prelude::*;
use serde_json::json;

type Row = Vec<String>;

/// Two dense columns, a vocabulary, hashed values, weighted values, values by number and a cross.
fn encoder() -> Encoder {
    let scale = json!({
        "transform": "standardize", "clip": [-5.0, 50.0], "mean": 3.0, "deviation": 2.5, "missing": 0.25,
        "indicator": true
    });
    let plain = json!({
        "transform": "log1p", "clip": null, "mean": 0.0, "deviation": 1.0, "missing": 0.5, "indicator": false
    });
    let encoder = json!({
        "schema": {
            "missing": ["NA"],
            "weight": "importance",
            "group": "user",
            "label": {"column": "click", "leave_out": ["?"]},
            "dense": [
                {"name": "price", "transform": "standardize", "missing_indicator": true},
                {"name": "age", "transform": "log1p", "missing_value": 0.5}
            ],
            "categorical": [
                {"name": "user"},
                {"name": "item", "encoding": {"kind": "hash", "buckets": 50}},
                {"name": "tags", "multi": {"separator": "|", "weight_separator": ":"}},
                {"name": "genres", "encoding": {"kind": "identity", "bound": 9}, "multi": {"separator": " "}},
            ],
            "crosses": [{"columns": ["user", "tags"], "buckets": 40}]
        },
        "dense": [scale, plain],
        "vocabularies": {"user": ["anna", "bert", "a longer name"], "tags": ["x", "yy", "zzz"]}
    });
    serde_json::from_value(encoder).expect("an encoder")
}

fn columns() -> Vec<String> {
    ["tags", "age", "user", "unused", "genres", "item", "price"].map(str::to_owned).to_vec()
}

fn networks(encoder: &Encoder) -> impl Iterator<Item = (&'static str, Network)> {
    let layout = encoder.layout();
    ModelConfig::ABOUT.iter().map(move |about| {
        let config = ModelConfig::of_kind(about.kind).expect("a known kind");
        let network = Network::with_tables(&config, &layout, TablePrecision::F32, 7, Isa::detect());
        (about.kind, network.expect("a model"))
    })
}

/// A row of values that the encoder knows, does not know, or misses.
fn row() -> impl Strategy<Value = Row> {
    let number =
        prop_oneof![Just(String::new()), Just("NA".into()), (-9.0..99.0f64).prop_map(|x| x.to_string())];
    let user = prop_oneof![Just(""), Just("anna"), Just("a longer name"), Just("nobody"), Just("NA")];
    let tag = prop_oneof![Just("x"), Just("yy:0.5"), Just("zzz:-2"), Just("new:3"), Just("")];
    let tags = prop::collection::vec(tag, 0..4).prop_map(|tags| tags.join("|"));
    let genres = prop::collection::vec(0..9u32, 0..4);
    let genres = genres.prop_map(|ids| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    let item = prop_oneof![Just(String::new()), (0..200u32).prop_map(|item| format!("item {item}"))];
    (tags, number.clone(), user, genres, item, number).prop_map(|(tags, age, user, genres, item, price)| {
        vec![tags, age, user.into(), "ignored".into(), genres, item, price]
    })
}

fn push(scorer: &mut RowScorer<'_>, row: &Row) {
    assert_eq!(scorer.push(row.iter().map(String::as_str)).expect("a good row"), Pushed::Kept);
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_row_scores_the_same_alone_and_in_a_batch(rows in prop::collection::vec(row(), 1..300)) {
        let encoder = encoder();
        let pools = [1, 2].map(|threads| dlrm_engine::learner::pool(threads).expect("threads"));
        for (kind, network) in networks(&encoder) {
            let scorer = || {
                let scorer = RowScorer::new(&encoder, &network, &columns(), Labels::Ignored, "rows");
                scorer.expect("all columns")
            };
            let (mut alone, mut workspace, mut logits) = (scorer(), Workspace::new(), Vec::new());
            let mut single = Vec::new();
            for row in &rows {
                push(&mut alone, row);
                alone.score(&mut workspace, Parallel::Single, &mut logits);
                single.extend_from_slice(&logits);
            }
            for parallel in [Parallel::Single, Parallel::Pool(&pools[0]), Parallel::Pool(&pools[1])] {
                let mut together = scorer();
                rows.iter().for_each(|row| push(&mut together, row));
                together.score(&mut workspace, parallel, &mut logits);
                prop_assert_eq!(bits(&logits), bits(&single), "{} by {:?}", kind, parallel);
                prop_assert_eq!(together.counts(), alone.counts());
                prop_assert!(together.is_empty());
            }
        }
    }
}

#[test]
fn a_row_allocates_nothing_of_its_own() {
    let encoder = encoder();
    let row = |number: usize| -> Row {
        let tags = ["", "x|yy:2", "zzz", "new|x:0.5|yy"][number % 4];
        let user = ["anna", "", "nobody"][number % 3];
        [tags, "17", user, "", "1 2 3", "item 5", "2.5"].map(str::to_owned).to_vec()
    };
    let rows: Vec<Row> = (0..128).map(row).collect();
    for (kind, network) in networks(&encoder) {
        let mut scorer =
            RowScorer::new(&encoder, &network, &columns(), Labels::Ignored, "rows").expect("all columns");
        let (mut workspace, mut logits) = (Workspace::new(), Vec::new());
        let mut of = |count: usize| {
            let pushing =
                allocation_counter::measure(|| rows[..count].iter().for_each(|row| push(&mut scorer, row)));
            let scoring =
                allocation_counter::measure(|| scorer.score(&mut workspace, Parallel::Single, &mut logits));
            (pushing.count_total, scoring.count_total)
        };
        of(rows.len());
        let (one, all) = (of(1), of(rows.len()));
        assert_eq!((one.0, all.0), (0, 0), "{kind}: pushing");
        assert_eq!(one.1, all.1, "{kind}: scoring allocates by the call, not by the row");
    }
}

#[test]
fn malformed_rows_say_where_and_leave_the_others() {
    let encoder = encoder();
    let (_, network) = networks(&encoder).next().expect("a model");
    let all: Vec<String> = ["click", "importance"].map(str::to_owned).into_iter().chain(columns()).collect();
    let mut scorer =
        RowScorer::new(&encoder, &network, &all, Labels::Required, "request").expect("all columns");
    let row = |click, importance, genres, price| {
        [click, importance, "x", "30", "anna", "", genres, "item 1", price]
    };
    assert_eq!(scorer.push(row("1", "2", "1 2", "3")).unwrap(), Pushed::Kept);
    let bad = scorer.push(row("1", "2", "1 99", "3")).unwrap_err();
    assert_eq!((&*bad.position.file, bad.position.line), ("request", 2));
    assert!(bad.to_string().contains("genres") && bad.text.contains("1 99"), "{bad}");
    let bad = scorer.push(["1", "2"]).unwrap_err();
    assert!(bad.to_string().contains("expected 9 fields, found 2"), "{bad}");
    assert_eq!(scorer.push(row("?", "2", "1 2", "3")).unwrap(), Pushed::LeftOut);
    assert_eq!(scorer.push(row("0", "0.5", "", "")).unwrap(), Pushed::Kept);
    let mut logits = Vec::new();
    scorer.score(&mut Workspace::new(), Parallel::Single, &mut logits);
    assert_eq!(logits.len(), 2);
    assert_eq!((scorer.labels(), scorer.weights()), (&[1.0, 0.0][..], Some(&[2.0, 0.5][..])));
    assert_eq!(scorer.groups().map(<[u64]>::len), Some(2));
    assert!(RowScorer::new(&encoder, &network, &columns(), Labels::Required, "request").is_err(), "no label");
}
