//! `dlrm explain`: what the columns are worth to a model, or what moves the scores of single rows.
use super::failure::Failure;
use super::files::{Begun, answer};
use super::output;
use super::rows_to_score::RowsToScore;
use super::scoring_args::ExplainArgs;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::data::Batch;
use dlrm::data::format;
use dlrm::data::parse::Labels;
use dlrm::data::schema::Task;
use dlrm::engine::explain::{
    AskedRows, Column, ColumnKind, Explained, Explainer, Importance, Orders, Shuffles, columns, importance,
    orders,
};
use dlrm::engine::{Parallel, Predictor, Workspace, learner};
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
        let (read, file) = read(session, args, &predictor, Labels::Required)?;
        let shuffles = Shuffles { repeats: args.repeats, seed: args.seed };
        let found = importance(&read.sample, &columns, predictor.task(), shuffles, &mut score)?;
        let text = importance_text(session.json || file.is_some(), predictor.task(), &found);
        return answer(file, &text);
    }
    let (read, file) = read(session, args, &predictor, Labels::Ignored)?;
    let orders = orders(network, &predictor.config().model, args.orders, args.seed);
    let explainer = Explainer::new(&columns, &read.sample, orders, &mut score);
    let (json, mut text) = (session.json || file.is_some(), String::new());
    for (place, &number) in read.numbers.iter().enumerate() {
        let found = explainer.explain((&read.rows, place), number, &mut score);
        let row = Row { number, columns: &columns, texts: &read.texts[place], found: &found };
        text.push_str(&if json { row.json(&predictor) } else { row.text(&predictor) });
    }
    if !json {
        text.push_str(&about(orders, read.sample.len()));
    }
    answer(file, &text)
}

/// Reads all rows.
fn read<'a>(
    session: &Session,
    args: &'a ExplainArgs,
    predictor: &Predictor,
    labels: Labels,
) -> Result<(AskedRows, Option<Begun<'a>>), Failure> {
    let input = RowsToScore::of(&args.data, predictor, labels)?;
    if let (Labels::Ignored, RowsToScore::Prepared(..)) = (labels, &input) {
        let message = format!("--row: expected raw files, found {}, which have no text", input.name());
        return Err(Failure::usage(message, "name the raw files; what the columns are worth needs no text"));
    }
    let file = input.output(session, &args.out)?;
    let asked = |number: u64| args.rows.is_some_and(|most| number <= most) || args.row.contains(&number);
    let most = if labels == Labels::Ignored { args.background } else { args.sample };
    let mut scorer = input.scorer(&args.data, predictor, labels)?;
    let read = AskedRows::read(predictor.encoder(), &mut scorer, (most, args.seed), &asked, &mut || Ok(()))?;
    output::bad_rows(session, scorer.bad(), scorer.bad_rows());
    if read.sample.is_empty() {
        return Err(Failure::data(
            format!("{}: expected rows, found none", input.name()),
            "give rows to explain",
        ));
    }
    if let Some(missing) = args.row.iter().find(|row| !read.numbers.contains(row)) {
        let message = format!("--row: expected the number of a good row among {}, found {missing}", read.all);
        return Err(Failure::usage(message, "the first row is 1"));
    }
    Ok((read, file))
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
