//! `dlrm explain`: what the columns are worth to a model, or what moves the scores of single rows.
use super::failure::Failure;
use super::files::{Begun, answer};
use super::rows_to_score::{CHUNK, RowsToScore};
use super::scoring_args::ExplainArgs;
use super::session::Session;
use super::{memory, output};
use dlrm::data::Batch;
use dlrm::data::format;
use dlrm::data::parse::Labels;
use dlrm::data::schema::{Schema, Task};
use dlrm::engine::explain::{
    Column, ColumnKind, Explained, Explainer, Importance, Orders, RowSample, Shuffles, columns, importance,
    orders,
};
use dlrm::engine::{InputScorer, Parallel, Predictor, Workspace, learner};
use dlrm::report::terminal::{importance_table, table};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &ExplainArgs) -> Result<(), Failure> {
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let columns = columns(predictor.encoder());
    let (pool, mut workspace) = (learner::pool(session.threads)?, Workspace::new());
    let network = predictor.network();
    let mut score = |batch: &Batch| {
        let mut logits = vec![0.0; batch.len()];
        network.logits(batch, &mut logits, &mut workspace, Parallel::Pool(&pool));
        logits
    };
    if args.rows.is_none() && args.row.is_empty() {
        let read = read(session, args, &predictor, Labels::Required)?;
        let shuffles = Shuffles { repeats: args.repeats, seed: args.seed };
        let found = importance(&read.sample, &columns, predictor.task(), shuffles, &mut score)?;
        let text = importance_text(session.json || read.file.is_some(), predictor.task(), &found);
        return answer(read.file, &text);
    }
    let read = read(session, args, &predictor, Labels::Ignored)?;
    let orders = orders(network, &predictor.config().model, args.orders, args.seed);
    let explainer = Explainer::new(&columns, &read.sample, orders, &mut score);
    let (json, mut text) = (session.json || read.file.is_some(), String::new());
    for (place, &number) in read.numbers.iter().enumerate() {
        let found = explainer.explain((&read.rows, place), number, &mut score);
        let row = Row { number, columns: &columns, texts: &read.texts[place], found: &found };
        text.push_str(&if json { row.json(&predictor) } else { row.text(&predictor) });
    }
    if !json {
        text.push_str(&about(orders, read.sample.len()));
    }
    answer(read.file, &text)
}

/// What was read of the input.
struct Read<'a> {
    /// The rows that are measured on, or stand in the background.
    sample: Batch,
    /// The rows to explain, their numbers (the first is 1) and the text of each column.
    rows: Batch,
    numbers: Vec<u64>,
    texts: Vec<Vec<String>>,
    /// Where the answer goes, if not to standard output.
    file: Option<Begun<'a>>,
}

/// Reads all rows.
fn read<'a>(
    session: &Session,
    args: &'a ExplainArgs,
    predictor: &Predictor,
    labels: Labels,
) -> Result<Read<'a>, Failure> {
    let (schema, layout) = (predictor.encoder().schema(), predictor.encoder().layout());
    let input = RowsToScore::of(&args.data, predictor, labels)?;
    if let (Labels::Ignored, RowsToScore::Prepared(..)) = (labels, &input) {
        let message = format!("--row: expected raw files, found {}, which have no text", input.name());
        return Err(Failure::usage(message, "name the raw files; what the columns are worth needs no text"));
    }
    let file = input.output(session, &args.out)?;
    let asked = |number: u64| args.rows.is_some_and(|most| number <= most) || args.row.contains(&number);
    let most = if labels == Labels::Ignored { args.background } else { args.sample };
    let mut sample = RowSample::new(&layout, most, args.seed);
    let (mut rows, mut numbers, mut texts) = (Batch::new(&layout), Vec::new(), Vec::new());
    let mut scorer = input.scorer(&args.data, predictor, labels)?;
    let fields = fields(schema, scorer.columns());
    let mut number = 0;
    while !scorer.is_done() {
        let batch = scorer.encode(CHUNK)?;
        sample.show(batch);
        let (batch, skipped) = (scorer.batch(), scorer.skipped_before());
        for (row, before) in skipped[..batch.len()].iter().enumerate() {
            number += 1 + before;
            if asked(number) {
                rows.push_row_of(batch, row);
                numbers.push(number);
                texts.push(fields.iter().map(|places| text_of(&scorer, row, places)).collect());
            }
        }
        number += skipped.last().copied().unwrap_or(0);
    }
    output::bad_rows(session, scorer.bad(), scorer.bad_rows());
    let (sample, _) = sample.finish();
    if sample.is_empty() {
        return Err(Failure::data(
            format!("{}: expected rows, found none", input.name()),
            "give rows to explain",
        ));
    }
    if let Some(missing) = args.row.iter().find(|row| !numbers.contains(row)) {
        let message = format!("--row: expected the number of a good row among {number}, found {missing}");
        return Err(Failure::usage(message, "the first row is 1"));
    }
    Ok(Read { sample, rows, numbers, texts, file })
}

