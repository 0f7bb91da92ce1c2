//! What calibration did to the probabilities.
use super::paragraph;
use super::table::{Cells, HtmlTable};
use crate::Report;
use crate::format::{count, fixed};
use crate::markup::{Markup, short, text};
use dlrm_engine::calibration::{CalibrationRecord, PartQuality};

/// The map that is applied, or why none is; log loss and calibration error before and after.
pub(super) fn calibration(report: &Report) -> Markup {
    let Some(record) = &report.calibrated else { return Markup::default() };
    let columns = [
        ("Part", Cells::Text),
        ("Log loss, raw", Cells::Number),
        ("calibrated", Cells::Number),
        ("Calibration error, raw", Cells::Number),
        ("calibrated", Cells::Number),
    ];
    let row = |PartQuality { part, before, after }: &PartQuality| {
        let numbers = [before.log_loss, after.log_loss, before.calibration_error, after.calibration_error];
        std::iter::once(short(part)).chain(numbers.iter().map(|&n| text(&fixed(n, 5)))).collect()
    };
    let caption = "Before and after; validation rows are calibrated by what was fitted on other ones";
    let rows = record.parts.iter().map(row).collect();
    let table = HtmlTable { caption, columns: &columns, rows };
    let mut all = paragraph(&about(record));
    if record.kept.is_some() {
        all.push(&table.markup());
        all.push(&paragraph(
            "All figures and pictures of the model on this page are of the calibrated scores; the baselines \
             are not calibrated. The map was fitted to the validation rows, so the model's figures of these \
             rows are optimistic; those of the test rows are not.",
        ));
    }
    all
}

fn about(record: &CalibrationRecord) -> String {
    let rows = count(record.rows);
    let tried: Vec<&str> = record.tried.iter().map(|(method, _)| method.name()).collect();
    match &record.kept {
        Some(map) => format!(
            "Every score passes through a map that was fitted on {rows} validation rows ({}): over {} folds \
             it improves their log loss by more than chance explains. Ranking does not change.",
            map.describe(),
            record.folds
        ),
        None => format!(
            "Scores are those of training: of the maps that were tried on {rows} validation rows ({}), none \
             improves their log loss over {} folds by more than chance explains.",
            tried.join(", "),
            record.folds
        ),
    }
}
