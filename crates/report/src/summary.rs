//! A finished run as a report.
use crate::caution::caution;
use crate::{
    Best, Candidate, ColumnCard, Comparison, Curve, CurvePoint, DataCard, Fact, InputCard, Optimum, PartCard,
    PartMetrics, Pictures, Report, RunCard, TableHealth, TrainingCard, VERSION,
};
use dlrm_data::counts::EncodedCounts;
use dlrm_data::format::count;
use dlrm_data::schema::{CategoricalColumn, Encoding, Schema, Task, Transform};
use dlrm_data::split::{Part, Parts, Split};
use dlrm_engine::config::{Loading, RunConfig};
use dlrm_engine::error::Result;
use dlrm_engine::run::{Outcome, Scoring};
use dlrm_engine::train_config::TrainConfig;
use dlrm_engine::train_state::{Ending, Evaluation, TrainState};
use dlrm_metrics::slices::{SliceColumn, worst_slices};
use dlrm_metrics::{Bootstrap, Metric, Ranking, Scored};

/// What the caller knows besides.
pub struct Context {
    /// Heading.
    pub title: String,
    /// Input files.
    pub inputs: Vec<InputCard>,
    /// Command, threads, facts; stages and configuration are filled in.
    pub run: RunCard,
    /// The best possible result, for simulated data.
    pub optimum: Option<Optimum>,
    /// Warnings of earlier steps.
    pub notes: Vec<String>,
}

const SLICES: usize = 10;

/// Names of the parts in reports.
pub fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

/// The report of a finished run.
///
/// # Errors
/// If rows cannot be scored.
pub fn report(outcome: &Outcome, context: Context) -> Result<Report> {
    let config = &outcome.config;
    let schema = outcome.fitted.encoder.schema();
    let (task, bootstrap) = (schema.label.task, Bootstrap::default());
    let candidates: Vec<Candidate> =
        outcome.scorings.iter().map(|s| candidate(s, outcome, task, &bootstrap)).collect::<Result<_>>()?;
    let mut candidates = candidates.into_iter();
    let model = candidates.next().expect("the model is scored");
    let mut run = context.run;
    run.stages = outcome.stages.clone();
    run.config_toml = config.to_toml();
    run.seed = config.train.seed;
    let golden = config.golden.rows.described(outcome.golden_rows);
    run.facts.push(Fact { name: "golden rows".into(), value: golden });
    let mut notes = context.notes;
    if config.data.loading == Loading::Stream {
        notes.push(format!(
            "Training rows were streamed and shuffled within windows of {} rows.",
            config.data.shuffle_window
        ));
    }
    if outcome.verdict_part != Part::Test {
        let note = match outcome.verdict_part {
            Part::Validation => {
                "There are no test rows: the figures are those of the rows that chose when to stop, \
                 and therefore optimistic."
            }
            _ => {
                "There are neither test nor validation rows. Name a file of them (data.test), split some off \
                 (data.split), or, where the split left none of so few rows, collect more."
            }
        };
        notes.push(note.into());
    }
    Ok(Report {
        version: VERSION,
        title: context.title,
        task,
        verdict_part: part_name(outcome.verdict_part).into(),
        data: data_card(outcome, config, context.inputs),
        model,
        baselines: candidates.collect(),
        comparisons: comparisons(outcome, task, &bootstrap)?,
        optimum: context.optimum,
        caution: caution(outcome, config),
        notes,
        training: training_card(outcome, config, task),
        choice: None,
        folds: None,
        slices: slices(outcome, task)?,
        calibrated: outcome.calibration.clone(),
        importance: outcome.importance.clone(),
        tables: table_health(outcome),
        run,
    })
}

/// Scored rows of a part; `None` if it has none.
fn scored<'a>(
    scoring: &'a Scoring,
    outcome: &'a Outcome,
    part: Part,
    task: Task,
) -> Result<Option<Scored<'a>>> {
    let rows = &outcome.parts[part];
    if rows.is_empty() || part == Part::Train {
        return Ok(None);
    }
    Ok(Some(Scored::of_batch(task, &scoring.logits[part as usize - 1], rows)?))
}

fn candidate(scoring: &Scoring, outcome: &Outcome, task: Task, bootstrap: &Bootstrap) -> Result<Candidate> {
    let (mut parts, mut pictures) = (Vec::new(), None);
    for part in [Part::Validation, Part::Test] {
        if let Some(rows) = scored(scoring, outcome, part, task)? {
            let ranking = Ranking::new(&rows);
            parts.push(PartMetrics::of(part_name(part), &rows, &ranking, bootstrap));
            if part == outcome.verdict_part {
                pictures = Some(Pictures::of(&rows, &ranking));
            }
        }
    }
    let (name, parameters, converged) = (scoring.name.clone(), scoring.parameters, scoring.converged);
    Ok(Candidate { name, parameters, converged, parts, pictures })
}

