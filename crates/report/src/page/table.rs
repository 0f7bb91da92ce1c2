//! Tables with headers, cut where a page could not hold them.
use crate::format::count;
use crate::markup::{Markup, element, tag, tagged, text};

/// Most rows shown; `report.json` holds all.
const MOST_ROWS: usize = 300;

/// How the cells of a column are set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    Text,
    Number,
}

/// A table; the first cell of a row is its header.
pub(super) struct HtmlTable<'a> {
    pub(super) caption: &'a str,
    pub(super) columns: &'a [(&'a str, Cells)],
    pub(super) rows: Vec<Vec<Markup>>,
}

impl HtmlTable<'_> {
    /// The table, scrolling sideways by itself where the screen is narrow.
    pub(super) fn markup(&self) -> Markup {
        let heads = self.columns.iter().map(|&(name, cells)| cell("th", "col", cells, &text(name)));
        let head = tag("thead", &tag("tr", &heads.collect()));
        let body = tag("tbody", &self.rows.iter().take(MOST_ROWS).map(|row| self.row(row)).collect());
        let table = tag("table", &[tagged("caption", self.caption), head, body].into_iter().collect());
        let around =
            [("class", "scroll"), ("role", "region"), ("aria-label", self.caption), ("tabindex", "0")];
        let mut all = element("div", &around, &table);
        if let Some(more) = self.rows.len().checked_sub(MOST_ROWS).filter(|&more| more > 0) {
            let note = format!("{} more rows are in report.json.", count(more as u64));
            all.push(&element("p", &[("class", "note")], &text(&note)));
        }
        all
    }

    fn row(&self, cells: &[Markup]) -> Markup {
        let set = cells.iter().zip(self.columns).enumerate().map(|(k, (inner, &(_, cells)))| match k {
            0 => cell("th", "row", cells, inner),
            _ => cell("td", "", cells, inner),
        });
        tag("tr", &set.collect())
    }
}

fn cell(tag: &'static str, scope: &str, cells: Cells, inner: &Markup) -> Markup {
    let class = if cells == Cells::Number { "n" } else { "" };
    let attributes: Vec<_> =
        [("scope", scope), ("class", class)].into_iter().filter(|(_, v)| !v.is_empty()).collect();
    element(tag, &attributes, inner)
}
