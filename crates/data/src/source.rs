//! Where the rows of a run come from: raw files that are fitted and encoded, or a prepared data set.
use crate::batches::RowStream;
use crate::dataset::{Dataset, Fitted, Sources, StoredRows};
use crate::encoded::EncodedRows;
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::prepared::{Prepared, PreparedRows};
use crate::schema::Schema;
use crate::split::Part;

/// Rows to fit, encode and train on. Both kinds give the same rows in the same order, bit for bit.
#[derive(Clone, Copy)]
pub enum DataSource<'a> {
    /// Raw files.
    Raw(&'a Sources<'a>),
    /// A prepared data set.
    Prepared(&'a Prepared),
}

/// A pass over encoded training rows.
pub enum TrainRows {
    /// Of raw files.
    Raw(Box<EncodedRows>),
    /// Of a prepared data set.
    Prepared(Box<PreparedRows>),
}

impl RowStream for TrainRows {
    fn append_rows(&mut self, batch: &mut crate::Batch, most: usize) -> Result<usize> {
        match self {
            TrainRows::Raw(rows) => rows.append_rows(batch, most),
            TrainRows::Prepared(rows) => rows.append_rows(batch, most),
        }
    }
}

impl DataSource<'_> {
    /// What getting the encoder is: fitting it, or reading the one that is there.
    pub fn fit_stage(&self) -> &'static str {
        match self {
            DataSource::Raw(_) => "fitting the encoder",
            DataSource::Prepared(_) => "opening the prepared data set",
        }
    }

    /// What getting the encoded rows is.
    pub fn encode_stage(&self) -> &'static str {
        match self {
            DataSource::Raw(_) => "encoding",
            DataSource::Prepared(_) => "reading the encoded rows",
        }
    }

    /// The encoder, fitted on the training rows or found with them.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows.
    /// If a prepared data set was made with another schema or has no training rows: prepare it anew.
    pub fn fit(&self, schema: &Schema) -> Result<Fitted> {
        match self {
            DataSource::Raw(sources) => sources.fit(schema),
            DataSource::Prepared(prepared) => {
                let what = || prepared.dir().display().to_string();
                if prepared.encoder().schema() != schema {
                    let error =
                        Error::input(what(), "rows of the schema that is given", "rows of another one");
                    return Err(error.with_hint("leave the schema out, or prepare the data set anew with it"));
                }
                let fitted = prepared.fitted();
                if fitted.rows[Part::Train] == 0 {
                    Err(Error::input(what(), "rows to train on", "none"))
                } else {
                    Ok(fitted)
                }
            }
        }
    }

    /// The encoder `base`, grown by what is new in the training rows; a prepared data set must have been
    /// encoded with it or one grown from it.
    ///
    /// # Errors
    /// As [`DataSource::fit`], or if `base` is of another schema or cannot grow.
    pub fn grow(&self, schema: &Schema, base: &Encoder) -> Result<Fitted> {
        match self {
            DataSource::Raw(sources) => sources.grow(schema, base),
            DataSource::Prepared(prepared) => {
                prepared.encoder().check_grown_from(base).map_err(|error| {
                    let found = prepared.dir().display();
                    error.with_hint(format!(
                        "{found} is encoded by itself: train on the raw files it was made of"
                    ))
                })?;
                self.fit(prepared.encoder().schema())
            }
        }
    }

    /// The rows of the parts that `wanted` says, in memory.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows; if a
    /// file of a prepared data set is damaged: prepare it anew.
    pub fn encode(&self, fitted: &Fitted, wanted: impl Fn(Part) -> bool + Sync) -> Result<Dataset> {
        match self {
            DataSource::Raw(sources) => sources.encode(fitted, wanted),
            DataSource::Prepared(prepared) => prepared.load(wanted),
        }
    }

    /// A pass over the training rows.
    ///
    /// # Errors
    /// If a file cannot be opened.
    pub fn stream(&self, fitted: &Fitted) -> Result<TrainRows> {
        self.stream_without(fitted, &[])
    }

    /// A pass over the training rows that may leave the ids of these features out.
    ///
    /// # Errors
    /// As [`DataSource::stream`].
    pub fn stream_without(&self, fitted: &Fitted, features: &[usize]) -> Result<TrainRows> {
        Ok(match self {
            DataSource::Raw(sources) => TrainRows::Raw(Box::new(sources.stream(fitted)?)),
            DataSource::Prepared(prepared) => {
                let rows = prepared.stream(Part::Train).without(features.to_vec());
                TrainRows::Prepared(Box::new(rows))
            }
        })
    }

    /// The first rows of `part` as text, at most `most`.
    ///
    /// # Errors
    /// If an input cannot be read, or holds more malformed rows than `data.max_bad_rows` allows; if a
    /// file of a prepared data set is damaged: prepare it anew.
    pub fn sample(&self, fitted: &Fitted, part: Part, most: usize) -> Result<StoredRows> {
        match self {
            DataSource::Raw(sources) => sources.sample(fitted, part, most),
            DataSource::Prepared(prepared) => {
                let StoredRows { columns, rows } = prepared.sample(part);
                Ok(StoredRows { columns: columns.clone(), rows: rows.iter().take(most).cloned().collect() })
            }
        }
    }
}
