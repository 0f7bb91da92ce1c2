//! Features by key: what a store knows of the user and the items of a request, put into its rows as training
//! had it.
use crate::metrics::{Metrics, Outcome};
use crate::models::Loaded;
use crate::refusal::{Code, Refusal};
use crate::rows::{OwnTexts, Texts};
use dlrm_features::{Asked, Side, Store, Table};
use std::collections::HashMap;
use std::time::Duration;

/// A store that requests are joined to.
pub(crate) struct Join {
    store: Box<dyn Store>,
    /// How long a look-up may take.
    deadline: Duration,
}

/// A row that is looked up.
pub(crate) trait Row {
    /// What it holds of a column.
    fn field(&self, place: usize) -> &str;

    /// Fills a column that holds nothing.
    fn fill(&mut self, place: usize, text: &str);
}

impl Row for Texts {
    fn field(&self, place: usize) -> &str {
        &self.fields[place]
    }

    fn fill(&mut self, place: usize, text: &str) {
        self.fields[place].push_str(text);
    }
}

/// A candidate in its context.
pub(crate) struct Candidate<'a> {
    pub(crate) context: &'a Texts,
    pub(crate) own: &'a mut OwnTexts,
}

impl Row for Candidate<'_> {
    fn field(&self, place: usize) -> &str {
        self.own.get(place).unwrap_or_else(|| &self.context.fields[place])
    }

    fn fill(&mut self, place: usize, text: &str) {
        self.own.add(place, text);
    }
}

/// A table of the store as a model reads it.
struct Known<'a> {
    side: Side,
    /// Where rows have the key, which the model need not read.
    key: usize,
    /// Fields of the table and where rows have them.
    columns: Vec<(usize, usize)>,
    table: &'a Table,
}

impl Join {
    pub(crate) fn new(store: Box<dyn Store>, deadline: Duration) -> Self {
        Join { store, deadline }
    }

    /// Columns that rows are looked up by.
    pub(crate) fn keys(&self) -> Vec<String> {
        let sides = [Side::User, Side::Item].into_iter().filter_map(|side| self.store.sides().of(side));
        sides.map(|table| table.key.clone()).collect()
    }

    fn known(&self, model: &Loaded, sides: &[Side]) -> Vec<Known<'_>> {
        let of = |&side: &Side| {
            let table = self.store.sides().of(side)?;
            let key = model.format.place(&table.key)?;
            let columns = table.columns.iter().enumerate();
            let columns =
                columns.filter_map(|(field, name)| Some((field, model.format.input(name)?))).collect();
            Some(Known { side, key, columns, table })
        };
        sides.iter().filter_map(of).collect()
    }

    /// Columns of a model that come from a table.
    pub(crate) fn columns(&self, model: &Loaded, side: Side) -> Vec<usize> {
        let known = self.known(model, &[side]);
        known.iter().flat_map(|known| known.columns.iter().map(|&(_, place)| place)).collect()
    }

    /// Fills what rows leave open and the store knows, in one round trip. Whatever it does not know, or
    /// cannot say in time, stays missing, and is counted.
    pub(crate) fn fill(&self, model: &Loaded, sides: &[Side], rows: &mut [impl Row], metrics: &Metrics) {
        let known = self.known(model, sides);
        let mut asked: Vec<(Side, String)> = Vec::new();
        let mut places: HashMap<(usize, String), usize> = HashMap::new();
        for row in rows.iter() {
            for (number, known) in known.iter().enumerate() {
                let key = row.field(known.key);
                if !key.is_empty() && !places.contains_key(&(number, key.to_owned())) {
                    places.insert((number, key.to_owned()), asked.len());
                    asked.push((known.side, key.to_owned()));
                }
            }
        }
        if asked.is_empty() {
            return;
        }
        let questions: Vec<Asked<'_>> = asked.iter().map(|(side, key)| Asked { side: *side, key }).collect();
        let found = match self.store.look_up(&questions, self.deadline) {
            Ok(found) => found,
            Err(_) => return metrics.looked_up(Outcome::Failed, questions.len()),
        };
        let hits = found.iter().flatten().count();
        metrics.looked_up(Outcome::Found, hits);
        metrics.looked_up(Outcome::Missing, found.len() - hits);
        for row in rows {
            for (number, known) in known.iter().enumerate() {
                let place = places.get(&(number, row.field(known.key).to_owned()));
                let Some(fields) = place.and_then(|&place| found[place].as_ref()) else { continue };
                for &(field, place) in &known.columns {
                    // What a request says itself counts.
                    if row.field(place).is_empty() && fields.len() == known.table.columns.len() {
                        row.fill(place, &fields[field]);
                    }
                }
            }
        }
    }

    /// Whether it can say which items a user of the model has had.
    pub(crate) fn knows_seen(&self, model: &Loaded) -> bool {
        let sides = self.store.sides();
        sides.seen && sides.user.as_ref().is_some_and(|table| model.format.place(&table.key).is_some())
    }

    /// Keys of the items that a user has had; none where the store cannot say.
    pub(crate) fn seen(
        &self,
        model: &Loaded,
        user: &Texts,
        metrics: &Metrics,
    ) -> Result<Vec<String>, Refusal> {
        let sides = self.store.sides();
        let key = sides.user.as_ref().and_then(|table| model.format.place(&table.key));
        let Some(key) = key.filter(|_| sides.seen) else {
            let refusal =
                Refusal::new(Code::NotFound, "the store of features does not know what users have seen");
            let hint =
                "load it with `dlrm features load STORE --seen FILE`, or name the items in \"exclude\"";
            return Err(refusal.with_hint(hint));
        };
        match self.store.seen(&user.fields[key], self.deadline) {
            Ok(seen) => {
                metrics.looked_up(Outcome::Found, 1);
                Ok(seen)
            }
            Err(_) => {
                metrics.looked_up(Outcome::Failed, 1);
                Ok(Vec::new())
            }
        }
    }
}
