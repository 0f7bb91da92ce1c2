//! What to read and how: paths, format and the details of delimited text.
use super::chain::{Chain, Compared, Plan};
use super::files::Listing;
use super::format::{Format, Header, Quote, Trim};
use super::lines::into_final;
use super::names::check_names;
use super::record::Dialect;
use super::stream::{Place, Stream};
use super::{detect, files, jsonl, movielens, sparse};
use crate::error::{Error, Result};
use crate::row::RowSource;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Where rows come from. Can be opened any number of times; every pass yields the same rows and errors.
///
/// Only `paths` is needed; what is absent is detected from the beginning of the first file.
/// [`Input::resolve`] fills it in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Files, read one after another as one stream. A directory stands for its files with a known
    /// extension, sorted by name, or for the MovieLens data set in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// How the files are written.
    #[serde(default)]
    pub format: Format,
    /// Between fields of delimited text: one ASCII character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Around fields of delimited text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// Whether the first record of delimited text names the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Names of the columns of delimited text: of a file without header or, if `header` is present, in its
    /// place. For Parquet and JSON lines: the columns to read. For libffm: `label` and the fields to
    /// expect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Whether blanks around fields of delimited text belong to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim: Option<Trim>,
    /// Columns whose values stand in the names of directories: `dt` of `dt=4/part-0.csv`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<String>,
    /// Files whose columns were compared in an earlier pass.
    #[serde(skip)]
    pub compared: Compared,
}

/// What a path stands for.
enum Found {
    File(PathBuf),
    Directory(PathBuf, Listing),
}

/// Files lie on this machine.
fn refuse_address(path: &Path) -> Result<()> {
    let Some((scheme, rest)) = path.to_str().and_then(|text| text.split_once("://")) else { return Ok(()) };
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    if !is_scheme || path.exists() {
        return Ok(());
    }
    let fetch = match scheme {
        "file" => format!("name its path: {rest}"),
        "s3" => format!("copy it first: aws s3 cp \"{}\" .", path.display()),
        "gs" => format!("copy it first: gcloud storage cp \"{}\" .", path.display()),
        "http" | "https" => format!("fetch it first: curl -O \"{}\"", path.display()),
        _ => "copy it to this machine first".to_owned(),
    };
    let found = "an address, and nothing is fetched while rows are read";
    Err(Error::input(path.display().to_string(), "a file or a directory", found).with_hint(fetch))
}

