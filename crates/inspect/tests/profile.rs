//! `Profile` on made inputs.
use dlrm_data::moment::DateOrder;
use dlrm_data::schema::{DenseColumn, Encoding, Task, Transform};
use dlrm_data::{Error, Position, RawRow, Result, RowSource, Schema};
use dlrm_inspect::profile::{Kind, LabelOrigin, Profile, ProfileOptions, TimeFormat};
use dlrm_synth::{ClickConfig, ClickSimulator};
use proptest::prelude::*;

/// Rows in memory; `None` is a malformed one.
struct Rows {
    columns: Vec<String>,
    rows: std::vec::IntoIter<Option<Vec<String>>>,
}

impl RowSource for Rows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        row.clear();
        let Some(fields) = self.rows.next() else { return Ok(false) };
        let fields = fields.ok_or_else(|| Error::row(Position::default(), "2 fields", "3"))?;
        fields.iter().for_each(|field| row.push(field));
        Ok(true)
    }
}

fn profile_of(columns: &[&str], rows: Vec<Option<Vec<String>>>, label: Option<&str>) -> Result<Profile> {
    let columns = columns.iter().map(|c| (*c).to_owned()).collect();
    Profile::of(
        &mut Rows { columns, rows: rows.into_iter() },
        &ProfileOptions { label: label.map(str::to_owned), ..ProfileOptions::default() },
    )
}

/// Profile of `n` rows of one column beside a label that follows no rule.
fn with_column(name: &str, n: u64, field: impl Fn(u64) -> String) -> Profile {
    let rows = (0..n).map(|r| Some(vec![coin(r).to_string(), field(r)])).collect();
    profile_of(&["click", name], rows, None).unwrap()
}

