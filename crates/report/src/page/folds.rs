//! What folds have measured.
use super::table::{Cells, HtmlTable};
use super::{note, paragraph};
use crate::Report;
use crate::folds::{ABOUT, cells, heading, sentences, titles};
use crate::markup::{Markup, short, text};
use dlrm_engine::folds::FoldedCandidate;

/// A table of all candidates, and what may be said of them.
pub(super) fn folds(report: &Report) -> Markup {
    let Some(folded) = &report.folds else { return Markup::default() };
    let titles = titles(folded);
    let mut columns = vec![("Candidate", Cells::Text)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Cells::Number)));
    let row = |c: &FoldedCandidate| {
        std::iter::once(short(&c.name)).chain(cells(c).iter().map(|cell| text(cell))).collect()
    };
    let rows = folded.candidates.iter().map(row).collect();
    let caption = heading(folded);
    let mut all: Markup = sentences(folded).iter().map(|sentence| paragraph(sentence)).collect();
    all.push(&HtmlTable { caption: &caption, columns: &columns, rows }.markup());
    all.push(&note(ABOUT));
    all
}
