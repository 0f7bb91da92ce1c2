//! What `dlrm bench` measured beside what an earlier run of it measured.
use dlrm::bench::{Earlier, Machine, Measured, Rate};
use dlrm::data::format;
use dlrm::report::terminal::table;
use std::path::Path;

/// A table of both. Which of two rates is the better one it does not say: the machine itself may have
/// changed, which its own rates show.
pub(super) fn text(earlier: &Earlier, file: &Path, machine: &Machine, all: &[Measured]) -> String {
    let count = |x: f64| format::count(x.round() as u64);
    let rate = |r: Rate| format!("{} ({} to {})", count(r.median), count(r.low), count(r.high));
    let giga = |x: f64| format!("{:.1}", x / 1e9);
    let row = |now: &Measured| {
        let [then, ratio] = match earlier.rows_per_second(now) {
            Some(then) => [rate(then), format!("{:.2}", now.rows_per_second.median / then.median)],
            None => ["-".into(), "-".into()],
        };
        vec![format!("{}, rows/s", now.title()), then, rate(now.rows_per_second), ratio]
    };
    let then = earlier.machine();
    let peak = |name: &str, then: f64, now: f64| {
        vec![format!("machine: {name}"), giga(then), giga(now), format!("{:.2}", now / then)]
    };
    let mut rows: Vec<Vec<String>> = all.iter().map(row).collect();
    rows.push(peak("f32 multiply-add, GFLOP/s", then.fma_flops, machine.all.fma_flops));
    rows.push(peak("read, GB/s", then.read_bytes, machine.all.read_bytes));
    let mut text = table(&["", &file.display().to_string(), "now", "now / then"], &rows);
    if !earlier.is_like(machine) {
        text.push_str(&format!(
            "{} was measured with {} threads and {}, this with {} and {}\n",
            file.display(),
            then.threads,
            then.isa,
            machine.threads,
            machine.isa
        ));
    }
    text
}
