//! What may be said of a comparison, in words.
use dlrm_engine::compare::{Compared, Diverged};

/// What may be said: only differences whose interval excludes zero.
pub fn verdict(compared: &Compared) -> Vec<String> {
    let (best, title) = (compared.best(), compared.metric.title());
    let mut sentences = Vec::new();
    let mean = best.test(compared.metric).map_or(f64::NAN, |o| o.mean);
    sentences.push(format!("The validation rows choose {}: test {title} {mean:.5}.", best.name));
    let (mut worse, mut better, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for model in &compared.models {
        let Some(interval) = model.against_best else { continue };
        let (gain, loss) = if compared.metric.higher_is_better() {
            (interval.low > 0.0, interval.high < 0.0)
        } else {
            (interval.high < 0.0, interval.low > 0.0)
        };
        let list = if gain {
            &mut better
        } else if loss {
            &mut worse
        } else {
            &mut open
        };
        list.push(model.name.as_str());
    }
    if !worse.is_empty() {
        sentences.push(format!("Worse than it on the test rows: {}.", worse.join(", ")));
    }
    if !better.is_empty() {
        sentences.push(format!("Better than it on the test rows all the same: {}.", better.join(", ")));
    }
    if !open.is_empty() {
        let cheapest = compared
            .models
            .iter()
            .filter(|m| open.contains(&m.name.as_str()) || m.name == best.name)
            .min_by(|a, b| a.training_multiply_adds.total_cmp(&b.training_multiply_adds));
        sentences.push(format!("No difference can be claimed to: {}.", open.join(", ")));
        if let Some(cheapest) = cheapest {
            sentences.push(format!(
                "Of these and {}, {} needs the fewest multiply-adds.",
                best.name, cheapest.name
            ));
        }
    }
    for Diverged { name, seed, step } in &compared.diverged {
        sentences.push(format!(
            "{name} is left out: with seed {seed} it diverged at step {step}; \
             a lower learning rate may train it."
        ));
    }
    if compared.seeds < 3 {
        let few = "With fewer than three seeds the spread over seeds is hardly known: \
                   read the intervals with care.";
        sentences.push(few.into());
    }
    sentences
}