/// Irregular, but the same every time.
fn scramble(r: u64) -> u64 {
    let z = (r + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn coin(r: u64) -> u64 {
    scramble(r) & 1
}

/// Independent of the coin.
fn other(r: u64) -> u64 {
    scramble(r + 1_000_003)
}

#[test]
fn kinds_of_made_columns() {
    let kind = |name: &str, field: &dyn Fn(u64) -> String| with_column(name, 2000, field).columns[1].kind;
    let missing_or = |r: u64, text: &str| if r.is_multiple_of(3) { String::new() } else { text.to_owned() };
    assert_eq!(kind("x", &|r| (other(r) % 7).to_string()), Kind::Categorical);
    assert_eq!(kind("x", &|r| format!("{:.3}", other(r) as f64 / 1e6)), Kind::Dense);
    assert_eq!(kind("price", &|r| (other(r) % 7).to_string()), Kind::Dense);
    assert_eq!(kind("zip", &|r| format!("{:05}", other(r) % 900)), Kind::Categorical);
    assert_eq!(kind("x", &|r| format!("{:03}", other(r) % 900)), Kind::Categorical);
    assert_eq!(kind("x", &|r| format!("{:08x}", other(r) % 100)), Kind::Categorical);
    assert_eq!(kind("request", &|r| format!("{:08x}-{r}", other(r))), Kind::Identifier);
    assert_eq!(kind("x", &|r| (r * 1_000_003).to_string()), Kind::Identifier);
    assert_eq!(kind("x", &|_| "7".to_owned()), Kind::Constant);
    assert_eq!(kind("x", &|r| missing_or(r, "7")), Kind::Categorical);
    assert_eq!(kind("x", &|_| "NULL".to_owned()), Kind::Empty);
    assert_eq!(
        kind("ts", &|r| (1_600_000_000 + r * 61).to_string()),
        Kind::Timestamp { format: TimeFormat::Seconds }
    );
    assert_eq!(
        kind("ts", &|r| (1_600_000_000_000 + r * 61).to_string()),
        Kind::Timestamp { format: TimeFormat::Milliseconds }
    );
    assert_eq!(
        kind("x", &|r| format!("2024-01-{:02} 10:00:00", 1 + r % 28)),
        Kind::Timestamp { format: TimeFormat::Iso }
    );
    assert_eq!(
        kind("hour", &|r| format!("141021{:02}", r % 24)),
        Kind::Timestamp { format: TimeFormat::Compact }
    );
    assert_eq!(
        kind("x", &|r| format!("{}/{:02}/2024 10:00", 1 + r % 28, 1 + r % 12)),
        Kind::Timestamp { format: TimeFormat::DayFirst }
    );
    assert_eq!(
        kind("x", &|r| format!("{}/{}/2024", 1 + r % 12, 1 + r % 28)),
        Kind::Timestamp { format: TimeFormat::MonthFirst }
    );
    assert_eq!(kind("x", &|r| format!("{}/{}/2024", 1 + r % 12, 1 + r % 11)), Kind::Categorical);
    let words = |r: u64| ["red", "green", "blue", "white", "black"][(other(r) % 5) as usize];
    let prose = |r: u64| format!("the {} fox and {} more of {} hens", words(r), r % 700, words(r + 1));
    assert_eq!(kind("x", &prose), Kind::Text);
    let pairs = |r: u64| (0..=r % 4).map(|k| format!("{}:{k}.5", words(r + k))).collect::<Vec<_>>().join("|");
    assert_eq!(kind("x", &pairs), Kind::MultiValued { separator: '|', weight_separator: Some(':') });
}

#[test]
fn suggestions_say_why() {
    let skewed = with_column("x", 2000, |r| {
        if r.is_multiple_of(10) {
            String::new()
        } else {
            format!("{:.2}", ((other(r) % 1000) as f64 / 45.0).exp())
        }
    });
    let column = &skewed.columns[1];
    assert!(
        column.suggestions[0].starts_with("skew ") && column.suggestions[1].contains("missing_indicator"),
        "{:?}",
        column.suggestions
    );
    let schema = skewed.schema().unwrap();
    assert!(schema.dense[0].transform == Transform::PiecewiseLinear && schema.dense[0].missing_indicator);
    let rare = with_column("x", 2000, |r| if r < 1200 { format!("u{r}") } else { format!("v{}", r % 50) });
    assert_eq!(rare.schema().unwrap().categorical[0].encoding, Encoding::vocabulary(3));
    assert!(rare.columns[1].suggestions[0].contains("occur once"));
    let stray = with_column("age", 2000, |r| {
        if r.is_multiple_of(50) { "unknown".to_owned() } else { (other(r) % 60).to_string() }
    });
    assert!(
        stray.columns[1].suggestions.iter().any(|s| s.contains("\"unknown\"")),
        "{:?}",
        stray.columns[1].suggestions
    );
    let odd = with_column("x", 200, |r| {
        if r.is_multiple_of(9) { " ? ".to_owned() } else { format!("{:.1}", other(r) as f64 / 7.0) }
    });
    let missing = odd.schema().unwrap().missing;
    assert!(missing.contains(&"?".to_owned()) && missing.contains(&" ? ".to_owned()), "{missing:?}");
}

#[test]
fn moments_are_taken_apart_where_their_parts_recur() {
    let parts = |name: &str, field: &dyn Fn(u64) -> String| {
        let schema = with_column(name, 2000, field).schema();
        schema.map_or_else(|_| Vec::new(), |s| s.categorical.into_iter().map(|c| c.name).collect::<Vec<_>>())
    };
    let every = |seconds: u64| move |r: u64| (1_600_000_000 + r * seconds).to_string();
    assert_eq!(parts("ts", &every(3601)), ["ts:hour", "ts:weekday"]);
    assert_eq!(parts("ts", &every(601)), ["ts:hour"], "two weeks at least");
    assert_eq!(parts("ts", &every(61)), [] as [&str; 0], "two days at least");
    assert_eq!(parts("ts", &every(86_400)), ["ts:weekday"], "no time of day");
    let dates = |r: u64| format!("{}/{:02}/2024", 1 + r % 28, 1 + r % 12);
    assert_eq!(parts("x", &dates), ["x:weekday"]);
    assert_eq!(
        parts("x", &|r| if r == 7 { "31/02/2024".into() } else { dates(r) }),
        [] as [&str; 0],
        "a stray"
    );
    let missing = |r: u64| if r.is_multiple_of(3) { String::new() } else { dates(r) };
    let schema = with_column("x", 2000, missing).schema().unwrap();
    assert_eq!((schema.time, schema.categorical[0].source()), (None, "x"));
    assert_eq!(
        Schema::from_toml(&toml_of(&with_column("x", 2000, dates)), "x").unwrap().date_order,
        Some(DateOrder::DayFirst)
    );
}

#[test]
fn the_moment_of_the_event_is_the_one_that_covers_the_fewest_days() {
    let schema = |missing: u64| {
        let row = |r: u64| {
            let seen = 1_600_000_000 + r * 601;
            let signed_up =
                if r < missing { String::new() } else { (seen - other(r) % 90_000_000).to_string() };
            Some(vec![coin(r).to_string(), signed_up, seen.to_string()])
        };
        profile_of(&["click", "signed_up", "ts"], (0..2000).map(row).collect(), None)
            .unwrap()
            .schema()
            .unwrap()
    };
    let ages = |schema: &Schema| schema.dense.iter().filter_map(|c| c.age.clone()).collect::<Vec<_>>();
    let few = schema(0);
    assert_eq!(few.time.as_deref(), Some("ts"));
    let age = &ages(&few)[0];
    assert_eq!((age.column.as_str(), age.until.as_str(), ages(&few).len()), ("signed_up", "ts", 1));
    // What is known of some rows only may be known because of what is to be predicted.
    assert_eq!(ages(&schema(100)), []);
}

fn toml_of(profile: &Profile) -> String {
    profile.schema_toml().unwrap()
}

#[test]
fn unclear_dates_and_sentinels_are_warned_of() {
    let warning =
        |field: &dyn Fn(u64) -> String| with_column("x", 2000, field).columns[1].warnings.join("; ");
    let unclear = warning(&|r| format!("{}/{}/2024", 1 + r % 12, 1 + r % 11));
    assert!(unclear.contains("\"1/1/2024\"") && unclear.contains("date_order = \"day_first\""), "{unclear}");
    let mixed = warning(&|r| {
        if r % 2 == 0 { format!("{}/1/2024", 1 + r % 28) } else { format!("1/{}/2024", 1 + r % 28) }
    });
    assert!(mixed.contains("dates of both orders"), "{mixed}");
    let odd =
        warning(&|r| if r % 100 == 0 { "-999".into() } else { format!("{:.1}", other(r) as f64 % 500.0) });
    assert!(odd.contains("-999 may stand for a missing value: it is in 20 rows (1.0 %)"), "{odd}");
}

#[test]
fn leaks_duplicates_and_constants_are_warned_of() {
    let leak = |field: &dyn Fn(u64) -> String| with_column("x", 3000, field).columns[1].warnings.join("; ");
    assert!(leak(&|r| coin(r).to_string()).contains("equal to the label \"click\""));
    assert!(leak(&|r| format!("v{}", 2 * (other(r) % 50) + coin(r))).contains("AUC of 1.0000"));
    assert!(leak(&|r| (coin(r) * 1_000_000 + other(r) % 1_000_000).to_string()).contains("AUC of 1.0000"));
    assert!(
        leak(&|r| if coin(r) == 1 { format!("v{}", other(r) % 50) } else { String::new() })
            .contains("whether it is missing")
    );
    for harmless in [
        leak(&|r| format!("v{}", other(r) % 50)),
        leak(&|r| format!("v{}", other(r) % 2500)),
        leak(&|r| format!("{}.5", other(r))),
    ] {
        assert_eq!(harmless, "");
    }
    // Constant in all rows, but the label too: two constants are not called duplicates.
    let rows = (0..100).map(|r| {
        Some(vec![
            coin(r).to_string(),
            "a".into(),
            format!("v{}", other(r) % 9),
            "a".into(),
            format!("v{}", other(r) % 9),
        ])
    });
    let profile = profile_of(&["click", "a", "b", "c", "d"], rows.collect(), None).unwrap();
    let warnings: Vec<String> = profile.columns.iter().map(|c| c.warnings.join("; ")).collect();
    assert!(
        warnings[1].contains("constant") && warnings[3].contains("constant") && !warnings[3].contains("same")
    );
    assert_eq!((warnings[2].as_str(), warnings[4].as_str()), ("", "the same as column \"b\" in every row"));
    assert!(profile.table(80).contains("the same as column \"b\""));
}

#[test]
fn labels_given_and_guessed() {
    let rows = |values: [&str; 3]| {
        (0..90)
            .map(|r| Some(vec![values[r % 3].to_owned(), (r % 5).to_string(), (r % 2).to_string()]))
            .collect::<Vec<_>>()
    };
    let by_place = profile_of(&["a", "b", "c"], rows(["x", "y", "z"]), None).unwrap().label.unwrap();
    assert_eq!((by_place.column.as_str(), by_place.origin), ("c", LabelOrigin::Place));
    let by_name =
        profile_of(&["rating", "b", "is_click"], rows(["1", "2", "3"]), None).unwrap().label.unwrap();
    assert_eq!((by_name.column.as_str(), by_name.origin), ("is_click", LabelOrigin::Name));
    let rating = profile_of(&["rating", "b", "c"], rows(["1", "2", "3"]), None).unwrap().schema().unwrap();
    assert_eq!((rating.label.column.as_str(), rating.label.task), ("rating", Task::Rating));
    let texts = profile_of(&["a", "b", "c"], rows(["x", "y", "z"]), Some("a")).unwrap();
    assert!(texts.schema().unwrap_err().hint().unwrap().to_string().contains("rule"));
    let error = profile_of(&["clicked", "b", "c"], rows(["0", "1", "1"]), Some("click")).unwrap_err();
    assert_eq!(error.hint(), Some(&"did you mean \"clicked\"?".into()));
    let none = profile_of(&["a", "b", "c"], (0..9).map(|r| Some(vec![format!("{r}.5"); 3])).collect(), None)
        .unwrap();
    assert!(
        none.label.is_none()
            && none.schema().unwrap_err().hint().unwrap().to_string().contains("label.column = click")
    );
    let only = profile_of(
        &["click"],
        rows(["0", "1", "1"]).into_iter().map(|r| r.map(|f| f[..1].to_vec())).collect(),
        None,
    )
    .unwrap();
    assert!(only.schema().is_err());
    let constant = profile_of(&["click", "b"], vec![Some(vec!["0".into(), "x".into()]); 40], None).unwrap();
    assert!(constant.warnings[0].contains("one value only"));
}

#[test]
fn malformed_rows_are_skipped_and_counted() {
    let good = || Some(vec!["1".to_owned(), "a".to_owned()]);
    let profile = profile_of(&["click", "x"], vec![None, good(), None, good()], None).unwrap();
    assert_eq!((profile.rows, profile.bad_rows), (2, 2));
    assert!(profile.warnings.iter().any(|w| w.contains("2 malformed rows")));
    assert_eq!(profile.first_bad_rows.len(), 2);
    let mostly = profile_of(&["click", "x"], vec![None, good(), None], None).unwrap_err();
    assert!(mostly.to_string().contains("2 malformed of 3, the first: "), "{mostly}");
    assert!(
        profile_of(&["click", "x"], vec![None, None], None)
            .unwrap_err()
            .to_string()
            .contains("expected 2 fields")
    );
    assert!(profile_of(&["click", "x"], vec![], None).unwrap_err().to_string().contains("at least one row"));
}

#[test]
fn the_simulated_log_is_understood() {
    let simulator = ClickSimulator::new(ClickConfig::default());
    let profile = Profile::of(&mut simulator.rows(0..20_000), &ProfileOptions::default()).unwrap();
    let (inferred, made) = (profile.schema().unwrap(), ClickSimulator::schema());
    assert_eq!(inferred.label, made.label);
    // An hour can be seen either way; everything else is as it was made.
    let pieces = |column| DenseColumn { transform: Transform::PiecewiseLinear, ..column };
    let dense: Vec<_> = made.dense.into_iter().filter(|c| c.name != "hour").map(pieces).collect();
    assert_eq!(inferred.dense, dense);
    assert_eq!(
        inferred.categorical.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["hour", "user_id", "item_id", "category", "device", "country", "interests"]
    );
    assert_eq!(inferred.categorical[6].multi, made.categorical[5].multi);
    assert!(profile.warnings.is_empty() && profile.columns.iter().all(|c| c.warnings.is_empty()));
    let json = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), profile);
}