fn comparisons(outcome: &Outcome, task: Task, bootstrap: &Bootstrap) -> Result<Vec<Comparison>> {
    let part = outcome.verdict_part;
    let Some(model) = scored(&outcome.scorings[0], outcome, part, task)? else { return Ok(Vec::new()) };
    let ranking = Ranking::new(&model);
    let mut all = Vec::new();
    for other in &outcome.scorings[1..] {
        if let Some(rows) = scored(other, outcome, part, task)? {
            all.extend(Comparison::all(
                &other.name,
                part_name(part),
                (&model, &ranking),
                (&rows, &Ranking::new(&rows)),
                bootstrap,
            )?);
        }
    }
    Ok(all)
}

fn slices(outcome: &Outcome, task: Task) -> Result<Vec<dlrm_metrics::slices::Slice>> {
    let Some(rows) = scored(&outcome.scorings[0], outcome, outcome.verdict_part, task)? else {
        return Ok(Vec::new());
    };
    let encoder = &outcome.fitted.encoder;
    let layout = encoder.layout();
    let batch = &outcome.parts[outcome.verdict_part];
    let texts: Vec<_> = layout
        .features
        .iter()
        .map(|f| move |id: u32| encoder.decode(f.table, id).unwrap_or_else(|| format!("bucket {id}")))
        .collect();
    let columns: Vec<SliceColumn<'_>> = layout
        .features
        .iter()
        .zip(&batch.bags)
        .zip(&texts)
        // A bucket of a cross has no name that would mean anything.
        .filter(|((feature, _), _)| !feature.crossed)
        .map(|((feature, values), text)| SliceColumn { name: &feature.name, values, text })
        .collect();
    Ok(worst_slices(&rows, &columns, SLICES)?)
}

fn data_card(outcome: &Outcome, config: &RunConfig, inputs: Vec<InputCard>) -> DataCard {
    let schema = outcome.fitted.encoder.schema();
    let parts = [Part::Train, Part::Validation, Part::Test]
        .into_iter()
        .filter(|&p| outcome.fitted.rows[p] > 0)
        .map(|part| {
            let stats = &outcome.stats[part];
            let mean_label = stats.mean_label();
            PartCard { name: part_name(part).into(), rows: outcome.fitted.rows[part], mean_label }
        });
    DataCard {
        inputs,
        label: schema.label.says().unwrap_or_else(|| schema.label.column.clone()),
        split_by: split_text(config, outcome.fitted.rows),
        parts: parts.collect(),
        columns: columns(outcome, schema),
        skipped_rows: outcome.fitted.skipped,
    }
}

/// `rows` of (train, validation, test).
fn split_text(config: &RunConfig, rows: Parts<u64>) -> String {
    // A part with rows but without a share has an input of its own.
    let share = |name: &str, share: f64, rows: u64| match (share, rows) {
        (0.0, 0) => format!("no {name} rows"),
        (0.0, _) => format!("{name} rows from an input of their own"),
        _ => format!("{name} {share}"),
    };
    let shares = |validation, test| {
        format!(
            "{}, {}",
            share("validation", validation, rows[Part::Validation]),
            share("test", test, rows[Part::Test])
        )
    };
    let data = &config.data;
    match &data.split {
        Split::Random { validation, test, seed } => {
            format!("random by hash (seed {seed}): {}", shares(*validation, *test))
        }
        Split::Order { validation, test } => {
            format!("by the order of the rows: {}", shares(*validation, *test))
        }
        Split::Time { validation, test } => format!("by time: {}", shares(*validation, *test)),
        Split::LastDay { days: Some(days) } => {
            format!("the last of {days} days: its first half tests, its second half validates")
        }
        Split::LastDay { days: None } => {
            "the last file: its first half tests, its second half validates".into()
        }
        Split::Column { column, .. } => format!("given by column {column}"),
        Split::Folds { folds, fold, validation, seed } => {
            let validation = share("validation", *validation, rows[Part::Validation]);
            format!("fold {} of {folds} tests (seed {seed}); of the others: {validation}", fold + 1)
        }
    }
}

fn columns(outcome: &Outcome, schema: &Schema) -> Vec<ColumnCard> {
    let layout = outcome.fitted.encoder.layout();
    let dense = schema.dense.iter().zip(outcome.fitted.encoder.dense()).map(|(column, scale)| {
        let mut encoding = match column.transform {
            Transform::None => "as it is".to_owned(),
            Transform::Standardize => "standardize".to_owned(),
            Transform::Log1p => "log1p".to_owned(),
            Transform::PiecewiseLinear => match &scale.pieces {
                Some(pieces) => format!("piecewise linear in {} bins", pieces.len()),
                None => "standardize (too few values for bins)".to_owned(),
            },
        };
        if let Some([low, high]) = scale.clip {
            encoding = format!("clip to {low:.4}…{high:.4}, {encoding}");
        }
        if scale.indicator {
            encoding.push_str(", missing indicator");
        }
        ColumnCard {
            name: column.name.clone(),
            kind: "dense".into(),
            encoding,
            table: None,
            table_rows: None,
            missing: None,
            unseen: None,
        }
    });
    let categorical =
        schema.categorical.iter().zip(&layout.features).enumerate().map(|(c, (column, feature))| {
            let counts = outcome.stats[outcome.verdict_part].counts[c];
            let table = &layout.tables[feature.table];
            ColumnCard {
                name: column.name.clone(),
                kind: if column.multi.is_some() { "multi-valued" } else { "categorical" }.into(),
                encoding: encoding_text(column),
                table: Some(table.name.clone()),
                table_rows: Some(table.rows as u64),
                missing: Some(counts.missing_rate()),
                unseen: counts.unseen_rate(),
            }
        });
    dense.chain(categorical).collect()
}

