//! Which fields of a row columns are read from.
use crate::error::Result;
use crate::moment::TimeUnit;
use crate::schema::DenseColumn;

/// Which field of a row a column is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) name: String,
}

/// Where a dense value comes from.
#[derive(Debug, Clone)]
pub(super) enum Number {
    /// It stands in a field.
    Field(Place),
    /// It is the days from the moment in one field to that in another.
    Age([(Place, TimeUnit); 2]),
}

impl Number {
    pub(super) fn find(column: &DenseColumn, find: impl Fn(&str) -> Result<Place>) -> Result<Self> {
        Ok(match &column.age {
            None => Number::Field(find(&column.name)?),
            Some(age) => Number::Age([(find(&age.column)?, age.unit), (find(&age.until)?, age.until_unit)]),
        })
    }
}
