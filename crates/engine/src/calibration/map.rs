//! A calibration map as it is applied and stored. It works in f32 in a fixed order of operations.
use super::Method;
use serde::{Deserialize, Serialize};

/// A rising map of logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum CalibrationMap {
    /// slope · z, with a positive slope: the inverse of the temperature.
    Temperature {
        /// Factor.
        slope: f32,
    },
    /// slope · z + offset, with a positive slope.
    Platt {
        /// Factor.
        slope: f32,
        /// Summand.
        offset: f32,
    },
    /// Straight from knot to knot, and beyond the first and the last one parallel to the identity.
    Isotonic {
        /// Both coordinates rise strictly.
        knots: Vec<Knot>,
    },
}

/// A point of an isotonic map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knot {
    /// A logit of the model.
    pub from: f32,
    /// What becomes of it.
    pub to: f32,
}

impl CalibrationMap {
    /// The calibrated logit.
    pub fn apply(&self, logit: f32) -> f32 {
        match self {
            CalibrationMap::Temperature { slope } => slope * logit,
            CalibrationMap::Platt { slope, offset } => slope * logit + offset,
            CalibrationMap::Isotonic { knots } => between(knots, logit),
        }
    }

    /// The family it is of.
    pub fn method(&self) -> Method {
        match self {
            CalibrationMap::Temperature { .. } => Method::Temperature,
            CalibrationMap::Platt { .. } => Method::Platt,
            CalibrationMap::Isotonic { .. } => Method::Isotonic,
        }
    }

    /// The map in words.
    pub fn describe(&self) -> String {
        match self {
            CalibrationMap::Temperature { slope } => format!("temperature {:.3}", 1.0 / slope),
            CalibrationMap::Platt { slope, offset } => {
                format!("Platt, slope {slope:.3}, offset {offset:+.3}")
            }
            CalibrationMap::Isotonic { knots } => format!("isotonic, {} knots", knots.len()),
        }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let sound = match self {
            CalibrationMap::Temperature { slope } => slope.is_finite() && *slope > 0.0,
            CalibrationMap::Platt { slope, offset } => {
                slope.is_finite() && *slope > 0.0 && offset.is_finite()
            }
            CalibrationMap::Isotonic { knots } => {
                let finite = knots.iter().all(|knot| knot.from.is_finite() && knot.to.is_finite());
                finite
                    && !knots.is_empty()
                    && knots.windows(2).all(|k| k[0].from < k[1].from && k[0].to < k[1].to)
            }
        };
        (!sound).then_some("expected a rising map of finite numbers")
    }
}

fn between(knots: &[Knot], logit: f32) -> f32 {
    let right = knots.partition_point(|knot| knot.from <= logit);
    match (right.checked_sub(1).map(|left| knots[left]), knots.get(right)) {
        (Some(low), Some(high)) => {
            let share = (logit - low.from) / (high.from - low.from);
            // Rounding must not carry it past the next knot, where a new line begins.
            (low.to + share * (high.to - low.to)).min(high.to)
        }
        (Some(last), None) => last.to + (logit - last.from),
        (None, Some(first)) => first.to + (logit - first.from),
        (None, None) => logit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isotonic_maps_never_reverse_a_ranking() {
        let knots = [(-3.0, -2.1), (-1.0, -0.1), (0.1, 0.2), (0.1000001, 3.0), (5.0, 3.3)];
        let map =
            CalibrationMap::Isotonic { knots: knots.iter().map(|&(from, to)| Knot { from, to }).collect() };
        assert_eq!(map.problem(), None);
        let mut logits: Vec<f32> = (-6000..9000).map(|i| i as f32 * 1.0e-3).collect();
        logits.extend(knots.iter().flat_map(|&(from, _)| [from.next_down(), from, from.next_up()]));
        logits.sort_by(f32::total_cmp);
        assert!(logits.windows(2).all(|z| map.apply(z[0]) <= map.apply(z[1])));
        for (from, to) in knots {
            assert_eq!(map.apply(from), to);
        }
        assert_eq!((map.apply(-4.0), map.apply(6.0)), (-3.1, 4.3));
        assert!(map.apply(f32::NAN).is_nan());
    }

    #[test]
    fn maps_that_fall_are_refused() {
        let falling = |slope| CalibrationMap::Platt { slope, offset: 0.0 };
        assert!(
            [-1.0, 0.0, f32::NAN, f32::INFINITY].into_iter().all(|slope| falling(slope).problem().is_some())
        );
        let knot = |from, to| Knot { from, to };
        assert!(CalibrationMap::Isotonic { knots: vec![knot(0.0, 0.0), knot(1.0, 0.0)] }.problem().is_some());
        assert!(CalibrationMap::Isotonic { knots: Vec::new() }.problem().is_some());
    }
}
