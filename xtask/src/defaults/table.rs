//! The Markdown tables of the study.
use super::options::{Half, Variant};
use super::runs::Done;
use super::study::{Scores, Study};
use super::summary::{FAMILY_PAR, PAR, Row, mean, runs_of};
use crate::run::grouped;

/// How many of the farthest below LightGBM are named.
const WORST: usize = 3;

/// Every variant: a table of each half, and what they come to with the targets beside.
pub(super) fn markdown(study: &Study, variants: &[Variant], done: &[Done]) -> String {
    let mut text = String::new();
    let (family, own): (Vec<&Variant>, Vec<&Variant>) = variants.iter().partition(|v| v.family);
    for variant in &own {
        if own.len() > 1 {
            text += &format!("### {}\n\n", variant.name);
        }
        let mut rows: Vec<Row<'_>> =
            study.tables.iter().filter_map(|table| Row::of(table, &variant.name, done)).collect();
        for row in &mut rows {
            row.best_of_family = best(row, &family, done);
        }
        let halves: Vec<(Half, Vec<&Row<'_>>)> = Half::ALL
            .into_iter()
            .map(|half| (half, rows.iter().filter(|row| row.table.half == half).collect()))
            .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
            .collect();
        for (half, rows) in &halves {
            text += &of_half(*half, rows);
        }
        if !halves.is_empty() {
            text += &summary(&halves);
        }
        text += &failures(&variant.name, done);
    }
    for variant in &family {
        text += &failures(&variant.name, done);
    }
    text
}

fn of_half(half: Half, rows: &[&Row<'_>]) -> String {
    let mut text = format!(
        "The {} half, AUC / log loss:\n\n\
         | table | rows | dlrm | its own LR | LR, C = 1 | LR, C by CV | LightGBM | AUC − LightGBM | \
         AUC − LR | log loss − LR | seconds |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        half.name()
    );
    for row in rows {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {:+.4} | {:+.4} | {:+.4} | {:.1} |\n",
            row.table.name,
            grouped(row.table.rows),
            pair(row.model),
            pair(row.baseline),
            pair(row.lr),
            pair(row.lr_cv),
            pair(row.lightgbm),
            row.above_lightgbm(),
            row.above_lr(),
            row.loss_above_lr(),
            row.seconds
        );
    }
    text + "\n"
}

fn pair(scores: Scores) -> String {
    if scores.auc.is_nan() { "–".into() } else { format!("{:.4} / {:.4}", scores.auc, scores.log_loss) }
}

/// A line of the summary: what, its value in a half, and the target.
type Line = (&'static str, fn(&[&Row<'_>]) -> String, &'static str);

const LINES: [Line; 9] = [
    ("tables", |rows| rows.len().to_string(), ""),
    (
        "mean AUC − LightGBM",
        |rows| format!("{:+.4}", mean(rows.iter().map(|r| r.above_lightgbm()))),
        "at least +0.0050",
    ),
    ("within .005 of LightGBM or above", |rows| share(rows, |r| r.above_lightgbm() >= -PAR), "four of five"),
    ("farthest below LightGBM", |rows| worst(rows), ""),
    ("mean AUC − LR", |rows| format!("{:+.4}", mean(rows.iter().map(|r| r.above_lr()))), ""),
    ("mean log loss − LR", |rows| format!("{:+.4}", mean(rows.iter().map(|r| r.loss_above_lr()))), ""),
    ("worse than LR beyond the interval", |rows| named(rows, |r| r.worse_than_lr()), "none"),
    (
        "verdicts that LR contradicts",
        |rows| rows.iter().map(|r| r.contradicted.len()).sum::<usize>().to_string(),
        "0",
    ),
    (
        "led by ids, more than .002 below the family's best",
        |rows| match rows.iter().any(|r| r.best_of_family.is_some()) {
            true => named(rows, |r| r.above_family().is_some_and(|above| above < -FAMILY_PAR)),
            false => "–".into(),
        },
        "none",
    ),
];