#[test]
fn comments_survive_odd_names() {
    let columns = ["click", "a\n[[dense]]\nb", "c # d \"e\" 'f'", "ü\u{7}", "[label]"];
    let rows = (0..200).map(|r| {
        Some(
            (0..5)
                .map(|c| if c == 0 { coin(r).to_string() } else { format!("{}.{}", other(r + c * 7), c) })
                .collect(),
        )
    });
    let profile = profile_of(&columns, rows.collect(), None).unwrap();
    let toml = profile.schema_toml().unwrap();
    assert_eq!(Schema::from_toml(&toml, "x").unwrap(), profile.schema().unwrap());
    assert!(profile.table(100).lines().all(|line| !line.contains('\u{7}')));
}

/// Fields as they occur in the wild, and anything else.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9.eE+|,;:?\\- NAnulf]{0,12}",
        prop::collection::vec(any::<u8>(), 0..12)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        any::<f64>().prop_map(|x| x.to_string()),
        any::<i64>().prop_map(|x| x.to_string()),
        Just("1".to_owned()),
        Just("0".to_owned()),
    ]
}

fn column_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{0,6}", any::<String>(), Just("click".to_owned())]
}

/// One row in twenty is malformed.
fn maybe_row() -> impl Strategy<Value = Option<Vec<String>>> {
    prop::option::weighted(0.95, prop::collection::vec(field(), 0..6))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_input_panics(
        columns in prop::collection::vec(column_name(), 0..5),
        rows in prop::collection::vec(maybe_row(), 0..40),
        width in 0usize..200,
    ) {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        if let Ok(profile) = profile_of(&names, rows, None) {
            let _ = profile.table(width);
            let json = serde_json::to_string(&profile).unwrap();
            prop_assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), profile.clone());
            if let Ok(toml) = profile.schema_toml() {
                prop_assert_eq!(Schema::from_toml(&toml, "x").unwrap(), profile.schema().unwrap());
            }
        }
    }
}

