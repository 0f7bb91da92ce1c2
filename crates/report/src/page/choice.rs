//! The candidates that the model was chosen from.
use super::table::{Cells, HtmlTable};
use super::{note, paragraph};
use crate::Report;
use crate::choice::{ABOUT, cells, heading, sentences, titles};
use crate::markup::{Markup, short, text};
use dlrm_engine::choice::ChosenCandidate;

/// A table of all candidates, and what may be said of them.
pub(super) fn choice(report: &Report) -> Markup {
    let Some(choice) = &report.choice else { return Markup::default() };
    let titles = titles(choice);
    let mut columns = vec![("Candidate", Cells::Text)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Cells::Number)));
    let row = |c: &ChosenCandidate| {
        std::iter::once(short(&c.name)).chain(cells(choice, c).iter().map(|cell| text(cell))).collect()
    };
    let rows = choice.candidates.iter().map(row).collect();
    let caption = heading(choice);
    let mut all: Markup = sentences(choice).iter().map(|sentence| paragraph(sentence)).collect();
    all.push(&HtmlTable { caption: &caption, columns: &columns, rows }.markup());
    all.push(&note(ABOUT));
    all
}