/// The fields of each column, in the order of [`columns`].
fn fields(schema: &Schema, names: &[String]) -> Vec<Vec<usize>> {
    let place = |name: &String| names.iter().position(|field| field == name);
    let dense = schema.dense.iter().map(|column| vec![&column.name]);
    let categorical = schema.categorical.iter().map(|column| vec![&column.name]);
    let crosses = schema.crosses.iter().map(|cross| cross.columns.iter().collect());
    let all = dense.chain(categorical).chain(crosses);
    all.map(|names: Vec<&String>| names.into_iter().filter_map(place).collect()).collect()
}

/// What stands in these fields of a row.
fn text_of(scorer: &InputScorer<'_>, row: usize, fields: &[usize]) -> String {
    let texts: Vec<&str> = fields.iter().map(|&field| scorer.field(row, field)).collect();
    texts.join(" * ")
}

fn importance_text(json: bool, task: Task, found: &Importance) -> String {
    if json {
        return format!("{}\n", serde_json::to_value(found).expect("plain data"));
    }
    let loss = if task == Task::Binary { "log loss" } else { "squared error" };
    format!(
        "{} rows, {loss} {:.5}; what it rises by when one column is shuffled ({} times):\n\n{}",
        format::count(found.rows),
        found.loss,
        found.repeats,
        importance_table(found)
    )
}

/// A row with what its logit is made of.
struct Row<'a> {
    number: u64,
    columns: &'a [Column],
    texts: &'a [String],
    found: &'a Explained,
}

impl Row<'_> {
    /// The columns by falling size of their values.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by(|&a, &b| self.found.values[b].abs().total_cmp(&self.found.values[a].abs()));
        order
    }

    fn text(&self, predictor: &Predictor) -> String {
        let found = self.found;
        let prediction = match predictor.task() {
            Task::Binary => format!(" (probability {:.5})", predictor.prediction(found.logit as f32)),
            Task::Rating => String::new(),
        };
        let row = |&c: &usize| {
            let shown: String = self.texts[c].chars().take(32).collect();
            let error = format!("{:.5}", found.errors[c]);
            vec![self.columns[c].name.clone(), shown, format!("{:+.5}", found.values[c]), error]
        };
        let rows: Vec<Vec<String>> = self.order().iter().map(row).collect();
        format!(
            "row {}: logit {:.5}{prediction}, background {:.5}\n{}\n",
            self.number,
            found.logit,
            found.base,
            table(&["column", "value", "adds", "standard error"], &rows)
        )
    }

    fn json(&self, predictor: &Predictor) -> String {
        let found = self.found;
        let column = |c: usize| {
            let Column { name, kind, .. } = &self.columns[c];
            let kind: ColumnKind = *kind;
            serde_json::json!({
                "column": name, "kind": kind, "value": self.texts[c], "shapley": found.values[c],
                "standard_error": found.errors[c],
            })
        };
        let value = serde_json::json!({
            "row": self.number,
            "logit": found.logit,
            "prediction": predictor.prediction(found.logit as f32),
            "base": found.base,
            "columns": self.order().into_iter().map(column).collect::<Vec<_>>(),
        });
        format!("{value}\n")
    }
}

/// How the values of rows were computed.
fn about(orders: Orders, background: usize) -> String {
    let rows = format::count(background as u64);
    match orders {
        Orders::One => format!("Shapley values, exact over {rows} background rows.\n"),
        Orders::Random { orders, .. } => format!(
            "Shapley values over {rows} background rows; random orders of the columns for each: {orders}, \
             walked both ways.\n"
        ),
    }
}
