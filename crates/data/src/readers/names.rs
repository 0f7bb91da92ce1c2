//! Names of columns that can be used.
use crate::error::{Error, Hint, Result};

/// Column names must be there and differ.
pub(super) fn check_names(names: &[String], input: &str) -> Result<()> {
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            let error =
                Error::input(input, "a name for every column", format!("an empty one for column {}", i + 1));
            return Err(error.with_hint(name_the_columns()));
        }
        if let Some(first) = names[..i].iter().position(|other| other == name) {
            let found = format!("\"{name}\" for columns {} and {}", first + 1, i + 1);
            return Err(Error::input(input, "column names that differ", found).with_hint(name_the_columns()));
        }
    }
    Ok(())
}

fn name_the_columns() -> Hint {
    Hint::from("name the columns yourself: ")
        .set("input.columns", "A,B,…")
        .say(" ")
        .set("input.header", "present")
}
