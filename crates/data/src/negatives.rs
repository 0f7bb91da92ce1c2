//! Implicit feedback: beside every positive row of an epoch, items that its user did not take, drawn afresh
//! in each epoch (He et al. 2017, section 3.1: log loss with negative sampling).
use crate::batch::{Batch, BatchSource, Layout};
use crate::error::{Error, Result, nearest, quoted};
use crate::rng::{Rng, mix};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What to draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negatives {
    /// Negatives for each positive row.
    #[serde(default = "four")]
    pub per_positive: u32,
    /// Categorical column of users.
    pub user: String,
    /// Categorical column of items: negatives are uniform over the items of the training rows that the user
    /// took in none.
    pub item: String,
    /// Further categorical columns that describe the item and change with it (genre, year).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub item_columns: Vec<String>,
}

fn four() -> u32 {
    4
}

/// Draws negatives for rows in memory.
#[derive(Debug)]
pub struct Sampler {
    rows: Arc<Batch>,
    per_positive: usize,
    user: usize,
    item: usize,
    /// Whether a feature changes with the item.
    with_item: Vec<bool>,
    positives: Vec<u32>,
    /// A row of each item.
    items: Vec<u32>,
    /// Items of user u, ascending: `taken[starts[u]..starts[u + 1]]`.
    starts: Vec<u32>,
    taken: Vec<u32>,
}

impl Sampler {
    /// For training `rows` of this layout.
    ///
    /// # Errors
    /// Columns that are not there or hold several values, a user without an item left to draw.
    pub fn new(rows: Arc<Batch>, layout: &Layout, config: &Negatives) -> Result<Self> {
        let find = |key: &str, name: &String| column(layout, key, name);
        let (user, item) = (find("user", &config.user)?, find("item", &config.item)?);
        let mut with_item = vec![false; layout.features.len()];
        with_item[item] = true;
        for name in &config.item_columns {
            with_item[find("item_columns", name)?] = true;
        }
        let single = |feature: usize| rows.bags[feature].ids.len() == rows.len();
        if let Some(several) = [user, item].into_iter().find(|&f| !single(f)) {
            let what = format!("data.negatives: column \"{}\"", layout.features[several].name);
            return Err(Error::input(what, "one value per row", "several"));
        }
        if let Some(crossed) = layout.features.iter().find(|f| f.crossed) {
            let what = format!("data.negatives: cross \"{}\"", crossed.name);
            return Err(Error::input(what, "no crosses beside sampled negatives", "one")
                .with_hint("leave out `crosses` or `negatives`"));
        }
        let positives: Vec<u32> =
            (0..rows.len() as u32).filter(|&row| rows.labels[row as usize] > 0.0).collect();
        let per_positive = config.per_positive as usize;
        if rows.len() + positives.len() * per_positive > u32::MAX as usize {
            return Err(Error::input(
                "data.negatives.per_positive",
                "fewer than 2^32 rows an epoch",
                per_positive.to_string(),
            ));
        }
        let mut sampler = Sampler {
            per_positive,
            user,
            item,
            with_item,
            positives,
            items: Vec::new(),
            starts: Vec::new(),
            taken: Vec::new(),
            rows,
        };
        sampler.index(layout);
        sampler.check_left(layout)?;
        Ok(sampler)
    }

    /// Finds a row of each item, and the items of each user.
    fn index(&mut self, layout: &Layout) {
        let (users, items) = (&self.rows.bags[self.user].ids, &self.rows.bags[self.item].ids);
        let rows_of = |feature: usize| layout.tables[layout.features[feature].table].rows;
        let mut first = vec![u32::MAX; rows_of(self.item)];
        let mut starts = vec![0u32; rows_of(self.user) + 1];
        for (row, (&user, &item)) in users.iter().zip(items).enumerate() {
            if first[item as usize] == u32::MAX {
                first[item as usize] = row as u32;
            }
            starts[user as usize + 1] += 1;
        }
        self.items = first.into_iter().filter(|&row| row != u32::MAX).collect();
        (1..starts.len()).for_each(|user| starts[user] += starts[user - 1]);
        let (mut taken, mut next) = (vec![0u32; users.len()], starts.clone());
        for (&user, &item) in users.iter().zip(items) {
            taken[next[user as usize] as usize] = item;
            next[user as usize] += 1;
        }
        starts.windows(2).for_each(|user| taken[user[0] as usize..user[1] as usize].sort_unstable());
        (self.starts, self.taken) = (starts, taken);
    }

