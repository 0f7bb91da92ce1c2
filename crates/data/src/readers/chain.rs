//! Several files as one stream of rows.
use super::criteo::Criteo;
use super::delimited::Delimited;
use super::format::Header;
use super::lines::into_final;
use super::movielens::Movielens;
use super::ncf::Ncf;
use super::record::Dialect;
use super::sparse::{Libffm, Libsvm};
use super::stream::Place;
use crate::error::{Error, Result};
use crate::row::{RawRow, RowSource};
use std::path::{Path, PathBuf};

/// How to open each file of an input; nothing is left to detect.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    Delimited { dialect: Dialect, header: Header, columns: Option<Vec<String>> },
    Criteo,
    Movielens,
    Ncf,
    Libsvm,
    Libffm { columns: Vec<String> },
    Parquet { columns: Option<Vec<String>> },
}

impl Plan {
    /// Opens `place`, which has the format of this plan.
    pub(super) fn open(&self, place: Place<'_>) -> Result<Box<dyn RowSource>> {
        Ok(match self {
            Plan::Delimited { dialect, header, columns } => {
                Box::new(Delimited::open(place, *dialect, *header, columns.as_deref())?)
            }
            Plan::Criteo => Box::new(Criteo::open(place)?),
            Plan::Movielens => Box::new(Movielens::open(place.file("ratings of MovieLens")?)?),
            Plan::Ncf => Box::new(Ncf::open(place)?),
            Plan::Libsvm => Box::new(Libsvm::open(place)?),
            Plan::Libffm { columns } => Box::new(Libffm::open(place, columns)?),
            Plan::Parquet { columns } => open_parquet(place.file("Parquet")?, columns.as_deref())?,
        })
    }
}

#[cfg(feature = "parquet")]
fn open_parquet(path: &Path, columns: Option<&[String]>) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(super::parquet::Parquet::open(path, columns)?))
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(path: &Path, _columns: Option<&[String]>) -> Result<Box<dyn RowSource>> {
    let error =
        Error::input(path.display().to_string(), "a file other than Parquet in this build", "Parquet");
    Err(error.with_hint("build dlrm with its default features, of which `parquet` was left out"))
}

/// Files with the same columns, one after another.
pub(super) struct Chain {
    plan: Plan,
    columns: Vec<String>,
    rest: std::vec::IntoIter<PathBuf>,
    current: Box<dyn RowSource>,
}

impl Chain {
    /// Opens the first of `files` and makes sure of the others.
    pub(super) fn open(files: Vec<PathBuf>, plan: Plan) -> Result<Self> {
        let mut rest = files.into_iter();
        let first = rest.next().ok_or_else(|| Error::input("paths", "at least one file", "none"))?;
        let current = plan.open(Place::File(&first))?;
        let columns = current.columns().to_vec();
        for other in rest.as_slice() {
            check_same(&columns, &first, plan.open(Place::File(other))?.columns(), other)?;
        }
        Ok(Chain { plan, columns, rest, current })
    }
}

impl RowSource for Chain {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        while !self.current.next_row(row)? {
            match self.rest.next() {
                Some(path) => self.current = self.plan.open(Place::File(&path)).map_err(into_final)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn check_same(columns: &[String], first: &Path, others: &[String], other: &Path) -> Result<()> {
    if columns == others {
        return Ok(());
    }
    let what = other.display().to_string();
    let (expected, found) = match columns.iter().zip(others).position(|(a, b)| a != b) {
        Some(i) => (
            format!("column {} to be \"{}\" as in {}", i + 1, columns[i], first.display()),
            format!("\"{}\"", others[i]),
        ),
        None => (format!("{} columns as in {}", columns.len(), first.display()), format!("{}", others.len())),
    };
    Err(Error::input(what, expected, found)
        .with_hint("files that are read as one stream need the same columns in the same order"))
}
