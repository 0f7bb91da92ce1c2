//! What is aimed at beside other software, and what was reached of it.
use super::OURS_BF16;
use super::table::{Case, OURS, Results};

/// How many times the best peer's rows per second are aimed at.
struct Target {
    what: &'static str,
    task: &'static str,
    workload: &'static str,
    batch: u64,
    /// In f32, and where both sides multiply in bf16.
    times: [Option<f64>; 2],
}

const TARGETS: [Target; 7] = [
    target("train", "K", "k", 2048, [Some(1.5), Some(1.5)]),
    target("train", "P", "p", 2048, [Some(1.9), Some(2.1)]),
    target("train", "T, towers over tables of 8 GB", "t", 2048, [Some(1.5), Some(1.6)]),
    target("train", "M, ten ids of 64-wide vectors", "m", 2048, [Some(1.5), Some(1.5)]),
    target("train", "W, a wide bottom tower", "w", 512, [Some(1.5), Some(1.5)]),
    target("train", "W", "w", 2048, [Some(1.4), Some(1.4)]),
    target("infer", "scoring rows of K", "k", 1024, [Some(1.6), None]),
];

const fn target(
    task: &'static str,
    what: &'static str,
    workload: &'static str,
    batch: u64,
    times: [Option<f64>; 2],
) -> Target {
    Target { what, task, workload, batch, times }
}

/// Our sides and what they multiply in, in the order of the aims.
const SIDES: [(&str, &str); 2] = [(OURS, "f32"), (OURS_BF16, "bf16")];

/// Shares of the peak that the way back of K and P should reach in f32 and in bf16.
const BACKWARD: [f64; 2] = [0.88, 0.78];

/// A table of the targets whose cases were measured, empty if there are none.
pub(super) fn text(results: &Results) -> String {
    let mut lines = Vec::new();
    for (workload, what) in [("k", "K"), ("p", "P")] {
        let case = Case { task: "train".into(), workload: workload.into(), batch: 2048 };
        for ((side, precision), aim) in SIDES.into_iter().zip(BACKWARD) {
            if let Some(share) = results.backward_share(side, &case) {
                lines.push(line(
                    &format!("backward of the layers of {what}, batch 2048, {precision}"),
                    (format!("{:.0} % of the peak", 100.0 * aim), format!("{:.0} %", 100.0 * share)),
                    share >= aim,
                ));
            }
        }
    }
    for Target { what, task, workload, batch, times } in TARGETS {
        let case = Case { task: task.into(), workload: workload.into(), batch };
        for ((own, precision), aim) in SIDES.into_iter().zip(times) {
            // A name that says bf16 is that of a side which multiplies in it.
            let is_peer = |side: &&str| *side != own && side.contains("bf16") == own.contains("bf16");
            let rates = results
                .sides(&case)
                .filter(is_peer)
                .filter_map(|side| Some((side.to_owned(), results.rate(side, &case)?)));
            let best = rates.max_by(|a, b| a.1.total_cmp(&b.1));
            if let (Some(aim), Some(own), Some((peer, rate))) = (aim, results.rate(own, &case), best) {
                lines.push(line(
                    &format!("{what}, batch {batch}, {precision}: beside the best peer"),
                    (format!("{aim} times"), format!("{:.2} times {peer}", own / rate)),
                    own / rate >= aim,
                ));
            }
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("| target | aim | reached | |\n|---|---|---|---|\n{}\n", lines.concat())
}

fn line(what: &str, (aim, reached): (String, String), is_met: bool) -> String {
    let met = if is_met { "met" } else { "**missed**" };
    format!("| {what} | {aim} | {reached} | {met} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::table::{Backward, Sample};

    #[test]
    fn targets_name_the_best_peer() {
        let mut results = Results::default();
        let backward = |peak| Some(Backward { flops: 90.0, peak });
        for (side, rate, backward) in [
            (OURS, 30.0, backward(100.0)),
            (OURS, 30.0, backward(60.0)),
            ("A", 10.0, None),
            ("B", 25.0, None),
            ("B, bf16", 90.0, None),
        ] {
            let case = Case { task: "train".into(), workload: "k".into(), batch: 2048 };
            results.add(side, Sample { case, rows_per_s: rate, latency: None, backward });
        }
        assert_eq!(
            text(&results),
            "| target | aim | reached | |\n|---|---|---|---|\n\
             | backward of the layers of K, batch 2048, f32 | 88 % of the peak | 90 % | met |\n\
             | K, batch 2048, f32: beside the best peer | 1.5 times | 1.20 times B | **missed** |\n\n"
        );
        assert!(text(&Results::default()).is_empty());
    }
}
