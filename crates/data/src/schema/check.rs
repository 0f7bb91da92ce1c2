//! Contradictions in a schema.
use super::{CategoricalColumn, DenseColumn, Encoding, MultiValued, Pooling, Schema, Task, Transform};
use crate::error::{Error, Result, nearest, quoted};
use std::collections::HashSet;

/// Bins of a dense column, at most: each is an input of the model.
const MOST_BINS: u32 = 256;

impl Schema {
    /// Contradictions that can be seen without data.
    ///
    /// # Errors
    /// The first one found; `name` is the input it is reported for.
    pub fn check(&self, name: &str) -> Result<()> {
        if self.dense.is_empty() && self.categorical.is_empty() {
            return Err(Error::input(name, "at least one dense or categorical column", "none"));
        }
        self.check_names(name)?;
        self.check_dense(name)?;
        for column in &self.categorical {
            self.check_categorical(column, format!("{name}: categorical column \"{}\"", column.name))?;
        }
        self.check_pooling(name)?;
        self.check_crosses(name)?;
        self.check_label(name)
    }

    fn check_names(&self, name: &str) -> Result<()> {
        let mut seen = HashSet::new();
        let mut sources = self.dense.iter().flat_map(DenseColumn::sources);
        let is_label = |source: &str| source == self.label.column;
        if sources.any(is_label) || self.categorical.iter().any(|column| is_label(column.source())) {
            let found = format!("\"{}\" as input and as label", self.label.column);
            return Err(Error::input(name, "inputs that do not hold the label", found));
        }
        for column in self.dense.iter().map(|c| &c.name).chain(self.categorical.iter().map(|c| &c.name)) {
            if column == &self.label.column {
                return Err(Error::input(
                    name,
                    "inputs that do not hold the label",
                    format!("column \"{column}\" as input and as label"),
                ));
            }
            if !seen.insert(column) {
                return Err(Error::input(name, "each column once", format!("column \"{column}\" twice")));
            }
        }
        Ok(())
    }

    fn check_dense(&self, name: &str) -> Result<()> {
        for column in &self.dense {
            if let Some(age) = column.age.as_ref().filter(|age| age.column == age.until) {
                let what = format!("{name}: dense column \"{}\": age", column.name);
                let found = format!("\"{}\" as `column` and as `until`", age.column);
                return Err(Error::input(what, "the moments of two columns", found));
            }
            if let Some([low, high]) = column.clip_quantiles
                && !(0.0..=1.0).contains(&low) | !(0.0..=1.0).contains(&high) | (low >= high)
            {
                let what = format!("{name}: dense column \"{}\": clip_quantiles", column.name);
                return Err(Error::input(what, "two rising quantiles in 0..=1", format!("[{low}, {high}]")));
            }
            let what = || format!("{name}: dense column \"{}\": bins", column.name);
            match (column.bins, column.transform) {
                (None | Some(2..=MOST_BINS), Transform::PiecewiseLinear) | (None, _) => {}
                (Some(bins), Transform::PiecewiseLinear) => {
                    return Err(Error::input(what(), format!("2 to {MOST_BINS} bins"), bins.to_string()));
                }
                (Some(_), _) => {
                    let expected = "transform = \"piecewise_linear\" beside it";
                    return Err(Error::input(what(), expected, "another transform"));
                }
            }
            if column.sentinels.iter().any(|value| !value.is_finite()) {
                let what = format!("{name}: dense column \"{}\": sentinels", column.name);
                return Err(Error::input(what, "finite numbers", format!("{:?}", column.sentinels)));
            }
            if let Some(value) = column.missing_value.filter(|value| !value.is_finite()) {
                let what = format!("{name}: dense column \"{}\": missing_value", column.name);
                return Err(Error::input(what, "a finite number", value.to_string()));
            }
        }
        Ok(())
    }

