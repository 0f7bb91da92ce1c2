//! What of a model's inputs depends on a context alone, where the candidates have some raw columns of their
//! own.
use crate::rows::RowFormat;
use dlrm_data::schema::Schema;
use dlrm_engine::explain::Column;

/// Encoded inputs by what they are made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    /// Numbers that the context alone decides.
    pub(crate) dense: Vec<usize>,
    /// Features that the context alone decides.
    pub(crate) bags: Vec<usize>,
    /// Raw columns that other inputs are made of too.
    pub(crate) needed: Vec<bool>,
    /// Whether some input is made of the context and the candidate together.
    pub(crate) is_mixed: bool,
}

impl Parts {
    /// Where candidates have raw columns `own` of their own.
    pub(crate) fn of(schema: &Schema, format: &RowFormat, columns: &[Column], own: &[usize]) -> Self {
        let mut parts = Parts { needed: vec![false; format.inputs().len()], ..Parts::default() };
        for column in columns {
            let sources: Vec<usize> = sources(schema, column).filter_map(|name| format.input(name)).collect();
            if sources.iter().any(|place| own.contains(place)) {
                parts.is_mixed |= !sources.iter().all(|place| own.contains(place));
                sources.into_iter().for_each(|place| parts.needed[place] = true);
            } else {
                parts.dense.extend(&column.dense);
                parts.bags.extend(&column.bags);
            }
        }
        parts
    }
}

/// The raw columns that a column of inputs is made of.
fn sources<'s>(schema: &'s Schema, column: &'s Column) -> Box<dyn Iterator<Item = &'s str> + 's> {
    if let Some(dense) = schema.dense.iter().find(|c| c.name == column.name) {
        return Box::new(dense.sources());
    }
    if let Some(categorical) = schema.categorical.iter().find(|c| c.name == column.name) {
        return Box::new(std::iter::once(categorical.source()));
    }
    let cross = schema.crosses.iter().find(|cross| cross.name() == column.name);
    let parts = cross.into_iter().flat_map(|cross| cross.columns.iter());
    Box::new(parts.map(|part| {
        let column = schema.categorical.iter().find(|c| c.name == *part);
        column.map_or(part.as_str(), |column| column.source())
    }))
}