impl Input {
    /// These files, everything else detected.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Input { paths: paths.into_iter().map(Into::into).collect(), ..Input::default() }
    }

    /// This input, to be read in `format`.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        Input { format, ..self }
    }

    /// Opens the files for one pass. All are looked at before the first row, so that a missing file or
    /// other columns do not come to light in the middle of a pass.
    ///
    /// # Errors
    /// What cannot be opened, detected or is contradictory.
    pub fn open(&self) -> Result<Box<dyn RowSource>> {
        let input = self.resolve()?;
        let chain = Chain::open(input.files()?, input.plan(), &input.partitions, &self.compared);
        let chain = chain.map_err(into_final)?;
        Ok(Box::new(chain))
    }

    /// Opens `stream`, read as this input says, whatever its paths.
    ///
    /// # Errors
    /// As [`Input::open`], if the format is one that cannot be read from its beginning to its end, or if the
    /// stream has been opened before.
    pub fn open_stream(&self, stream: &Stream) -> Result<Box<dyn RowSource>> {
        self.resolve_at(Place::Stream(stream))?.plan().open(Place::Stream(stream)).map_err(into_final)
    }

    /// The columns of `stream`, read as this input says; it can still be opened.
    ///
    /// # Errors
    /// As [`Input::open_stream`].
    pub fn columns_of_stream(&self, stream: &Stream) -> Result<Vec<String>> {
        let ahead = Place::Ahead(stream);
        Ok(self.resolve_at(ahead)?.plan().open(ahead).map_err(into_final)?.columns().to_vec())
    }

    /// This input with everything detected written down, to be stored with a model.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn resolve(&self) -> Result<Input> {
        self.check()?;
        let files = self.files()?;
        let first = files.first().ok_or_else(|| Error::input("paths", "at least one file", "none"))?;
        let partitions = self.found_partitions()?;
        Ok(Input { partitions, ..self.resolve_at(Place::File(first))? })
    }

    /// This input with what is detected in `first`.
    fn resolve_at(&self, first: Place<'_>) -> Result<Input> {
        self.check()?;
        let mut resolved = self.clone();
        resolved.resolve_format(first)?;
        match resolved.format {
            Format::Auto | Format::Csv | Format::Tsv => resolved.resolve_text(first).map_err(into_final)?,
            _ => resolved.refuse_text_options()?,
        }
        if resolved.format == Format::Libffm && resolved.columns.is_none() {
            resolved.columns = Some(sparse::ffm_columns(first).map_err(into_final)?);
        }
        if resolved.format == Format::Jsonl && resolved.columns.is_none() {
            let columns = jsonl::columns_of(first).map_err(into_final)?;
            check_names(&columns, &first.path().display().to_string())?;
            resolved.columns = Some(columns);
        }
        Ok(resolved)
    }

    /// Size of all files on disk in bytes.
    ///
    /// # Errors
    /// If one cannot be found.
    pub fn byte_len(&self) -> Result<u64> {
        self.files()?.iter().map(|path| Ok(fs::metadata(path).map_err(Error::io("open", path))?.len())).sum()
    }

    /// The files that `paths` stand for, in reading order.
    ///
    /// # Errors
    /// If one cannot be found or is no regular file, or if a directory holds none that can be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for found in self.listings()? {
            match found {
                Found::File(path) => files.push(path),
                Found::Directory(_, listing) => files.extend(listing.files),
            }
        }
        Ok(files)
    }

    /// What is read of each directory and what is not, a line for each of which something is left out.
    ///
    /// # Errors
    /// As [`Input::files`].
    pub fn left_out(&self) -> Result<Vec<String>> {
        let told = |found: Found| match found {
            Found::File(_) => None,
            Found::Directory(path, listing) => listing.told(&path),
        };
        Ok(self.listings()?.into_iter().filter_map(told).collect())
    }

    /// The columns that the names of directories give, the same in all of them.
    fn found_partitions(&self) -> Result<Vec<String>> {
        let mut all: Option<(PathBuf, Vec<String>)> = None;
        for found in self.listings()? {
            let (path, columns) = match found {
                Found::File(path) => (path, self.partitions.clone()),
                Found::Directory(path, listing) => (path, listing.partitions),
            };
            match &all {
                Some((first, others)) if *others != columns => {
                    let expected = format!("directories of the form name=value as in {}", first.display());
                    return Err(Error::input(path.display().to_string(), expected, "others"));
                }
                Some(_) => {}
                None => all = Some((path, columns)),
            }
        }
        Ok(all.map_or_else(Vec::new, |(_, columns)| columns))
    }

    /// What each path stands for.
    fn listings(&self) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for path in &self.paths {
            refuse_address(path)?;
            match files::matching(path)? {
                Some(matches) => {
                    files::check_once(path, &matches)?;
                    matches.iter().try_for_each(|path| self.find(path).map(|found| all.push(found)))?;
                }
                None => all.push(self.find(path)?),
            }
        }
        Ok(all)
    }

    /// What one path stands for.
    fn find(&self, path: &Path) -> Result<Found> {
        if path.as_os_str() == "-" && !path.exists() {
            let error =
                Error::input("-", "a file or a directory", "standard input, which can be read only once");
            return Err(error.with_hint(
                "write the rows to a file first (… > rows.csv) and name that: every pass reads them anew; \
                 `predict`, `evaluate` and `explain` need one pass and read standard input",
            ));
        }
        let metadata = fs::metadata(path).map_err(Error::io("open", path))?;
        if metadata.is_file() {
            return Ok(Found::File(path.to_owned()));
        }
        if !metadata.is_dir() {
            let error = Error::input(
                path.display().to_string(),
                "a file or a directory",
                "something that can be read only once",
            );
            return Err(error.with_hint("write it to a file first: every pass reads it anew"));
        }
        Ok(if self.format == Format::Movielens {
            Found::File(movielens::ratings_file(path)?)
        } else if let (Format::Auto, Ok(ratings)) = (self.format, movielens::data_set(path)) {
            Found::File(ratings)
        } else {
            Found::Directory(path.to_owned(), Listing::of(path)?)
        })
    }

    fn check(&self) -> Result<()> {
        if self.paths.is_empty() {
            return Err(Error::input("paths", "at least one file", "none"));
        }
        if let Some(delimiter) = self.delimiter
            && (!delimiter.is_ascii() || matches!(delimiter, '"' | '\n' | '\r' | '\0'))
        {
            let error = Error::input(
                "delimiter",
                "one ASCII character other than a quote or a line end",
                format!("{delimiter:?}"),
            );
            return Err(error.with_hint("usual ones: , ; | and \\t"));
        }
        if let Some(columns) = &self.columns {
            check_names(columns, "columns")?;
        }
        Ok(())
    }

    fn refuse_text_options(&self) -> Result<()> {
        let given = [
            ("delimiter", self.delimiter.is_some()),
            ("quote", self.quote.is_some()),
            ("header", self.header.is_some()),
            ("trim", self.trim.is_some()),
            (
                "columns",
                self.columns.is_some()
                    && !matches!(self.format, Format::Parquet | Format::Libffm | Format::Jsonl),
            ),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => {
                let error = Error::input(
                    format!("input of format {}", self.format),
                    "no details of delimited text",
                    format!("`{name}`"),
                );
                Err(error.with_hint("leave it out, or set format to \"csv\""))
            }
            None => Ok(()),
        }
    }

    fn resolve_format(&mut self, first: Place<'_>) -> Result<()> {
        if self.format != Format::Auto {
            return Ok(());
        }
        let says_text = self.delimiter.is_some() || self.header.is_some() || self.quote.is_some();
        let from_directory = self.paths.iter().any(|path| movielens::data_set(path).is_ok());
        self.format = match () {
            () if from_directory => Format::Movielens,
            () if detect::is_parquet(first)? => Format::Parquet,
            () if says_text || self.columns.is_some() => Format::Csv,
            () => {
                let head = detect::FileHead::of(first)?;
                detect::check_known(&head)?;
                detect::format(&head)
            }
        };
        Ok(())
    }

    fn resolve_text(&mut self, first: Place<'_>) -> Result<()> {
        let names = self.header == Some(Header::Present) || self.header.is_some() && self.columns.is_some();
        if names && self.delimiter.is_some() && self.quote.is_some() && self.trim.is_some() {
            return Ok(());
        }
        if self.format == Format::Tsv && self.delimiter.is_none() {
            self.delimiter = Some('\t');
        }
        let head = detect::FileHead::of(first)?;
        let dialect = detect::dialect(&head, self.given());
        self.delimiter = Some(char::from(dialect.delimiter));
        self.quote = Some(if dialect.quote.is_some() { Quote::Double } else { Quote::None });
        self.trim = Some(if dialect.trims { Trim::Blanks } else { Trim::None });
        let (rows, _) = dialect.records(&head.bytes, detect::ROWS);
        detect::check_comment(&head, &rows)?;
        self.header = self.header.or(Some(match self.columns {
            Some(_) => Header::Absent,
            None => detect::header(&rows),
        }));
        if self.header == Some(Header::Absent) && self.columns.is_none() {
            let width = detect::width(&rows);
            self.columns = Some((1..=width).map(|number| format!("column_{number}")).collect());
        }
        Ok(())
    }

    /// What is said of delimited text, so that it is not detected.
    fn given(&self) -> detect::Given {
        let delimiter = self.delimiter.and_then(|c| u8::try_from(c).ok());
        detect::Given { delimiter, quote: self.quote, trim: self.trim }
    }

    /// What to do with each file. Of a resolved input.
    fn plan(&self) -> Plan {
        let columns = self.columns.clone();
        match self.format {
            Format::Criteo => Plan::Criteo,
            Format::Ncf => Plan::Ncf,
            Format::Movielens => Plan::Movielens,
            Format::Libsvm => Plan::Libsvm,
            Format::Libffm => Plan::Libffm { columns: columns.unwrap_or_default() },
            Format::Jsonl => Plan::Jsonl { columns: columns.unwrap_or_default() },
            Format::Parquet => Plan::Parquet { columns },
            Format::Auto | Format::Csv | Format::Tsv => {
                let dialect = Dialect {
                    delimiter: self.delimiter.and_then(|c| u8::try_from(c).ok()).unwrap_or(b','),
                    quote: (self.quote != Some(Quote::None)).then_some(b'"'),
                    trims: self.trim == Some(Trim::Blanks),
                };
                Plan::Delimited { dialect, header: self.header.unwrap_or(Header::Present), columns }
            }
        }
    }
}
