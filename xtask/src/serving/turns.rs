//! Every server in turn, round after round.
use super::cases::{Case, Way};
use super::load::{Sample, Tool, Tools};
use super::model::Made;
use super::options::Options;
use super::sides::{Side, Who};
use crate::run::median;

/// What all windows of a way measured.
pub(super) struct Asked {
    pub(super) who: Who,
    pub(super) tool: Tool,
    /// How the server was set up.
    pub(super) how: &'static str,
    pub(super) windows: Vec<Windows>,
}

/// Windows with so many connections.
pub(super) struct Windows {
    pub(super) connections: usize,
    pub(super) samples: Vec<Sample>,
}

impl Windows {
    /// The median of something over the windows.
    pub(super) fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(&mut self.samples.iter().map(of).collect::<Vec<_>>())
    }
}

impl Asked {
    /// The windows of the highest rate within the bound.
    pub(super) fn best(&self, bound_ms: f64) -> Option<&Windows> {
        let within = |windows: &&Windows| windows.median(|sample| sample.p99_ms) <= bound_ms;
        let rate = |windows: &Windows| windows.median(|sample| sample.rate);
        self.windows.iter().filter(within).max_by(|a, b| rate(a).total_cmp(&rate(b)))
    }

    /// The windows with so many connections.
    pub(super) fn with(&self, connections: usize) -> Option<&Windows> {
        self.windows.iter().find(|windows| windows.connections == connections)
    }
}

/// What was measured of a case, and who was left out of it.
pub(super) struct Outcome {
    pub(super) case: &'static Case,
    pub(super) asked: Vec<Asked>,
    pub(super) left_out: Vec<String>,
}

/// Asks all who answer, by turns.
pub(super) fn take(
    case: &'static Case,
    sides: &[Side],
    tools: &Tools<'_>,
    made: &Made,
    options: &Options,
) -> Outcome {
    let mut outcome = Outcome { case, asked: Vec::new(), left_out: Vec::new() };
    let connections = if options.quick { &case.connections[..1] } else { case.connections };
    let ask = |side: &Side, way: &Way, count: usize| {
        let sample = tools.ask(side, (way.tool, case.kind), (count, options.seconds), made)?;
        // One that fails answers fast.
        match sample.failed {
            0 => Ok(sample),
            failed => Err(format!("{failed} requests failed over {count} connections")),
        }
    };
    let mut chosen = Vec::new();
    for way in case.ways.iter().filter(|way| tools.have(way.tool)) {
        match choose(way, sides, |side| ask(side, way, connections[connections.len() / 2])) {
            Ok(side) => chosen.push((way, side)),
            Err(why) => outcome.left_out.push(format!("{}, {}: {why}", way.who.name(), way.tool.name())),
        }
    }
    for (way, side) in &chosen {
        let windows = connections.iter().map(|&connections| Windows { connections, samples: Vec::new() });
        outcome.asked.push(Asked { who: way.who, tool: way.tool, how: side.how, windows: windows.collect() });
    }
    for (place, &count) in connections.iter().enumerate() {
        for round in 1..=options.rounds {
            eprintln!("{}, {count} connections, round {round} of {}", case.title, options.rounds);
            for ((way, side), asked) in chosen.iter().zip(&mut outcome.asked) {
                match ask(side, way, count) {
                    Ok(sample) => asked.windows[place].samples.push(sample),
                    Err(why) => eprintln!("{}, {}: {why}", way.who.name(), way.tool.name()),
                }
            }
        }
    }
    for asked in &mut outcome.asked {
        asked.windows.retain(|windows| !windows.samples.is_empty());
    }
    outcome
}

/// The setting that answers the most; asking each warms it up, too.
fn choose<'s>(
    way: &Way,
    sides: &'s [Side],
    ask: impl Fn(&Side) -> Result<Sample, String>,
) -> Result<&'s Side, String> {
    let mut best: Option<(f64, &Side)> = None;
    for side in sides.iter().filter(|side| side.who == way.who) {
        let rate = ask(side)?.rate;
        if best.is_none_or(|(most, _)| rate > most) {
            best = Some((rate, side));
        }
    }
    best.map(|(_, side)| side).ok_or_else(|| "it does not run".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_within_the_bound() {
        let sample = |rate, p99_ms| Sample { rate, p50_ms: 1.0, p99_ms, failed: 0, share: 0.1 };
        let windows = |connections, samples| Windows { connections, samples };
        let asked = Asked {
            who: Who::Dlrm,
            tool: Tool::Wrk("/"),
            how: "",
            windows: vec![
                windows(1, vec![sample(10.0, 1.0)]),
                windows(4, vec![sample(30.0, 5.0), sample(20.0, 4.0), sample(25.0, 6.0)]),
                windows(16, vec![sample(90.0, 11.0)]),
            ],
        };
        let best = asked.best(10.0).expect("windows");
        assert_eq!((best.connections, best.median(|s| s.rate)), (4, 25.0));
        assert!(asked.best(0.5).is_none() && asked.with(16).is_some());
    }
}
