//! What may be said about a model in words. A difference is claimed only where its 95 % interval
//! excludes zero and four digits show it.
use super::format::{MetricFormat, count, p_value, percent};
use super::{Candidate, Comparison, Report};
use dlrm_data::schema::Task;
use dlrm_metrics::Metric;

/// Rows with which small differences cannot be told.
const FEW_ROWS: u64 = 2000;

/// What one comparison allows to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The whole interval is on the model's side.
    Better,
    /// The interval holds zero, or the difference is too small to matter.
    Undecided,
    /// The whole interval is on the baseline's side.
    Worse,
}

/// Differences below this are none, whatever their intervals: half a unit of the fourth digit, the last that
/// is shown of metrics. Errors of ratings have the unit of the label, so no size of theirs is small.
const NOTHING: f64 = 5e-5;

impl Comparison {
    /// What it allows to say.
    pub fn reading(&self) -> Reading {
        let interval = self.difference.interval;
        if !matches!(self.metric, Metric::Rmse | Metric::Mae) && interval.estimate.abs() < NOTHING {
            return Reading::Undecided;
        }
        let sign = if self.metric.higher_is_better() { 1.0 } else { -1.0 };
        match (interval.low * sign, interval.high * sign) {
            (a, b) if a > 0.0 && b > 0.0 => Reading::Better,
            (a, b) if a < 0.0 && b < 0.0 => Reading::Worse,
            _ => Reading::Undecided,
        }
    }
}

/// The outcome in plain language.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Against the strongest baseline.
    pub tone: Reading,
    /// One sentence about the strongest baseline.
    pub headline: String,
    /// The numbers behind it, one sentence per baseline and metric, then the optimum.
    pub sentences: Vec<String>,
}

impl Report {
    /// The outcome in plain language.
    pub fn verdict(&self) -> Verdict {
        let verdict = self.measured_verdict();
        match &self.caution {
            Some(caution) => Verdict { tone: Reading::Undecided, headline: caution.clone(), ..verdict },
            None => verdict,
        }
    }

    /// What the figures alone would say.
    fn measured_verdict(&self) -> Verdict {
        let metrics = self.headline_metrics();
        let mut about: Vec<(&Candidate, Vec<&Comparison>)> = self
            .baselines
            .iter()
            .map(|baseline| (baseline, self.comparisons_with(baseline, metrics)))
            .collect();
        about.retain(|(_, comparisons)| !comparisons.is_empty());
        // the strongest first: the model's margin over it is the smallest
        let value = |c: &Candidate| c.on(&self.verdict_part).and_then(|s| metrics[0].of(&s.metrics));
        about.sort_by(|a, b| {
            let badness = |value: f64| if metrics[0].higher_is_better() { -value } else { value };
            let [a, b] = [a.0, b.0].map(|c| value(c).map_or(f64::INFINITY, badness));
            a.total_cmp(&b)
        });
        let Some((strongest, comparisons)) = about.first() else {
            let (model, part) = (&self.model.name, &self.verdict_part);
            let headline = match self.data.parts.iter().find(|own| own.name == *part && part == "train") {
                Some(all) => format!(
                    "Nothing says how good {model} is: all {} rows were trained on, and none was left \
                     to measure it.",
                    count(all.rows)
                ),
                None => format!("{model} was not compared with a baseline on the {part} rows."),
            };
            return Verdict { tone: Reading::Undecided, headline, sentences: self.optimum_sentences(None) };
        };
        let mut sentences: Vec<String> =
            about.iter().flat_map(|(_, comparisons)| comparisons.iter().map(|c| self.sentence(c))).collect();
        sentences.extend(self.caveats(strongest, comparisons));
        sentences.extend(self.optimum_sentences(Some(strongest)));
        let tone = match tone(comparisons) {
            // Against what it could be, nothing is known.
            Reading::Better if strongest.converged == Some(false) => Reading::Undecided,
            tone => tone,
        };
        Verdict { tone, headline: self.headline(strongest, comparisons), sentences }
    }

    /// What the verdict looks at, the optimised metric first; where rows have groups, how it ranks within
    /// them.
    pub(crate) fn headline_metrics(&self) -> [Metric; 2] {
        match self.task {
            _ if self.comparisons.iter().any(|c| c.metric.needs_groups()) => {
                [Metric::NdcgAt10, Metric::HitRateAt10]
            }
            Task::Binary => [Metric::LogLoss, Metric::Auc],
            Task::Rating => [Metric::Rmse, Metric::Mae],
        }
    }

    fn comparisons_with(&self, baseline: &Candidate, metrics: [Metric; 2]) -> Vec<&Comparison> {
        let of = |metric| {
            self.comparisons.iter().find(move |c| {
                c.metric == metric && c.baseline == baseline.name && c.part == self.verdict_part
            })
        };
        metrics.into_iter().filter_map(of).collect()
    }

