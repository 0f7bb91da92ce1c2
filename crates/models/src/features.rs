//! Which features of the layout a model reads, by index.
use dlrm_data::batch::Layout;
use dlrm_nn::{Error, Result};

/// All features but crosses, which only linear parts use.
pub fn uncrossed(layout: &Layout) -> Vec<usize> {
    (0..layout.features.len()).filter(|&f| !layout.features[f].crossed).collect()
}

/// The two features of a matrix factorization: those named, or the first two.
///
/// # Errors
/// If a named column is not there, or nothing is named and there are no two features.
pub fn user_and_item(layout: &Layout, user: Option<&str>, item: Option<&str>) -> Result<[usize; 2]> {
    let names = || layout.features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
    let find = |key: &str, name: Option<&str>, default: usize| match name {
        None if default < layout.features.len() => Ok(default),
        None => Err(Error::new(
            format!("model.{key}"),
            "a user and an item column",
            format!("categorical columns: {}", names()),
        )),
        Some(name) => layout.features.iter().position(|f| f.name == name).ok_or_else(|| {
            Error::new(format!("model.{key}"), format!("one of {}", names()), format!("\"{name}\""))
        }),
    };
    Ok([find("user", user, 0)?, find("item", item, 1)?])
}
