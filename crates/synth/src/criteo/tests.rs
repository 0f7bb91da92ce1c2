use super::*;
use crate::Bayes;
use std::collections::HashSet;

fn process(config: CriteoConfig) -> CriteoProcess {
    CriteoProcess::new(config).expect("a law")
}

fn text(process: &CriteoProcess, r: u64) -> (String, f64) {
    let mut row = RawRow::default();
    let probability = process.row(r, &mut row);
    (row.fields().collect::<Vec<_>>().join("\t"), probability)
}

#[test]
fn a_row_depends_on_the_configuration_and_its_number() {
    let config = CriteoConfig { rows: 1000, ..CriteoConfig::default() };
    let (one, again) = (process(config.clone()), process(config.clone()));
    for r in [999, 0, 500] {
        assert_eq!(text(&one, r), text(&again, r));
    }
    assert_ne!(text(&one, 0).0, text(&process(CriteoConfig { seed: 2, ..config }), 0).0);
    assert_eq!(text(&one, 3).0.matches('\t').count(), INTEGERS + CATEGORIES);
}

#[test]
fn labels_are_drawn_with_their_probabilities() {
    for (teacher, noise, bias) in
        [(Teacher::Lr, 0.0, 0.0), (Teacher::Fm, 0.05, 0.0), (Teacher::Dlrm, 0.0, 0.7)]
    {
        let process = process(CriteoConfig {
            rows: 20_000,
            teacher,
            label_noise: noise,
            position_bias: bias,
            ..CriteoConfig::default()
        });
        let (mut row, mut clicks, mut expected, mut variance, mut truth) =
            (RawRow::default(), 0.0, 0.0, 0.0, Vec::new());
        for r in 0..20_000 {
            row.clear();
            let p = process.row(r, &mut row);
            clicks += f64::from(u8::from(row.field(0) == "1"));
            expected += p;
            variance += p * (1.0 - p);
            truth.push(p);
        }
        assert!(
            (clicks - expected).abs() < 4.0 * f64::sqrt(variance),
            "{teacher:?}: {clicks} clicks, {expected} expected"
        );
        let best = Bayes::of(&truth);
        assert!((0.70..0.90).contains(&best.auc), "{teacher:?}: {best:?}");
        if noise + bias == 0.0 {
            assert!((best.click_rate - 0.256).abs() < 0.02, "{teacher:?}: {best:?}");
        }
    }
}

#[test]
fn days_are_equal_and_in_order() {
    let config = CriteoConfig { rows: 23, days: 7, ..CriteoConfig::default() };
    let days: Vec<u64> = (0..23).map(|r| config.day_of(r)).collect();
    assert!(days.is_sorted());
    let sizes: Vec<usize> = (0..7).map(|day| days.iter().filter(|&&d| d == day).count()).collect();
    assert_eq!(sizes, [4, 4, 3, 3, 3, 3, 3]);
}

#[test]
fn new_ids_come_with_the_days_and_drift_turns_the_effects() {
    let ids = |new_ids| {
        let process = process(CriteoConfig { rows: 8000, days: 8, new_ids, ..CriteoConfig::default() });
        let mut seen: [HashSet<String>; 2] = Default::default();
        for r in 0..8000 {
            let (part, mut row) = (usize::from(r >= 7000), RawRow::default());
            process.row(r, &mut row);
            // C20 is small, C10 large.
            if let Some(set) = seen.get_mut(part) {
                set.insert(row.field(INTEGERS + 10).to_owned());
            }
        }
        seen[1].difference(&seen[0]).count() as f64 / seen[1].len() as f64
    };
    assert!(ids(0.6) > ids(0.0) + 0.08, "{} {}", ids(0.6), ids(0.0));
    let correlation = |drift| {
        let process = process(CriteoConfig { drift, teacher: Teacher::Lr, ..CriteoConfig::default() });
        let logit = |features: &Features, angle| process.hidden.logit(features, angle);
        let pairs: Vec<[f64; 2]> = (0..500)
            .map(|r| process.draw(&mut Rng::new(9, r), 0))
            .map(|features| [logit(&features, 0.0), logit(&features, process.config.drift)])
            .collect();
        let mean = [0, 1].map(|i| pairs.iter().map(|p| p[i]).sum::<f64>() / 500.0);
        let product =
            |i: usize, j: usize| pairs.iter().map(|p| (p[i] - mean[i]) * (p[j] - mean[j])).sum::<f64>();
        product(0, 1) / (product(0, 0) * product(1, 1)).sqrt()
    };
    assert!(correlation(0.0) > 0.999 && correlation(1.5) < 0.5);
}

#[test]
fn values_out_of_range_are_named() {
    for (config, what) in [
        (CriteoConfig { click_rate: 1.5, ..CriteoConfig::default() }, "click rate"),
        (CriteoConfig { label_noise: f64::NAN, ..CriteoConfig::default() }, "label noise"),
        (CriteoConfig { days: 0, ..CriteoConfig::default() }, "days"),
        (CriteoConfig { rows: 3, days: 7, ..CriteoConfig::default() }, "days"),
    ] {
        let error = CriteoProcess::new(config).map(|_| ()).expect_err(what);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn tokens_are_a_bijection() {
    let tokens: HashSet<u32> = (0..100_000).map(|id| shape::token(2, id)).collect();
    assert_eq!(tokens.len(), 100_000);
}