#[test]
fn odd_values_change_neither_task_nor_kind() {
    let rows = |n: u64, odd: &[&str; 4]| {
        let row = |r: u64| {
            vec![
                coin(r).to_string(),
                format!("{}.5", other(r) % 90),
                format!("t{}:0.5|t{}:2", r % 7, r % 5),
                format!("{}", r % 3),
            ]
        };
        (0..n).map(row).chain([odd.map(str::to_owned).to_vec()]).map(Some).collect::<Vec<_>>()
    };
    let columns = ["click", "price", "tags", "shade"];
    for odd in ["2", "oops"] {
        let profile = profile_of(&columns, rows(600, &[odd, "abc", "t1:x|t2", "0"]), None).unwrap();
        let schema = profile.schema().unwrap();
        assert_eq!((schema.label.task, schema.label.positive.len()), (Task::Binary, 0));
        assert!(
            profile.warnings[0].contains("in 1 rows") && profile.warnings[0].contains(odd),
            "{:?}",
            profile.warnings
        );
        assert_eq!(profile.columns[1].kind, Kind::Dense);
        assert!(
            profile.columns[1].warnings[0].contains("no number in 1 fields (\"abc\")"),
            "{:?}",
            profile.columns[1].warnings
        );
        assert_eq!(
            profile.columns[2].kind,
            Kind::MultiValued { separator: '|', weight_separator: Some(':') }
        );
        assert!(profile.columns[2].warnings[0].contains("in 1 fields"), "{:?}", profile.columns[2].warnings);
    }
}