    fn check_left(&self, layout: &Layout) -> Result<()> {
        let distinct =
            |user: &[u32]| self.taken[user[0] as usize..user[1] as usize].chunk_by(|a, b| a == b).count();
        match self.starts.windows(2).position(|user| distinct(user) == self.items.len()) {
            Some(user) if !self.positives.is_empty() => {
                let what = format!("data.negatives: column \"{}\"", layout.features[self.user].name);
                let found = format!("one (row {user} of its table) that took all {} items", self.items.len());
                Err(Error::input(what, "users with an item left to draw", found))
            }
            _ => Ok(()),
        }
    }

    /// Rows of an epoch: those in memory and the negatives.
    pub fn len(&self) -> usize {
        self.rows.len() + self.positives.len() * self.per_positive
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Share of positive rows in an epoch, weighted where rows carry weights.
    pub fn mean_label(&self) -> f64 {
        let weight = |row: usize| self.rows.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
        let all: f64 = (0..self.rows.len()).map(weight).sum();
        let positive: f64 = self.positives.iter().map(|&row| weight(row as usize)).sum();
        positive / (all + positive * self.per_positive as f64).max(f64::MIN_POSITIVE)
    }

    /// Appends example `number` of the epoch with this key: a row in memory, or a negative of one.
    fn push(&self, number: usize, key: u64, out: &mut Batch) {
        let Some(negative) = number.checked_sub(self.rows.len()) else {
            return out.push_row_of(&self.rows, number);
        };
        let positive = self.positives[negative / self.per_positive] as usize;
        let drawn = self.draw(positive, Rng::new(key, negative as u64)) as usize;
        for (f, (to, from)) in out.bags.iter_mut().zip(&self.rows.bags).enumerate() {
            to.push_row_of(from, if self.with_item[f] { drawn } else { positive });
        }
        out.push_rest_of(&self.rows, positive);
        *out.labels.last_mut().expect("just pushed") = 0.0;
    }

    /// A row of an item that the user of row `positive` did not take. Each draw depends on its own stream
    /// alone.
    fn draw(&self, positive: usize, mut rng: Rng) -> u32 {
        let user = self.rows.bags[self.user].ids[positive] as usize;
        let taken = &self.taken[self.starts[user] as usize..self.starts[user + 1] as usize];
        loop {
            let row = self.items[rng.below(self.items.len())];
            if taken.binary_search(&self.rows.bags[self.item].ids[row as usize]).is_err() {
                return row;
            }
        }
    }
}

fn column(layout: &Layout, key: &str, name: &str) -> Result<usize> {
    let names = || layout.features.iter().filter(|f| !f.crossed).map(|f| f.name.as_str());
    names().position(|known| known == name).ok_or_else(|| {
        let known = names().collect::<Vec<_>>().join(", ");
        let error = Error::input(
            format!("data.negatives.{key}"),
            format!("one of the categorical columns {known}"),
            quoted(name),
        );
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None => error,
        }
    })
}

/// An epoch of rows and fresh negatives in random order. Order and draws depend on (seed, epoch) alone.
pub struct SampledBatches {
    sampler: Arc<Sampler>,
    order: Vec<u32>,
    key: u64,
    batch_size: usize,
    at: usize,
}

impl SampledBatches {
    /// Epoch `epoch`, after its first `skip` batches.
    pub fn new(sampler: Arc<Sampler>, batch_size: usize, seed: u64, epoch: u64, skip: u64) -> Self {
        let mut order: Vec<u32> = (0..sampler.len() as u32).collect();
        Rng::new(seed, epoch).shuffle(&mut order);
        let at = order.len().min((skip as usize).saturating_mul(batch_size));
        SampledBatches { sampler, order, key: mix(seed ^ mix(!epoch)), batch_size, at }
    }
}

impl BatchSource for SampledBatches {
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        out.clear();
        let end = self.order.len().min(self.at + self.batch_size);
        self.order[self.at..end].iter().for_each(|&number| self.sampler.push(number as usize, self.key, out));
        self.at = end;
        Ok(!out.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Bags, Feature, TableLayout};
    use std::collections::HashSet;

