//! Figure 3 of the DLRM paper: distributions of an original, a synthetic and an adjusted trace.
//!
//! The original is 100,000 accesses to ids drawn as random.uniform(1, 100); the synthetic one is drawn from
//! its profile, the adjusted one from its profile with padding. `cargo xtask figure3` runs it.
use dlrm_data::rng::Rng;
use dlrm_synth::trace::{Padding, Profile, hit_rates, synthesize};
use std::fmt::Write;

const ACCESSES: usize = 100_000;
const IDS: usize = 100;
const SIZES: [usize; 5] = [1, 10, 25, 50, 75];

const STYLE: &str = "svg{background:#fff;font:13px \
    system-ui,sans-serif}text{fill:#16202a}.title{font-size:16px;font-weight:600}\
.soft{fill:#52606d}.end{text-anchor:end}.mid{text-anchor:middle}.bar{fill:#1f5fa8}\
.axis{stroke:#52606d;stroke-width:1}\
.even{stroke:#d98a29;stroke-width:1.5;stroke-dasharray:5 4}";
const WIDTH: f64 = 760.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const HEIGHT: f64 = 150.0;
const PANEL: f64 = 215.0;
const TOP: f64 = 70.0;
/// Largest density shown.
const MOST: f64 = 0.015;

/// Writes the figure to the given path and prints hit rates.
fn main() -> Result<(), String> {
    let path = std::env::args().nth(1).ok_or("expected the path of the picture")?;
    let mut rng = Rng::new(1, 0);
    let original: Vec<u64> = (0..ACCESSES).map(|_| (1.0 + 99.0 * rng.uniform()) as u64).collect();
    let made = |padding, seed| {
        synthesize(&Profile::of(&original, padding), ACCESSES, padding, &mut Rng::new(seed, 0))
    };
    let traces = [
        ("original", original.clone()),
        ("synthetic", made(Padding::None, 2)),
        ("adjusted (with padding)", made(Padding::NewIds, 3)),
    ];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {h}\" width=\"{WIDTH}\" \
            height=\"{h}\"><style>{STYLE}</style>",
        h = TOP + 3.0 * PANEL
    );
    svg += "<text class=\"title\" x=\"20\" y=\"28\">Probability of each id: random.uniform(1, 100), 100,000 \
        accesses</text>";
    svg += "<text class=\"soft\" x=\"20\" y=\"48\">bars: share of the accesses; dashed: all ids as frequent \
        (1/99)</text>";
    for (i, (name, trace)) in traces.iter().enumerate() {
        panel(&mut svg, TOP + i as f64 * PANEL, name, trace);
    }
    svg += "</svg>\n";
    std::fs::write(&path, svg).map_err(|e| format!("{path}: {e}"))?;
    println!("hit rate of a least-recently-used cache of {SIZES:?} ids");
    for (name, trace) in &traces {
        let rates: Vec<String> =
            hit_rates(trace, &SIZES).iter().map(|rate| format!("{:.2} %", 100.0 * rate)).collect();
        println!("{name:<24} {}", rates.join("  "));
    }
    Ok(())
}

fn panel(svg: &mut String, top: f64, name: &str, trace: &[u64]) {
    let mut counts = [0usize; IDS];
    trace.iter().for_each(|&id| counts[id as usize] += 1);
    let (bottom, step) = (top + 20.0 + HEIGHT, (WIDTH - LEFT - RIGHT) / (IDS - 1) as f64);
    let y = |density: f64| bottom - HEIGHT * (density / MOST).min(1.0);
    // Writing to a string cannot fail.
    let mut put = |text: String| svg.push_str(&text);
    put(format!("<text x=\"{LEFT}\" y=\"{}\">{name}</text>", top + 8.0));
    for (id, &count) in counts.iter().enumerate().skip(1) {
        let (x, density) = (LEFT + step * (id - 1) as f64, count as f64 / trace.len() as f64);
        put(format!(
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            y(density),
            step - 1.2,
            bottom - y(density)
        ));
    }
    for density in [0.0, 0.005, 0.01, 0.015] {
        put(format!(
            "<text class=\"soft end\" x=\"{}\" y=\"{:.1}\">{density}</text>",
            LEFT - 8.0,
            y(density) + 4.0
        ));
    }
    put(format!(
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\"/>",
        WIDTH - RIGHT
    ));
    let even = y(1.0 / (IDS - 1) as f64);
    put(format!(
        "<line class=\"even\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{even:.1}\" y2=\"{even:.1}\"/>",
        WIDTH - RIGHT
    ));
    let mut ticks = String::new();
    for id in [1usize, 20, 40, 60, 80, 99] {
        let x = LEFT + step * ((id - 1) as f64 + 0.5);
        let _ = write!(ticks, "<text class=\"soft mid\" x=\"{x:.1}\" y=\"{}\">{id}</text>", bottom + 16.0);
    }
    put(ticks);
}
