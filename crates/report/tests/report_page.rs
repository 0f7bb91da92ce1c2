//! The report as a reader meets it. The pages are left in cargo's directory for test output, to be
//! looked at: `target/tmp/report-*.html`.
mod sample;

use dlrm_data::schema::Task;
use dlrm_metrics::{Difference, Interval, Metric};
use dlrm_report::verdict::Reading;
use dlrm_report::{Best, ColumnCard, Comparison, Error, Report, compare_page, terminal};
use std::path::Path;

fn leave(name: &str, html: &str) {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), html).unwrap();
}

/// Start and end tags match, and every `<` opens one.
#[track_caller]
fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in html.split('<').skip(1) {
        let inside = piece.split_once('>').unwrap_or_else(|| panic!("unclosed: {piece}")).0;
        let name = inside.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "closing tag out of order near {piece}"),
            None if name == "!doctype" || name == "meta" => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn assert_self_contained(html: &str) {
    for forbidden in ["<script", "http://", "https://", "src=", "@import", "url(", "<link", "NaN", "inf "] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}

#[test]
fn clicks() {
    let report = sample::report(Task::Binary, 0.5);
    let html = report.to_html();
    leave("report-binary.html", &html);
    assert_well_formed(&html);
    assert_self_contained(&html);
    let verdict = report.verdict();
    assert_eq!(verdict.tone, Reading::Better);
    assert_eq!(
        verdict.headline,
        "DLRM is better than logistic regression in log loss and AUC on the test rows."
    );
    assert!(
        verdict.sentences.iter().any(|s| s.contains("of the gap in log loss between logistic regression"))
    );
    for anchor in ["metrics", "predictions", "training", "slices", "data", "embeddings", "run"] {
        assert!(html.contains(&format!("<section id=\"{anchor}\">")), "{anchor}");
    }
    assert_eq!(html.matches("<figure>").count(), 5);
    assert_eq!(html.matches("role=\"img\" aria-label").count(), 5);
    assert!(html.contains("known optimum"));
}

#[test]
fn ratings() {
    let report = sample::report(Task::Rating, 0.5);
    let html = report.to_html();
    leave("report-rating.html", &html);
    assert_well_formed(&html);
    assert_self_contained(&html);
    assert_eq!(
        report.verdict().headline,
        "DLRM is better than logistic regression in RMSE and MAE on the test rows."
    );
    assert!(
        html.contains("Predicted and actual, test") && !html.contains("ROC curve") && !html.contains("AUC ↑")
    );
}

#[test]
fn comparison() {
    let compared = sample::compared::compared();
    let html = compare_page(&compared, "3 models on clicks.csv", "dlrm compare clicks.csv --models <all>");
    leave("compare.html", &html);
    assert_well_formed(&html);
    assert_self_contained(&html);
    for anchor in ["accuracy", "cost", "figures", "run"] {
        assert!(html.contains(&format!("<section id=\"{anchor}\">")), "{anchor}");
    }
    // Two tables, each of a width that a page can hold.
    let tables: Vec<&str> = html.split("<table>").skip(1).collect();
    assert_eq!(tables.iter().map(|t| t.matches("scope=\"col\"").count()).collect::<Vec<_>>(), [6, 10]);
    assert!(tables[0].contains("Against the best") && !tables[0].contains("Memory"));
    assert!(tables[1].contains("Multiply-adds per row") && tables[1].contains("Memory"));
    // Both figures stand side by side; the axis of cost is labelled with the numbers themselves.
    assert_eq!(html.matches("class=\"figures\"").count(), 1);
    assert_eq!(html.matches("<figure>").count(), 2);
    for tick in ["100", "1,000", "10,000", "100,000", "1 M"] {
        assert!(html.contains(&format!("text-anchor=\"middle\">{tick}</text>")), "{tick}");
    }
    assert!(!html.contains("powers of ten"));
}

