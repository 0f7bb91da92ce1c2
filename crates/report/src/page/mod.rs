//! The HTML page, section by section. One file, no script, no request.
mod calibration;
mod choice;
mod compare;
mod data;
mod folds;
mod importance;
mod outcome;
mod pictures;
mod run;
mod table;
mod training;

use super::Report;
use super::markup::{Markup, element, short, tag, tagged, text};

/// A section: its anchor, its heading, and what stands in it.
struct Section {
    anchor: &'static str,
    heading: &'static str,
    body: Markup,
}

pub use compare::page as compare_page;
pub use folds::page as folds_page;

impl Report {
    /// The report as one self-contained HTML page.
    pub fn to_html(&self) -> String {
        page(self)
    }
}

/// The whole page.
fn page(report: &Report) -> String {
    let mut sections = vec![
        Section { anchor: "metrics", heading: "Metrics", body: outcome::metrics(report) },
        Section { anchor: "choice", heading: "Choice of the model", body: choice::choice(report) },
        Section { anchor: "folds", heading: "Over folds", body: folds::folds(report) },
        Section { anchor: "predictions", heading: "Predictions", body: pictures::pictures(report) },
        Section { anchor: "calibration", heading: "Calibration", body: calibration::calibration(report) },
        Section { anchor: "training", heading: "Training", body: training::curves(report) },
        Section { anchor: "columns", heading: "Which columns matter", body: importance::importance(report) },
        Section { anchor: "slices", heading: "Where the model is weakest", body: outcome::slices(report) },
        Section { anchor: "data", heading: "Data", body: data::data(report) },
        Section { anchor: "embeddings", heading: "Embedding tables", body: training::tables(report) },
        Section { anchor: "run", heading: "Run", body: run::run(report) },
    ];
    sections.retain(|section| !section.body.is_empty());
    let main = [header(report, &sections), outcome::verdict(report)].into_iter();
    let body = tag("main", &main.chain(sections.iter().map(section)).collect());
    document(&report.title, &body)
}

/// A page whose first section says in sentences what the others show.
fn with_verdict(title: &str, subtitle: &str, sentences: &[String], sections: &[Section]) -> String {
    let header = tag("header", &[tag("h1", &short(title)), paragraph(subtitle)].into_iter().collect());
    let verdict: Markup = sentences.iter().map(|sentence| paragraph(sentence)).collect();
    let verdict = element(
        "section",
        &[("class", "verdict")],
        &[tagged("h2", "Verdict"), verdict].into_iter().collect(),
    );
    let body = tag("main", &[header, verdict].into_iter().chain(sections.iter().map(section)).collect());
    document(title, &body)
}

/// What was typed.
fn command_of(command: &str) -> Markup {
    element("pre", &[("class", "command")], &text(command))
}

/// A page of its own.
fn document(title: &str, body: &Markup) -> String {
    let html = [head(title), tag("body", body)].into_iter().collect();
    format!("<!doctype html>\n{}\n", element("html", &[("lang", "en")], &html).into_string())
}

fn head(title: &str) -> Markup {
    let mut head = Markup::fixed(concat!(
        "<meta charset=\"utf-8\">",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
        "<meta name=\"color-scheme\" content=\"light dark\">",
        // the page needs nothing from anywhere, and the browser holds it to that
        "<meta http-equiv=\"Content-Security-Policy\" ",
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    ));
    head.push(&tagged("title", title));
    head.push(&tag("style", &Markup::fixed(include_str!("style.css"))));
    tag("head", &head)
}

fn header(report: &Report, sections: &[Section]) -> Markup {
    let link =
        |s: &Section| tag("li", &element("a", &[("href", &format!("#{}", s.anchor))], &text(s.heading)));
    let links = tag("ul", &sections.iter().map(link).collect());
    let nav = element("nav", &[("aria-label", "Sections")], &links);
    let title = tag("h1", &short(&report.title));
    tag("header", &[title, outcome::subtitle(report), nav].into_iter().collect())
}

fn section(section: &Section) -> Markup {
    let inner = [tagged("h2", section.heading), section.body.clone()].into_iter().collect();
    element("section", &[("id", section.anchor)], &inner)
}

/// A paragraph of text.
fn paragraph(content: &str) -> Markup {
    tagged("p", content)
}

/// A paragraph of small print.
fn note(content: &str) -> Markup {
    element("p", &[("class", "note")], &text(content))
}
