//! Learning-rate schedules: a factor on the base rates for each step.
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the learning rate changes over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// No change.
    #[default]
    Constant,
    /// The reference's policy: linear warm-up, then a plateau, then a squared decay, then the last rate.
    /// As there, the plateau keeps the last warm-up rate, (w - 1)/w of the base.
    WarmupDecay {
        /// Steps of warm-up, w.
        #[serde(default)]
        warmup_steps: u64,
        /// Step at which the decay starts.
        decay_start_step: u64,
        /// Steps of decay.
        decay_steps: u64,
    },
    /// Linear warm-up, then half a cosine down to `final_factor`.
    Cosine {
        /// Steps of warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Steps in all; the rate stays at its end afterwards.
        total_steps: u64,
        /// Factor at the end.
        #[serde(default)]
        final_factor: f64,
    },
}

/// The least rate of the reference's decay.
const LEAST_RATE: f64 = 1e-7;

impl Schedule {
    /// Settings that contradict each other.
    ///
    /// # Errors
    /// The first one found.
    pub fn check(&self) -> Result<()> {
        match *self {
            Schedule::WarmupDecay { warmup_steps, decay_start_step, decay_steps }
                if decay_steps > 0 && decay_start_step < warmup_steps =>
            {
                let expected = format!("at least the {warmup_steps} warmup_steps");
                Err(Error::config("train.schedule.decay_start_step", expected, decay_start_step.to_string()))
            }
            Schedule::Cosine { final_factor, .. } if !(0.0..=1.0).contains(&final_factor) => {
                Err(Error::config(
                    "train.schedule.final_factor",
                    "a number from 0 to 1",
                    final_factor.to_string(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of step `step` (the first is 1) for a base rate.
    pub fn rate(&self, base: f64, step: u64) -> f64 {
        match *self {
            Schedule::Constant => base,
            Schedule::WarmupDecay { warmup_steps, decay_start_step, decay_steps } => {
                let end = decay_start_step + decay_steps;
                let decayed = |step: u64| {
                    let scale = (end - step) as f64 / decay_steps as f64;
                    (base * scale * scale).max(LEAST_RATE)
                };
                if step < warmup_steps {
                    base * step as f64 / warmup_steps as f64
                } else if decay_steps == 0 {
                    base
                } else if step >= end {
                    decayed(end - 1)
                } else if step >= decay_start_step {
                    decayed(step)
                } else if warmup_steps > 1 {
                    base * (warmup_steps - 1) as f64 / warmup_steps as f64
                } else {
                    base
                }
            }
            Schedule::Cosine { warmup_steps, total_steps, final_factor } => {
                if step <= warmup_steps {
                    return base * step as f64 / warmup_steps.max(1) as f64;
                }
                let length = total_steps.saturating_sub(warmup_steps).max(1) as f64;
                let progress = ((step - warmup_steps) as f64 / length).min(1.0);
                base * (final_factor
                    + (1.0 - final_factor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_each_schedule() {
        let cosine = Schedule::Cosine { warmup_steps: 2, total_steps: 10, final_factor: 0.1 };
        assert_eq!(cosine.rate(1.0, 1), 0.5);
        assert_eq!(cosine.rate(1.0, 2), 1.0);
        assert!((cosine.rate(1.0, 6) - 0.55).abs() < 1e-12);
        assert!((cosine.rate(1.0, 10) - 0.1).abs() < 1e-12 && (cosine.rate(1.0, 99) - 0.1).abs() < 1e-12);
        assert_eq!(Schedule::Constant.rate(0.3, 77), 0.3);
        let no_warmup = Schedule::WarmupDecay { warmup_steps: 0, decay_start_step: 3, decay_steps: 2 };
        assert_eq!([1, 2, 3, 4, 5, 9].map(|s| no_warmup.rate(1.0, s)), [1.0, 1.0, 1.0, 0.25, 0.25, 0.25]);
    }
}
