//! Names of weights, which are their keys in files: no two may be the same.
use crate::error::{Error, Result};
use std::collections::HashSet;

/// What names weights of a table.
#[derive(Clone, Copy)]
pub(crate) struct TableName<'a> {
    pub name: &'a str,
    /// Whether rows have learned pooling weights.
    pub learned: bool,
    /// The column that it is called after.
    pub column: &'a str,
}

/// Keys of the learned pooling weights of `tables`: `tables.x` has `row_weights.x`. Where two tables of one
/// feature would share that, the whole name follows: `gmf.x` has `row_weights.gmf.x`.
pub(crate) fn row_weights(tables: &[TableName<'_>]) -> Vec<String> {
    let own =
        |table: &TableName<'_>| table.name.split_once('.').map_or(table.name, |(_, own)| own).to_owned();
    let learned: Vec<String> = tables.iter().filter(|t| t.learned).map(own).collect();
    let key = |table: &TableName<'_>| {
        let short = own(table);
        let shared = learned.iter().filter(|other| **other == short).count() > 1;
        format!("row_weights.{}", if shared { table.name } else { &short })
    };
    tables.iter().map(key).collect()
}

/// Refuses a name that two weights would have.
pub(crate) fn check<'a>(dense: impl Iterator<Item = &'a str>, tables: &[TableName<'_>]) -> Result<()> {
    let mut taken = HashSet::new();
    for name in dense {
        if !taken.insert(name.to_owned()) {
            return Err(Error::new(format!("weight {name}"), "one of this name", "two"));
        }
    }
    for (table, row_weights) in tables.iter().zip(row_weights(tables)) {
        let keys = [Some(table.name), table.learned.then_some(row_weights.as_str())];
        if let Some(key) = keys.into_iter().flatten().find(|&key| !taken.insert(key.to_owned())) {
            return Err(Error::new(
                format!("column \"{}\"", table.column),
                "another name for it: rename it in the data",
                format!("one whose weights would be called \"{key}\", as others of the model are"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::init::Init;
    use crate::{Activation, Bias, Builder, Slot, TablePrecision};
    use dlrm_data::batch::{Feature, Layout, TableLayout};
    use dlrm_data::schema::Pooling;
    use dlrm_kernels::Isa;

    fn layout(names: &[&str]) -> Layout {
        let feature = |(table, name): (usize, &&str)| Feature::new(*name, table);
        Layout {
            features: names.iter().enumerate().map(feature).collect(),
            tables: names.iter().map(|name| TableLayout { name: (*name).into(), rows: 5 }).collect(),
            ..Layout::default()
        }
    }

    fn slot(feature: usize, pooling: Pooling) -> Slot {
        Slot { feature, dim: 2, pooling, compression: None }
    }

    #[test]
    fn a_column_called_as_a_weight_is_refused() {
        let layout = layout(&["site", "bias"]);
        let mut b = Builder::new(&layout);
        b.embed("linear", &[0, 1].map(|f| slot(f, Pooling::Sum)), None).unwrap();
        assert_eq!(b.check_names(), Ok(()));
        b.param("linear.bias", &[1], Init::Zero);
        let error = b.check_names().unwrap_err().to_string();
        assert!(error.contains("column \"bias\"") && error.contains("rename it"), "{error}");
        let mut b = Builder::new(&layout);
        for _ in 0..2 {
            b.linear("layer", 2, 2, Activation::Relu, Bias::Without).unwrap();
        }
        assert!(b.check_names().unwrap_err().to_string().contains("layer.weight"));
    }

    #[test]
    fn learned_pooling_of_two_tables_of_a_feature_has_two_names() {
        let layout = layout(&["site", "user"]);
        let names = |prefixes: &[&str]| {
            let mut b = Builder::new(&layout);
            for prefix in prefixes {
                b.embed(prefix, &[0, 1].map(|f| slot(f, Pooling::Learned)), None).unwrap();
            }
            b.check_names().unwrap();
            let weights = b.finish(1, Isa::detect(), TablePrecision::F32);
            let names = weights.tensors().into_iter().map(|(name, ..)| name);
            names.filter(|name| name.starts_with("row_weights")).collect::<Vec<_>>()
        };
        assert_eq!(names(&["gmf"]), ["row_weights.site", "row_weights.user"], "as files have it");
        let both = ["gmf.site", "gmf.user", "mlp.site", "mlp.user"].map(|n| format!("row_weights.{n}"));
        assert_eq!(names(&["gmf", "mlp"]), both);
    }
}
