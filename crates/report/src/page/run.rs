//! How to do it again: command, configuration, versions, times.
use super::note;
use super::table::{Cells, HtmlTable};
use crate::Report;
use crate::format::{NONE, count, duration, plain};
use crate::markup::{Markup, element, short, tag, tagged, text};
use dlrm_engine::run::Stage;

/// Longest configuration shown, in characters; the page has to stay small.
const LONGEST_CONFIG: usize = 60_000;

/// Everything needed to repeat the run.
pub(super) fn run(report: &Report) -> Markup {
    let run = &report.run;
    let mut all = Markup::default();
    if !run.command.is_empty() {
        all.push(&tagged("h3", "Command"));
        all.push(&element("pre", &[("class", "command")], &cut(&run.command)));
    }
    all.push(&facts(report));
    if !run.stages.is_empty() {
        let columns = [
            ("Stage", Cells::Text),
            ("Time", Cells::Number),
            ("Rows", Cells::Number),
            ("Rows per second", Cells::Number),
        ];
        let rows = run.stages.iter().map(stage).collect();
        all.push(&HtmlTable { caption: "Time", columns: &columns, rows }.markup());
    }
    if !run.config_toml.is_empty() {
        all.push(&tagged("h3", "Resolved configuration"));
        all.push(&element("pre", &[("tabindex", "0")], &tag("code", &cut(&run.config_toml))));
        if run.config_toml.chars().nth(LONGEST_CONFIG).is_some() {
            all.push(&note("The rest of the configuration is in report.json."));
        }
    }
    all
}

fn facts(report: &Report) -> Markup {
    let run = &report.run;
    let fixed = [("Seed", run.seed.to_string()), ("Threads", count(run.threads))];
    let own = fixed.iter().map(|(name, value)| vec![text(name), text(value)]);
    let given = run.facts.iter().map(|fact| vec![short(&fact.name), short(&fact.value)]);
    let columns = [("Fact", Cells::Text), ("Value", Cells::Text)];
    HtmlTable { caption: "Environment", columns: &columns, rows: own.chain(given).collect() }.markup()
}

fn stage(stage: &Stage) -> Vec<Markup> {
    let rate = |rows: u64| match rows as f64 / stage.seconds {
        rate if rate.is_finite() && rate >= 1.0 => count(rate.round() as u64),
        rate if rate.is_finite() => plain(rate),
        _ => NONE.into(),
    };
    let rows = stage.rows.map_or(NONE.into(), count);
    vec![
        short(&stage.name),
        text(&duration(stage.seconds)),
        text(&rows),
        text(&stage.rows.map_or(NONE.into(), rate)),
    ]
}

fn cut(content: &str) -> Markup {
    let end = content.char_indices().nth(LONGEST_CONFIG).map_or(content.len(), |(end, _)| end);
    text(&content[..end])
}