    /// Users 0..5 and items 0..9; user u took items u and u + 1; each item has its genre, its id halved.
    fn sampler(change: impl Fn(&mut Negatives)) -> Result<Sampler> {
        let feature = |(table, name): (usize, &str)| Feature::new(name, table);
        let layout = Layout {
            features: ["user", "item", "genre", "hour"].into_iter().enumerate().map(feature).collect(),
            tables: [5, 9, 5, 10].map(|rows| TableLayout { name: "t".into(), rows }).to_vec(),
            ..Layout::default()
        };
        let mut rows = Batch::new(&layout);
        let mut push = |user: u32, item: u32, label: f32| {
            let hour = rows.len() as u32 % 10;
            for (bags, id) in rows.bags.iter_mut().zip([user, item, item / 2, hour]) {
                bags.ids.push(id);
                bags.offsets.push(bags.ids.len() as u32);
            }
            rows.labels.push(label);
        };
        (0..5).for_each(|u| (u..u + 2).for_each(|item| push(u, item, 1.0)));
        (5..9).for_each(|item| push(0, item, 0.0));
        let mut config = Negatives {
            per_positive: 3,
            user: "user".into(),
            item: "item".into(),
            item_columns: vec!["genre".into()],
        };
        change(&mut config);
        Sampler::new(Arc::new(rows), &layout, &config)
    }

    fn epoch(sampler: &Arc<Sampler>, epoch: u64, skip: u64) -> Vec<(u32, u32, u32, u32, f32)> {
        let mut batches = SampledBatches::new(sampler.clone(), 7, 1, epoch, skip);
        let mut batch = Batch { bags: vec![Bags::new(); 4], ..Batch::default() };
        let mut all = Vec::new();
        while batches.next_batch(&mut batch).unwrap() {
            let id = |f: usize, b: usize| batch.bags[f].row(b)[0];
            all.extend((0..batch.len()).map(|b| (id(0, b), id(1, b), id(2, b), id(3, b), batch.labels[b])));
        }
        all
    }

    #[test]
    fn negatives_are_items_not_taken_and_new_in_each_epoch() {
        let sampler = Arc::new(sampler(|_| ()).unwrap());
        assert_eq!((sampler.len(), sampler.mean_label()), (14 + 30, 10.0 / 44.0));
        let first = epoch(&sampler, 0, 0);
        assert_eq!(first.len(), 44);
        let taken: HashSet<(u32, u32)> =
            (0..5).flat_map(|u| [(u, u), (u, u + 1)]).chain((5..9).map(|item| (0, item))).collect();
        let negatives = |rows: &[(u32, u32, u32, u32, f32)]| -> Vec<(u32, u32)> {
            rows.iter().filter(|r| r.4 == 0.0 && !taken.contains(&(r.0, r.1))).map(|r| (r.0, r.1)).collect()
        };
        assert_eq!(negatives(&first).len(), 30, "none is a pair of the data");
        assert!(first.iter().all(|&(_, item, genre, ..)| genre == item / 2), "the genre comes with the item");
        assert_eq!(epoch(&sampler, 0, 0), first, "the same epoch is the same");
        assert_eq!(epoch(&sampler, 0, 2), first[14..], "also from its middle");
        let mut sorted = [negatives(&first), negatives(&epoch(&sampler, 1, 0))];
        sorted.iter_mut().for_each(|pairs| pairs.sort_unstable());
        assert_ne!(sorted[0], sorted[1], "drawn afresh");
    }

    #[test]
    fn draws_are_uniform_over_what_is_left() {
        let sampler = sampler(|_| ()).unwrap();
        let mut counts = [0; 9];
        (0..7000).for_each(|i| {
            counts[sampler.rows.bags[1].ids[sampler.draw(4, Rng::new(3, i)) as usize] as usize] += 1
        });
        // Row 4 is one of user 2, who took 2 and 3.
        assert_eq!((counts[2], counts[3]), (0, 0));
        assert!(
            counts.iter().enumerate().all(|(item, &n)| matches!(item, 2 | 3) || (900..1100).contains(&n)),
            "{counts:?}"
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (change, parts) in [
            (
                Box::new(|n: &mut Negatives| n.item = "itm".into()) as Box<dyn Fn(&mut Negatives)>,
                ["data.negatives.item", "\"itm\""],
            ),
            (
                Box::new(|n: &mut Negatives| n.item_columns = vec!["year".into()]),
                ["data.negatives.item_columns", "\"year\""],
            ),
        ] {
            let error = sampler(change).unwrap_err().to_string();
            parts.iter().for_each(|part| assert!(error.contains(part), "{error}"));
        }
    }
}