#[test]
fn columns_that_determine_a_ruled_label_or_a_rating_are_leaks() {
    let rows = |r: u64| {
        let rating = 1 + other(r) % 5;
        Some(vec![
            format!("u{}", scramble(r) % 40),
            rating.to_string(),
            u64::from(rating >= 4).to_string(),
            format!("r{rating}"),
        ])
    };
    let columns = ["user", "rating", "good", "copy"].map(str::to_owned).to_vec();
    for (rule, what) in [
        (None, "whether the label is above 3"),
        (Some("rating >= 4"), "the label"),
        (Some("rating == 2"), "the label"),
    ] {
        let mut source =
            Rows { columns: columns.clone(), rows: (0..2000).map(rows).collect::<Vec<_>>().into_iter() };
        let label = rule.is_none().then(|| "rating".to_owned());
        let options = ProfileOptions { label, rule: rule.map(str::to_owned), ..ProfileOptions::default() };
        let profile = Profile::of(&mut source, &options).unwrap();
        let warned: Vec<bool> = profile
            .columns
            .iter()
            .map(|c| c.warnings.iter().any(|w| w.contains("leak") && w.contains(what)))
            .collect();
        assert_eq!(warned, [false, false, rule != Some("rating == 2"), true], "{rule:?}");
        assert_eq!(profile.schema().unwrap().label.rule.as_deref(), rule);
    }
}

#[test]
fn huge_integers_are_no_numbers() {
    for name in ["x", "price", "visitor"] {
        let profile = with_column(name, 3000, |r| (9_007_199_254_740_993 + other(r) % 200).to_string());
        assert_eq!(profile.columns[1].kind, Kind::Categorical, "{name}");
    }
    let moments = with_column("event_time", 3000, |r| (1_700_000_000_000_000_000 + r * 61).to_string());
    assert_eq!(moments.columns[1].kind, Kind::Timestamp { format: TimeFormat::Nanoseconds });
}