#[test]
fn text_for_terminals() {
    let text = terminal::comparison_text(&sample::compared::compared(), Path::new("out/compare.html"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("81,500 training, 9,800 validation, 8,700 test rows; 2 seeds; "), "{text}");
    assert!(lines[3].starts_with("model                 AUC"), "{text}");
    assert!(lines[4].starts_with("dlrm    0.80250 ± 0.00071") && lines[4].contains(" best "), "{text}");
    assert!(
        text.contains("Worse than it on the test rows: lr.") && text.ends_with("report: out/compare.html\n")
    );

    let report = sample::report(Task::Binary, 0.5);
    let text = terminal::run_text(&report, Path::new("out"));
    assert!(text.starts_with("\nDLRM is better than logistic regression"), "{text}");
    assert!(
        text.contains("\ntest                 log loss      AUC  accuracy")
            && text.contains("\nbest possible ")
    );
    assert!(
        text.contains("note: 3 malformed rows were skipped; they are listed in out/bad_rows.txt\n"),
        "{text}"
    );
    let json = terminal::run_json(&report, Path::new("out"));
    assert_eq!(json["candidates"][0]["splits"][1]["split"], "test");
    assert_eq!((&json["report"], &json["skipped_rows"]), (&"out/report.html".into(), &3.into()));
}

#[test]
fn keys_of_stored_reports_stay() {
    let stored: serde_json::Value =
        serde_json::from_str(&sample::report(Task::Binary, 0.5).to_json()).unwrap();
    assert_eq!(stored["verdict_split"], "test");
    assert_eq!(stored["data"]["splits"][0]["name"], "train");
    assert_eq!(stored["model"]["splits"][0]["split"], "validation");
    assert_eq!(stored["comparisons"][0]["split"], "test");
    assert_eq!(stored["training"]["curves"][0]["split"], "train");
}

#[test]
fn json_gives_the_same_page() {
    let mut report = sample::report(Task::Binary, 0.5);
    report.training.curves[0].points[3].value = f64::NAN; // a diverged step is stored as null
    let stored = report.to_json();
    let back = Report::from_json(&stored).unwrap();
    assert_eq!(back.to_html(), report.to_html());
    assert_eq!(back.to_json(), stored);
}

#[test]
fn other_versions_and_other_files_are_refused() {
    let newer = Report::from_json("{\"version\": 99, \"something\": 1}").unwrap_err();
    assert_eq!(newer.to_string(), "report: expected version 1 or older, found 99");
    assert!(matches!(Report::from_json("{}"), Err(Error::Json(_))));
    assert!(matches!(Report::from_json("[1, 2"), Err(Error::Json(_))));
}

#[test]
fn nothing_is_claimed_that_the_interval_does_not_show() {
    let mut report = sample::report(Task::Binary, 0.5);
    for comparison in &mut report.comparisons {
        let interval = &mut comparison.difference.interval;
        (interval.low, interval.high) = (-0.01, 0.01);
    }
    let verdict = report.verdict();
    assert_eq!(verdict.tone, Reading::Undecided);
    assert_eq!(
        verdict.headline,
        "The test rows show no difference between DLRM and logistic regression in log loss or AUC."
    );
    assert!(
        verdict.sentences[..4].iter().all(|s| s.ends_with(": no difference shown.")),
        "{:?}",
        verdict.sentences
    );

    // better in one, undecided in the other; AUC and log loss point in opposite directions
    let log_loss = &mut report.comparisons[0].difference.interval;
    (log_loss.estimate, log_loss.low, log_loss.high) = (-0.02, -0.03, -0.01);
    assert_eq!(
        report.verdict().headline,
        "DLRM is better than logistic regression in log loss on the test rows; \
         in AUC they show no difference."
    );
    let auc = &mut report.comparisons[1].difference.interval;
    (auc.estimate, auc.low, auc.high) = (-0.02, -0.03, -0.01);
    assert_eq!(
        report.verdict().headline,
        "DLRM is better than logistic regression in log loss \
         but worse than logistic regression in AUC on the test rows."
    );
    assert_eq!(report.verdict().tone, Reading::Undecided);
}

#[test]
fn a_bad_model_is_called_bad() {
    let report = sample::report(Task::Binary, 9.0);
    let verdict = report.verdict();
    assert_eq!(verdict.tone, Reading::Worse);
    assert!(verdict.headline.starts_with("DLRM is worse than "), "{}", verdict.headline);
    leave("report-worse.html", &report.to_html());
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&";
    let mut report = sample::report(Task::Binary, 0.5);
    report.title = hostile.into();
    report.data.label = hostile.into();
    report.data.split_by = hostile.into();
    report.data.columns[0].name = hostile.into();
    report.data.columns[2].table = Some(hostile.into());
    report.data.inputs[0].name = hostile.into();
    report.slices[0].value = hostile.into();
    report.tables[0].name = hostile.into();
    report.notes.push(hostile.into());
    report.model.name = hostile.into();
    report.baselines[0].name = hostile.into();
    report.comparisons.iter_mut().for_each(|c| c.baseline = hostile.into());
    report.training.curves[0].part = hostile.into();
    report.training.ended = hostile.into();
    report.run.command = hostile.into();
    report.run.config_toml = format!("# {hostile}");
    report.run.facts[0].value = hostile.into();
    report.run.stages[0].name = hostile.into();
    let html = report.to_html();
    assert_well_formed(&html);
    assert!(!html.contains("<script") && !html.contains("<img"));
    assert!(html.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn a_huge_report_is_still_a_small_page() {
    let mut report = sample::report(Task::Binary, 0.5);
    let column = ColumnCard { name: "&".repeat(500), ..report.data.columns[2].clone() };
    report.data.columns = vec![column; 5_000];
    report.tables = report.tables.iter().cloned().cycle().take(5_000).collect();
    let points = report.training.curves[0].points.clone();
    report.training.curves[0].points = points.iter().copied().cycle().take(500_000).collect();
    report.run.config_toml = "a = \"<>\"\n".repeat(100_000);
    let html = report.to_html();
    assert_well_formed(&html);
    assert_self_contained(&html);
    assert!(html.contains("4,700 more rows are in report.json."));
}

#[test]
fn a_report_with_next_to_nothing_in_it_is_a_page() {
    let mut report = sample::report(Task::Binary, 0.5);
    report.baselines.clear();
    report.comparisons.clear();
    report.optimum = None;
    report.notes.clear();
    report.slices.clear();
    report.tables.clear();
    report.training.curves.clear();
    report.training.best = Some(Best { value: f64::NAN, ..report.training.best.unwrap() });
    report.model.pictures = None;
    let html = report.to_html();
    assert_well_formed(&html);
    assert!(html.contains("was not compared with a baseline") && !html.contains("NaN"));
    report.model.parts.clear();
    report.data = Default::default();
    report.run = Default::default();
    assert_well_formed(&report.to_html());
}

/// Where the metric grows, the strongest baseline is the one with the largest value, wherever it is listed.
#[test]
fn the_strongest_baseline_is_named_by_the_sense_of_the_metric() {
    let mut report = sample::report(Task::Binary, 0.5);
    let part = report.verdict_part.clone();
    for (candidate, value) in
        std::iter::once(&mut report.model).chain(&mut report.baselines).zip([0.6, 0.5, 0.05])
    {
        for found in candidate.parts.iter_mut().filter(|found| found.part == part) {
            (found.metrics.ndcg_at_10, found.metrics.hit_rate_at_10) = (Some(value), Some(value));
        }
    }
    let ranked = report.baselines.iter().flat_map(|baseline| {
        [Metric::NdcgAt10, Metric::HitRateAt10].map(|metric| Comparison {
            baseline: baseline.name.clone(),
            part: part.clone(),
            metric,
            difference: Difference {
                interval: Interval { estimate: 0.1, low: 0.05, high: 0.15 },
                p_value: None,
            },
        })
    });
    report.comparisons = ranked.collect();
    let headline = "DLRM is better than logistic regression in NDCG@10 and HR@10 on the test rows.";
    for _ in 0..2 {
        report.baselines.reverse();
        report.comparisons.reverse();
        assert_eq!(report.verdict().headline, headline);
        assert!(report.verdict().sentences[0].contains("of logistic regression"));
        assert!(report.to_html().contains(headline));
        assert!(terminal::run_text(&report, Path::new("out")).contains(headline));
        assert_eq!(terminal::run_json(&report, Path::new("out"))["verdict"], headline);
    }
}

/// An interval can be as narrow as a difference that nobody will ever notice.
#[test]
fn a_difference_beyond_all_digits_is_none() {
    let reading = |metric, [low, estimate, high]: [f64; 3]| {
        let interval = Interval { estimate, low, high };
        let difference = Difference { interval, p_value: None };
        Comparison { baseline: "lr".into(), metric, part: "test".into(), difference }.reading()
    };
    assert_eq!(reading(Metric::LogLoss, [-4e-6, -3e-6, -2e-6]), Reading::Undecided);
    assert_eq!(reading(Metric::LogLoss, [-4e-4, -3e-4, -2e-4]), Reading::Better);
    assert_eq!(reading(Metric::Auc, [-4e-4, -3e-4, -2e-4]), Reading::Worse);
    assert_eq!(reading(Metric::Rmse, [-4e-6, -3e-6, -2e-6]), Reading::Better);
}