    fn headline(&self, strongest: &Candidate, comparisons: &[&Comparison]) -> String {
        let names = |reading: Reading, join: &str| {
            let of = comparisons.iter().filter(|c| c.reading() == reading);
            of.map(|c| c.metric.title()).collect::<Vec<_>>().join(join)
        };
        let (model, baseline, rows) = (&self.model.name, &strongest.name, &self.verdict_part);
        let (better, worse, undecided) = (
            names(Reading::Better, " and "),
            names(Reading::Worse, " and "),
            names(Reading::Undecided, " or "),
        );
        let mut claims = Vec::new();
        if !better.is_empty() {
            let claim = match strongest.converged {
                Some(false) => {
                    format!("ahead of a {baseline} that was stopped before its optimum in {better}")
                }
                _ => format!("better than {baseline} in {better}"),
            };
            claims.push(claim);
        }
        if !worse.is_empty() {
            claims.push(format!("worse than {baseline} in {worse}"));
        }
        match (claims.is_empty(), undecided.is_empty()) {
            (true, _) => {
                format!("The {rows} rows show no difference between {model} and {baseline} in {undecided}.")
            }
            (false, true) => format!("{model} is {} on the {rows} rows.", claims.join(" but ")),
            (false, false) => format!(
                "{model} is {} on the {rows} rows; in {undecided} they show no difference.",
                claims.join(" but ")
            ),
        }
    }

    /// What limits the verdict, and what to do where the model does not win.
    fn caveats(&self, strongest: &Candidate, comparisons: &[&Comparison]) -> Vec<String> {
        let mut caveats = Vec::new();
        if strongest.converged == Some(false) {
            caveats.push(format!(
                "The {} was stopped before its optimum, as the rows are many: what it could reach is \
                 unknown.",
                strongest.name
            ));
        }
        let all = |reading| comparisons.iter().all(|c| c.reading() == reading);
        let part = self.data.parts.iter().find(|part| part.name == self.verdict_part);
        let rows = part.map_or(0, |part| part.rows);
        if all(Reading::Undecided) && rows < FEW_ROWS {
            caveats.push(format!(
                "{rows} rows are too few to tell small differences: more of them, or folds, would."
            ));
        }
        if tone(comparisons) != Reading::Better && strongest.name.contains("regression") {
            caveats.push(
                "What may help: more rows, another model (`dlrm compare` measures several), or other \
                 settings (`dlrm tune` searches)."
                    .into(),
            );
        }
        caveats
    }

    fn sentence(&self, comparison: &Comparison) -> String {
        let Comparison { baseline, metric, difference, .. } = comparison;
        let value =
            |c: &Candidate| c.on(&self.verdict_part).and_then(|s| metric.of(&s.metrics)).unwrap_or(f64::NAN);
        let other = self.baselines.iter().find(|b| &b.name == baseline).map_or(f64::NAN, value);
        let own = value(&self.model);
        let interval = difference.interval;
        let format = MetricFormat::of(*metric, own).resolving(interval.high - interval.low);
        let p = difference.p_value.map_or(String::new(), |p| format!(", {}", p_value(p)));
        let meaning = match comparison.reading() {
            Reading::Better => "better",
            Reading::Worse => "worse",
            Reading::Undecided => "no difference shown",
        };
        format!(
            "{}: {} against {} of {baseline}, a difference of {} (95 % interval {}{p}): {meaning}.",
            capitalised(metric.title()),
            format.value(own),
            format.value(other),
            format.difference(interval.estimate),
            format.range(&interval),
        )
    }

    fn optimum_sentences(&self, strongest: Option<&Candidate>) -> Vec<String> {
        let Some(optimum) = self.optimum.filter(|_| self.task == Task::Binary) else {
            return Vec::new();
        };
        let known = format!(
            "The best possible here is known: log loss {:.4}, AUC {:.4} \
             (the probabilities that the clicks were drawn from).",
            optimum.log_loss, optimum.auc
        );
        let loss = |c: &Candidate| c.on(&self.verdict_part).and_then(|s| s.metrics.log_loss);
        let closed = strongest.and_then(|baseline| {
            let gap = loss(baseline)? - optimum.log_loss;
            let share = (loss(baseline)? - loss(&self.model)?) / gap;
            let name = (&self.model.name, &baseline.name);
            (gap > 0.0 && share > 0.0).then(|| {
                format!(
                    "{} closes {} of the gap in log loss between {} and that optimum.",
                    name.0,
                    percent(share),
                    name.1
                )
            })
        });
        std::iter::once(known).chain(closed).collect()
    }
}

/// Better only if nothing is worse and something better.
fn tone(comparisons: &[&Comparison]) -> Reading {
    let any = |reading| comparisons.iter().any(|c| c.reading() == reading);
    match (any(Reading::Better), any(Reading::Worse)) {
        (true, false) => Reading::Better,
        (false, true) => Reading::Worse,
        _ => Reading::Undecided,
    }
}

pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