    fn check_categorical(&self, column: &CategoricalColumn, what: String) -> Result<()> {
        match column.encoding {
            Encoding::Hash { buckets: 0, .. } => {
                return Err(Error::input(what, "at least one bucket", "buckets = 0"));
            }
            Encoding::Identity { bound: 0 } => {
                return Err(Error::input(what, "a bound of at least 1", "bound = 0"));
            }
            Encoding::FirstSeen { .. } if column.table.is_some() => {
                return Err(Error::input(
                    what,
                    "a table of its own for ids in the order of the rows",
                    "a shared one",
                ));
            }
            _ => {}
        }
        if column.encoding.max_ind_range() == Some(0) {
            return Err(Error::input(what, "a max_ind_range of at least 1", "0"));
        }
        if column.time.is_some() && (column.multi.is_some() || column.encoding.reads_integers()) {
            return Err(Error::input(what, "neither `multi` nor hexadecimal integers beside `time`", "one"));
        }
        if column.encoding.reads_integers() && column.multi.is_some() {
            return Err(Error::input(what, "one value in a field of hexadecimal integers", "`multi`"));
        }
        if column.embedding_dim == Some(0) {
            return Err(Error::input(what, "a positive embedding_dim", "0"));
        }
        let table = column.table_name();
        if let Some(other) = self.categorical.iter().find(|o| o.table_name() == table)
            && (other.encoding != column.encoding || other.embedding_dim != column.embedding_dim)
        {
            let found = format!("another encoding or embedding_dim in \"{}\"", other.name);
            return Err(Error::input(
                what,
                format!("the encoding and embedding_dim of its shared table \"{table}\""),
                found,
            ));
        }
        Ok(())
    }

    fn check_label(&self, name: &str) -> Result<()> {
        let (label, what) = (&self.label, format!("{name}: label"));
        if label.rule.is_some() && !label.positive.is_empty() {
            return Err(Error::input(what, "either `rule` or `positive`", "both"));
        }
        if label.task == Task::Rating && !(label.positive.is_empty() && label.negative.is_empty()) {
            let error = Error::input(what, "no `positive` or `negative` texts for the rating task", "some");
            return Err(
                error.with_hint("set `task = \"binary\"`, or leave them out to predict the number itself")
            );
        }
        if !label.negative.is_empty() && label.positive.is_empty() {
            return Err(Error::input(what, "`positive` beside `negative`", "none"));
        }
        if let Some(both) = label.positive.iter().find(|text| label.negative.contains(text)) {
            return Err(Error::input(
                what,
                "texts that are either positive or negative",
                format!("{} as both", quoted(both)),
            ));
        }
        if self.weight.as_ref() == Some(&label.column) {
            return Err(Error::input(
                name,
                "a weight column other than the label",
                format!("\"{}\" as both", label.column),
            ));
        }
        Ok(())
    }

    fn check_crosses(&self, name: &str) -> Result<()> {
        let names = || self.categorical.iter().map(|c| c.name.as_str());
        let mut seen = HashSet::new();
        for cross in &self.crosses {
            let what = format!("{name}: cross \"{}\"", cross.name());
            if cross.columns.len() < 2
                || (1..cross.columns.len()).any(|i| cross.columns[..i].contains(&cross.columns[i]))
            {
                let found = cross.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
                return Err(Error::input(what, "two or more different columns", found)
                    .with_hint("name them with commas and without blanks: A,B"));
            }
            if let Some(unknown) = cross.columns.iter().find(|column| !names().any(|name| name == *column)) {
                let error = Error::input(what, "categorical columns of the schema", quoted(unknown));
                return Err(match nearest(unknown, names()) {
                    Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
                    None => error.with_hint("a numeric column can only be crossed as a categorical one"),
                });
            }
            if cross.buckets == 0 {
                return Err(Error::input(what, "at least one bucket", "buckets = 0"));
            }
            if !seen.insert(cross.name()) || names().any(|name| name == cross.name()) {
                return Err(Error::input(name, "each feature once", format!("\"{}\" twice", cross.name())));
            }
        }
        Ok(())
    }

    fn check_pooling(&self, name: &str) -> Result<()> {
        for column in &self.categorical {
            let what = format!("{name}: categorical column \"{}\"", column.name);
            let Some(MultiValued { separator, weight_separator: Some(weight) }) = &column.multi else {
                continue;
            };
            if separator == weight {
                return Err(Error::input(
                    what,
                    "a weight_separator other than the separator",
                    format!("'{weight}' for both"),
                ));
            }
            if let Some(pooling @ (Pooling::Mean | Pooling::Learned)) = column.pooling {
                let found =
                    format!("pooling = \"{}\"", if pooling == Pooling::Mean { "mean" } else { "learned" });
                let error = Error::input(
                    what,
                    "pooling = \"sum\" for values with weights, which the weights then multiply",
                    found,
                );
                return Err(error.with_hint("leave `pooling` out, or leave out `weight_separator`"));
            }
        }
        Ok(())
    }
}