fn summary(halves: &[(Half, Vec<&Row<'_>>)]) -> String {
    let mut text = "| |".to_owned();
    halves.iter().for_each(|(half, _)| text += &format!(" {} half |", half.name()));
    text += &format!(" target, reporting half |\n|---|{}---|\n", "---|".repeat(halves.len()));
    for (what, value, target) in LINES {
        text += &format!("| {what} |");
        halves.iter().for_each(|(_, rows)| text += &format!(" {} |", value(rows)));
        text += &format!(" {target} |\n");
    }
    let seconds: f64 = halves.iter().flat_map(|(_, rows)| rows).map(|row| row.seconds).sum();
    text += &format!("\nOne run of every table takes {} s in all. LR: C by CV.\n\n", grouped(seconds));
    for row in halves.iter().flat_map(|(_, rows)| rows) {
        row.contradicted.iter().for_each(|what| text += &format!("- Contradicted: {what}.\n"));
        if let Some((auc, name)) = &row.best_of_family {
            let above = row.model.auc - auc;
            text += &format!("- {}: best of the family {auc:.4} (`{name}`), {above:+.4}.\n", row.table.name);
        }
    }
    text + "\n"
}

fn share(rows: &[&Row<'_>], of: fn(&Row<'_>) -> bool) -> String {
    let known = rows.iter().filter(|row| !row.lightgbm.auc.is_nan());
    format!("{} of {}", rows.iter().filter(|row| of(row)).count(), known.count())
}

fn named(rows: &[&Row<'_>], of: fn(&Row<'_>) -> bool) -> String {
    let names: Vec<&str> = rows.iter().filter(|row| of(row)).map(|row| row.table.name.as_str()).collect();
    if names.is_empty() { "none".into() } else { format!("{}: {}", names.len(), names.join(", ")) }
}

fn worst(rows: &[&Row<'_>]) -> String {
    let mut rows: Vec<&Row<'_>> = rows.iter().copied().filter(|r| !r.above_lightgbm().is_nan()).collect();
    rows.sort_by(|a, b| a.above_lightgbm().total_cmp(&b.above_lightgbm()));
    let named = rows.iter().take(WORST).map(|r| format!("{} {:+.3}", r.table.name, r.above_lightgbm()));
    named.collect::<Vec<_>>().join(", ")
}

/// The best mean AUC of the family on a table, over the splits that ran.
fn best(row: &Row<'_>, family: &[&Variant], done: &[Done]) -> Option<(f64, String)> {
    let of = |variant: &&Variant| {
        let auc = mean(runs_of(row.table, &variant.name, done).map(|(_, run)| run.model.auc));
        (!auc.is_nan()).then(|| (auc, variant.name.clone()))
    };
    family.iter().filter_map(of).max_by(|a, b| a.0.total_cmp(&b.0))
}

fn failures(variant: &str, done: &[Done]) -> String {
    let of = done.iter().filter(|d| d.variant == variant);
    of.filter_map(|d| {
        d.run.as_ref().err().map(|e| format!("- {variant}, {}, split {}: {e}\n", d.table, d.split))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::runs::Run;
    use super::super::study::{Peers, Table};
    use super::*;

    fn scores(auc: f64) -> Scores {
        Scores { auc, log_loss: 1.0 - auc }
    }

    fn table(name: &str, half: Half, ids: bool) -> Table {
        let peers = Peers { lr: scores(0.7), lr_cv: scores(0.75), lightgbm: scores(0.8) };
        Table { name: name.into(), half, ids, rows: 1500.0, peers: vec![peers; 2] }
    }

    fn done(variant: &str, table: &str, split: usize, auc: f64) -> Done {
        let verdict = "DLRM is better than logistic regression in AUC on the test rows.".into();
        let margins = [Scores { auc: 0.01, log_loss: 0.01 }; 2];
        let run = Run { model: scores(auc), baseline: scores(0.6), margins, verdict, seconds: 2.0 };
        Done { variant: variant.into(), table: table.into(), split, run: Ok(run) }
    }

    #[test]
    fn targets_contradictions_and_the_family() {
        let tables = vec![table("a", Half::Choosing, false), table("b", Half::Reporting, true)];
        let study = Study { dir: "no-directory".into(), tables };
        let variants = [Variant::new("default", ""), Variant::family("fm")];
        let mut all = vec![
            done("default", "a", 0, 0.7),
            done("default", "a", 1, 0.76),
            done("default", "b", 0, 0.8),
            done("--model fm", "b", 0, 0.81),
        ];
        let failed = Err("failed: no label".into());
        all.push(Done { variant: "default".into(), table: "b".into(), split: 1, run: failed });
        let text = markdown(&study, &variants, &all);
        for line in [
            "| a | 1,500 | 0.7300 / 0.2700 | 0.6000 / 0.4000 | 0.7000 / 0.3000 | 0.7500 / 0.2500 \
             | 0.8000 / 0.2000 | -0.0700 | -0.0200 | +0.0200 | 2.0 |",
            "| | choosing half | reporting half | target, reporting half |",
            "| mean AUC − LightGBM | -0.0700 | +0.0000 | at least +0.0050 |",
            "| within .005 of LightGBM or above | 0 of 1 | 1 of 1 | four of five |",
            "| worse than LR beyond the interval | 1: a | none | none |",
            "| verdicts that LR contradicts | 1 | 0 | 0 |",
            "| led by ids, more than .002 below the family's best | – | 1: b | none |",
            "- Contradicted: a, split 0: better in AUC, 0.7000 against 0.7500.",
            "- b: best of the family 0.8100 (`--model fm`), -0.0100.",
            "- default, b, split 1: failed: no label",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
        }
    }
}
