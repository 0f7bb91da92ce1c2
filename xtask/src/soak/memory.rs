//! Memory of a process over time.
use std::fs;

/// Blocks that samples are averaged in: neighbouring samples tell nearly the same, blocks hardly do.
const BLOCKS: usize = 20;
/// Student's 0.975 quantile with `BLOCKS - 2` degrees of freedom.
const STUDENT: f64 = 2.101;
/// Share of the time that memory may still grow in: caches and arenas fill.
const WARM_UP: f64 = 0.2;

/// What memory did in the steady state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    /// MB in its first block and its last.
    pub(super) start: f64,
    pub(super) end: f64,
    /// MB per hour by least squares, and half of the interval of 95 %.
    pub(super) slope: f64,
    pub(super) half_width: f64,
}

/// MB that the process holds.
pub(super) fn resident(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0 / 1e6)
}

impl Trend {
    /// Of samples of hours and MB; `None` of too few.
    pub(super) fn of(samples: &[(f64, f64)]) -> Option<Self> {
        let steady = &samples[(samples.len() as f64 * WARM_UP) as usize..];
        let size = steady.len() / BLOCKS;
        if size == 0 {
            return None;
        }
        let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
        // What does not fill a block is of the beginning.
        let blocks: Vec<(f64, f64)> = steady[steady.len() % BLOCKS..]
            .chunks(size)
            .map(|b| (mean(&mut b.iter().map(|s| s.0), b.len()), mean(&mut b.iter().map(|s| s.1), b.len())))
            .collect();
        let n = blocks.len();
        let (x, y) = (mean(&mut blocks.iter().map(|b| b.0), n), mean(&mut blocks.iter().map(|b| b.1), n));
        let spread: f64 = blocks.iter().map(|b| (b.0 - x) * (b.0 - x)).sum();
        let slope = blocks.iter().map(|b| (b.0 - x) * (b.1 - y)).sum::<f64>() / spread;
        let rest = |b: &(f64, f64)| b.1 - y - slope * (b.0 - x);
        let variance = blocks.iter().map(|b| rest(b) * rest(b)).sum::<f64>() / (n as f64 - 2.0);
        let half_width = STUDENT * (variance / spread).sqrt();
        Some(Trend { start: blocks[0].1, end: blocks[n - 1].1, slope, half_width })
    }

    /// Whether memory grows, beyond chance and by more than a twentieth within the time.
    pub(super) fn grows(&self) -> bool {
        self.slope > self.half_width && self.end > 1.05 * self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour with a sample each second, of which the first fifth is far off.
    fn samples(of: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let at = |second: usize| second as f64 / 3600.0;
        let value = |second: usize| if second < 700 { 5.0 } else { of(at(second)) };
        (0..3600).map(|second| (at(second), value(second))).collect()
    }

    #[test]
    fn slopes_of_the_steady_state() {
        let noise = |x: f64| ((x * 1e5).sin() * 1e4).fract();
        let level = Trend::of(&samples(|x| 100.0 + noise(x))).unwrap();
        assert!(level.slope.abs() < level.half_width.max(0.5) && !level.grows(), "{level:?}");
        let rising = Trend::of(&samples(|x| 100.0 + 30.0 * x + noise(x))).unwrap();
        assert!((rising.slope - 30.0).abs() < 1.0 && rising.half_width < 2.0 && rising.grows(), "{rising:?}");
        assert!((rising.start - 106.6).abs() < 1.0 && (rising.end - 129.4).abs() < 1.0, "{rising:?}");
        assert_eq!(Trend::of(&[(0.0, 1.0); 20]), None);
        assert!(resident(std::process::id()).is_some_and(|mb| mb > 0.1));
    }
}