/// An encoding in words.
pub fn encoding_text(column: &CategoricalColumn) -> String {
    match &column.encoding {
        Encoding::Vocabulary { min_count, max_ind_range } => {
            let least = if *min_count > 1 { format!(", min count {min_count}") } else { String::new() };
            format!("vocabulary{}{least}", range_text(*max_ind_range))
        }
        Encoding::FirstSeen { max_ind_range } => {
            format!("first seen (as the reference){}", range_text(*max_ind_range))
        }
        Encoding::Hash { buckets, seed } => format!("hash into {buckets} buckets, seed {seed}"),
        Encoding::Identity { bound } => format!("identity below {bound}"),
    }
}

fn range_text(range: Option<u32>) -> String {
    range.map_or_else(String::new, |range| format!(", hexadecimal modulo {range}"))
}

fn training_card(outcome: &Outcome, config: &RunConfig, task: Task) -> TrainingCard {
    let (state, monitor) = (&outcome.state, config.train.monitor.unwrap_or(Metric::LogLoss));
    let loss = Metric::usual(task);
    let point = |e: &Evaluation, value: f64| CurvePoint { step: e.step, epoch: e.epoch, value };
    let mut curves = Vec::new();
    let train_loss = |e: &Evaluation| if task == Task::Binary { e.train_loss } else { e.train_loss.sqrt() };
    // Other losses than these two are not in the metric's unit, so they are not drawn beside it.
    let drawn = match config.train.loss {
        Some(dlrm_nn::Loss::MseOfProbability) => false,
        Some(dlrm_nn::Loss::Bce { positive_weight }) => positive_weight == 1.0,
        _ => true,
    };
    if drawn {
        curves.push(Curve {
            part: "train".into(),
            metric: loss,
            points: state.history.iter().map(|p| point(p, train_loss(p))).collect(),
        });
    }
    for metric in [loss, Metric::Auc] {
        let points: Vec<_> =
            state.history.iter().filter_map(|p| Some(point(p, metric.of(p.validation.as_ref()?)?))).collect();
        if !points.is_empty() {
            curves.push(Curve { part: "validation".into(), metric, points });
        }
    }
    let best = state.best.filter(|_| !config.train.keeps_last(state)).and_then(|best| {
        let at = state.history.iter().find(|p| p.step == best.step)?;
        Some(Best { step: best.step, epoch: at.epoch, metric: monitor, value: best.value })
    });
    let mut ended = ended(state, &config.train, monitor);
    if outcome.refit {
        ended.push_str(
            " What is kept is the regression. It was trained on the validation rows too, after these had \
             chosen, measured and calibrated it.",
        );
    }
    TrainingCard { curves, best, ended }
}

/// Why training ended, and whether more of it might have helped.
fn ended(state: &TrainState, config: &TrainConfig, monitor: Metric) -> String {
    let steps = count(state.step);
    let text = match state.ending {
        Some(Ending::Patience) => format!(
            "Stopped early: {} evaluations in a row without a better validation {}.",
            state.evaluations_without_improvement,
            monitor.title()
        ),
        Some(Ending::Steps) => format!("All {steps} steps were taken."),
        Some(Ending::Budget) => format!("The time was up after {steps} steps."),
        Some(Ending::Converged) => return "Trained to the optimum of its loss (L-BFGS).".into(),
        Some(Ending::Iterations) => {
            return format!("Stopped after {steps} iterations of L-BFGS, before the optimum of its loss.");
        }
        Some(Ending::Diverged) => {
            return format!(
                "Training diverged after step {steps}: the weights are those of the best evaluation before."
            );
        }
        Some(Ending::Epochs) | None => {
            format!("All {} epochs were trained.", config.epochs.unwrap_or(state.epoch))
        }
    };
    let improving = state.best.is_some_and(|best| best.step == state.step);
    if improving { format!("{text} It was still improving when it stopped.") } else { text }
}

fn table_health(outcome: &Outcome) -> Vec<TableHealth> {
    let weights = outcome.network.weights();
    let counts = &outcome.stats[outcome.verdict_part].counts;
    weights
        .tables()
        .iter()
        .enumerate()
        .map(|(index, table)| {
            let state = outcome.tables[index];
            let used = weights
                .slots()
                .all()
                .iter()
                .filter(|s| s.tables().any(|p| p.table == index))
                .map(|s| counts[s.feature]);
            let used = used.fold(EncodedCounts::default(), EncodedCounts::plus);
            TableHealth {
                name: table.name.clone(),
                rows: table.rows as u64,
                dim: table.dim as u64,
                untouched: state.untouched,
                mean_norm: state.mean_norm,
                max_norm: state.max_norm,
                unseen: used.unseen_rate(),
            }
        })
        .collect()
}
