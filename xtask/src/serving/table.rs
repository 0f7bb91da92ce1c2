//! What was measured, as Markdown.
use super::own::Target;
use super::sides::Who;
use super::turns::{Asked, Outcome, Windows};
use crate::run::grouped;
use std::fs;
use std::path::Path;

/// The aim beside the peers.
const TIMES: f64 = 3.0;
const BEGIN: &str = "<!-- serving-peers: written by `cargo xtask serving-peers --into` -->";
const END: &str = "<!-- /serving-peers -->";

/// A row for each server that was asked, and below who was left out.
pub(super) fn beside(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| asked | p99 at most | server | in | connections | requests/s | min … max | p50, ms | p99, ms | \
         dlrm / peer |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let bound = outcome.case.bound_ms;
        let ours = outcome.asked.iter().filter(|asked| asked.who == Who::Dlrm);
        let ours = ours.filter_map(|asked| asked.best(bound)).map(rate).fold(f64::NAN, f64::max);
        for asked in &outcome.asked {
            let name = match asked.how {
                "" => asked.who.name().to_owned(),
                how => format!("{}, {how}", asked.who.name()),
            };
            let start =
                format!("| {} | {bound:.0} ms | {name} | {} |", outcome.case.title, asked.tool.name());
            text += &match asked.best(bound) {
                Some(best) => format!("{start} {} |\n", figures(best, ours)),
                None => format!("{start} – | never within it | | {} | – |\n", nearest(asked)),
            };
        }
    }
    let left_out = outcomes.iter().flat_map(|outcome| {
        outcome.left_out.iter().map(|why| format!("\nLeft out of {}: {why}\n", outcome.case.title))
    });
    text + &left_out.collect::<String>()
}

fn rate(windows: &Windows) -> f64 {
    windows.median(|sample| sample.rate)
}

fn figures(best: &Windows, ours: f64) -> String {
    let rates = || best.samples.iter().map(|sample| sample.rate);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    format!(
        "{} | {} | {} … {} | {:.2} | {:.2} | {:.2}",
        best.connections,
        grouped(rate(best)),
        grouped(least),
        grouped(most),
        best.median(|sample| sample.p50_ms),
        best.median(|sample| sample.p99_ms),
        ours / rate(best)
    )
}

/// The times of the fewest connections.
fn nearest(asked: &Asked) -> String {
    asked.windows.first().map_or_else(
        || "– | –".into(),
        |w| format!("{:.2} | {:.2}", w.median(|s| s.p50_ms), w.median(|s| s.p99_ms)),
    )
}

/// Our targets and what was reached; those beside the peers come from their table.
pub(super) fn targets(own: &[Target], outcomes: &[Outcome]) -> String {
    let mut text = String::from("| target | aim | reached | |\n|---|---|---|---|\n");
    let beside = outcomes.iter().flat_map(times_of);
    let rows = own.iter().map(|t| (t.what.clone(), t.aim, t.reached.clone(), t.is_met)).chain(beside);
    for (what, aim, reached, is_met) in rows {
        let verdict = match is_met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "–",
        };
        text += &format!("| {what} | {aim} | {reached} | {verdict} |\n");
    }
    text
}

type Row = (String, &'static str, String, Option<bool>);

/// How many times a peer's rate ours is, at the same bound of p99 and asked by the same program.
fn times_of(outcome: &Outcome) -> Vec<Row> {
    let bound = outcome.case.bound_ms;
    let best = |asked: &&Asked| asked.best(bound).map(rate);
    let ours = outcome.asked.iter().filter(|asked| asked.who == Who::Dlrm);
    let Some(ours) = ours.filter_map(|asked| best(&asked)).max_by(f64::total_cmp) else { return Vec::new() };
    let row = |asked: &Asked| {
        let what = format!("{} beside {}", outcome.case.title, asked.who.name());
        let (reached, is_met) = match best(&asked) {
            Some(theirs) => {
                (format!("{:.1} times its requests per second", ours / theirs), ours >= TIMES * theirs)
            }
            None => (format!("it is never within {bound:.0} ms"), true),
        };
        (what, "at least 3 times", reached, Some(is_met))
    };
    outcome.asked.iter().filter(|asked| asked.who != Who::Dlrm).map(row).collect()
}

/// All rates at all numbers of connections, which the tables leave out.
pub(super) fn all(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        for asked in &outcome.asked {
            text += &format!("{}, {}, {}\n", outcome.case.title, asked.who.name(), asked.tool.name());
            for windows in &asked.windows {
                text += &format!(
                    "  {:>3} connections: {:>8} requests/s, p50 {:.2} ms, p99 {:.2} ms, asking took {:.0} % \
                     of the machine\n",
                    windows.connections,
                    grouped(rate(windows)),
                    windows.median(|s| s.p50_ms),
                    windows.median(|s| s.p99_ms),
                    100.0 * windows.median(|s| s.share)
                );
            }
        }
    }
    text
}

/// Puts the text between the marks in a file.
pub(super) fn put(path: &Path, text: &str) -> Result<(), String> {
    let failed = |e| format!("{}: {e}", path.display());
    let page = fs::read_to_string(path).map_err(failed)?;
    let page = between(&page, text)
        .ok_or_else(|| format!("{}: expected the marks {BEGIN} and {END}, found none", path.display()))?;
    fs::write(path, page).map_err(failed)
}

fn between(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::super::load::{Sample, Tool};
    use super::*;

    fn asked(who: Who, how: &'static str, samples: &[(f64, f64)]) -> Asked {
        let sample = |&(rate, p99_ms)| Sample { rate, p50_ms: 1.0, p99_ms, failed: 0, share: 0.1 };
        let samples = samples.iter().map(sample).collect();
        Asked { who, tool: Tool::Wrk("/"), how, windows: vec![Windows { connections: 4, samples }] }
    }

    #[test]
    fn tables() {
        let outcome = Outcome {
            case: &CASES[0],
            asked: vec![
                asked(Who::Dlrm, "", &[(5000.0, 2.0), (7000.0, 3.0)]),
                asked(Who::FastApi, "2 workers", &[(1500.0, 9.0)]),
                asked(Who::MlServer, "", &[(3000.0, 40.0)]),
            ],
            left_out: vec!["X: it does not run".into()],
        };
        let outcomes = [outcome];
        let text = beside(&outcomes);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| one row, wrk | 10 ms | dlrm | JSON | 4 | 6,000 | 5,000 … 7,000 | 1.00 | 2.50 | 1.00 |",
                "| one row, wrk | 10 ms | FastAPI + ONNX Runtime, 2 workers | JSON | 4 | 1,500 | \
                 1,500 … 1,500 | 1.00 | 9.00 | 4.00 |",
                "| one row, wrk | 10 ms | MLServer + ONNX Runtime | JSON | – | never within it | | 1.00 | \
                 40.00 | – |",
                "",
                "Left out of one row, wrk: X: it does not run"
            ]
        );
        let own =
            Target { what: "p50".into(), aim: "under 5 ms", reached: "6 ms".into(), is_met: Some(false) };
        let text = targets(&[own], &outcomes);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| p50 | under 5 ms | 6 ms | **missed** |",
                "| one row, wrk beside FastAPI + ONNX Runtime | at least 3 times | 4.0 times its \
                 requests per second | met |",
                "| one row, wrk beside MLServer + ONNX Runtime | at least 3 times | it is never within \
                 10 ms | met |",
            ]
        );
    }

    #[test]
    fn marks() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(between(&page, "new\n"), Some(format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n")));
        assert_eq!(between("a\n", "new"), None);
    }
}
