//! Recommendations without a server.
use crate::catalogue::{Catalogue, next_whole};
use crate::metrics::Metrics;
use crate::models::Loaded;
use crate::refusal::Refusal;
use crate::service::{BLOCK, keep_best};
use crate::work::{Desk, Ranked};
use dlrm_data::row::RawRow;
use dlrm_data::rows::OpenRows;
use dlrm_engine::Workspace;
use dlrm_kernels::Isa;
use std::path::Path;
use std::sync::Arc;

/// What is asked.
#[derive(Debug, Clone)]
pub struct RecommendRequest<'a> {
    /// Run or model directory.
    pub model: &'a Path,
    /// Instruction set.
    pub isa: Isa,
    /// Bytes that the model may take.
    pub memory_limit: Option<u64>,
    /// The items.
    pub catalogue: &'a Arc<Catalogue>,
    /// Columns of the user and what they hold.
    pub user: &'a [(String, String)],
    /// Items at most.
    pub k: usize,
    /// A condition on columns of the catalogue.
    pub filter: Option<&'a str>,
    /// Keys of items that are left out.
    pub exclude: &'a [String],
}

/// An item with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommended {
    /// Its fields, in the order of the catalogue's columns.
    pub item: Vec<String>,
    /// The probability, or the rating.
    pub prediction: f64,
    /// What it is made of.
    pub logit: f32,
}

/// Why nothing is recommended.
#[derive(Debug, thiserror::Error)]
pub enum RecommendError {
    /// The model or the rows.
    #[error(transparent)]
    Engine(#[from] dlrm_engine::Error),
    /// What was asked.
    #[error("{0}")]
    Refused(String),
}

impl From<Refusal> for RecommendError {
    fn from(refusal: Refusal) -> Self {
        RecommendError::Refused(refusal.message())
    }
}

/// The best items of the catalogue, with the scores that a server gives them.
///
/// # Errors
/// If the model cannot be loaded, or a column, a value or the filter is none.
pub fn recommend(request: &RecommendRequest<'_>) -> Result<Vec<Recommended>, RecommendError> {
    let (catalogue, how) = (request.catalogue, (request.isa, request.memory_limit));
    let model = Loaded::load("model", request.model, how, (Some(catalogue), &[]))?;
    if let Some(reason) = model.without_items {
        return Err(RecommendError::Refused(reason));
    }
    let mut context = model.format.missing();
    for (name, value) in request.user {
        let place = model.format.place(name).ok_or_else(|| model.format.unknown(name, "the user"))?;
        context.fields[place].clone_from(value);
    }
    let wanted = catalogue.wanted(request.filter, request.exclude, None)?;
    let (mut desk, mut workspace) = (Desk::new(&model, &Metrics::new())?, Workspace::new());
    let (mut best, items) = (Ranked::new(), catalogue.len() as u32);
    for first in (0..items).step_by(BLOCK) {
        let places = first..items.min(first + BLOCK as u32);
        let (found, _) = desk.recommend((&context, &wanted), places, request.k, &mut workspace)?;
        keep_best(&mut best, found, request.k);
    }
    let item = |(place, logit, prediction): (usize, f32, f64)| Recommended {
        item: catalogue.fields(place).map(str::to_owned).collect(),
        prediction,
        logit,
    };
    Ok(best.into_iter().map(item).collect())
}

/// What rows of events tell of a user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KnownUser {
    /// Its rows.
    pub rows: u64,
    /// Columns that say the same in all of them, but for those of the catalogue.
    pub columns: Vec<(String, String)>,
    /// Keys of the items in them, each once, in the order of the rows.
    pub seen: Vec<String>,
}

impl KnownUser {
    /// Looks for the rows whose columns hold what `user` says.
    ///
    /// # Errors
    /// If the rows cannot be read.
    pub fn find(
        rows: &dyn OpenRows,
        user: &[(String, String)],
        catalogue: &Catalogue,
    ) -> dlrm_data::Result<KnownUser> {
        let mut source = rows.open_rows()?;
        let columns = source.columns().to_vec();
        let places: Vec<(usize, &str)> = user
            .iter()
            .filter_map(|(name, value)| Some((columns.iter().position(|c| c == name)?, value.as_str())))
            .collect();
        let key = columns.iter().position(|column| column == catalogue.key());
        let mut known = KnownUser::default();
        let mut same: Vec<Option<String>> = Vec::new();
        let mut row = RawRow::default();
        while !places.is_empty() && next_whole(&mut *source, &mut row)? {
            if places.iter().any(|&(place, value)| row.field(place) != value) {
                continue;
            }
            if known.rows == 0 {
                same = row.fields().map(|field| Some(field.to_owned())).collect();
            }
            known.rows += 1;
            for (same, field) in same.iter_mut().zip(row.fields()) {
                if same.as_deref().is_some_and(|before| before != field) {
                    *same = None;
                }
            }
            if let Some(item) =
                key.map(|key| row.field(key)).filter(|item| !known.seen.iter().any(|s| s == item))
            {
                known.seen.push(item.to_owned());
            }
        }
        let own =
            |name: &String| !catalogue.columns().contains(name) && !user.iter().any(|(said, _)| said == name);
        let steady = columns.into_iter().zip(same).filter(|(name, _)| own(name));
        known.columns = steady.filter_map(|(name, value)| Some((name, value?))).collect();
        Ok(known)
    }
}
