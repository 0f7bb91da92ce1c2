//! How the rows of a run are read: what was said of files, put on top of what a configuration or a stored
//! model says.
use crate::error::{Error, Result};
use dlrm_data::error::nearest;
use dlrm_data::readers::{Format, Header, Input, Quote, Stream, Trim};
use std::path::PathBuf;

/// What was said of the files of a run. Values are texts, as people write them; what is absent is left as it
/// was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputRequest {
    /// Files, directories, patterns of file names, or a prepared data set.
    pub paths: Vec<PathBuf>,
    /// How the files are written: csv, tsv, criteo, movielens, ncf, libsvm, libffm, parquet or auto.
    pub format: Option<String>,
    /// One character between the fields of text, or "tab".
    pub delimiter: Option<String>,
    /// Whether the first line of text names the columns: present, absent or auto.
    pub header: Option<String>,
    /// Around fields of text: double, none or auto.
    pub quote: Option<String>,
    /// Blanks around fields of text: blanks (dropped), none (they belong to the field) or auto.
    pub trim: Option<String>,
    /// Names of the columns of a file without a header.
    pub columns: Vec<String>,
}

impl InputRequest {
    /// Puts what was said on top of `input`.
    ///
    /// # Errors
    /// A value that is none of those known, or no path at all; the error names the configuration key.
    pub fn apply(&self, mut input: Input) -> Result<Input> {
        if !self.paths.is_empty() {
            input.paths.clone_from(&self.paths);
        }
        if let Some(format) = &self.format {
            input.format = format.parse().map_err(Error::of_config)?;
        }
        if let Some(text) = &self.delimiter {
            input.delimiter = Some(delimiter(text)?);
        }
        if let Some(header) = &self.header {
            let known =
                [("present", Some(Header::Present)), ("absent", Some(Header::Absent)), ("auto", None)];
            input.header = one_of("input.header", header, &known)?;
            if input.header != Some(Header::Absent) {
                // The file names its own columns.
                input.columns = None;
            }
        }
        if let Some(quote) = &self.quote {
            let known = [("double", Some(Quote::Double)), ("none", Some(Quote::None)), ("auto", None)];
            input.quote = one_of("input.quote", quote, &known)?;
        }
        if let Some(trim) = &self.trim {
            let known = [("blanks", Some(Trim::Blanks)), ("none", Some(Trim::None)), ("auto", None)];
            input.trim = one_of("input.trim", trim, &known)?;
        }
        if !self.columns.is_empty() {
            input.columns = Some(self.columns.clone());
            if self.header.is_none() {
                input.header = None;
            }
        }
        if input.paths.is_empty() {
            return Err(Error::config("input.paths", "files to read", "none")
                .with_hint("name files on the command line, or under [input] paths in the configuration"));
        }
        Ok(input)
    }

    /// The input that a stored model should read. Text is read as in training, for what detection makes of a
    /// few rows may be something else (a stray quote, a value that looks like a name); it is detected anew
    /// only where that finds no
    /// `needed` column. What was said counts more than either.
    ///
    /// # Errors
    /// As [`InputRequest::apply`], or if the files cannot be opened.
    pub fn for_model(&self, stored: &Input, needed: &[&str]) -> Result<Input> {
        self.fitting(stored, needed, |input| Ok(input.open()?.columns().to_vec()))
    }

    /// How a stored model should read `stream`, as [`InputRequest::for_model`] says of files.
    ///
    /// # Errors
    /// As [`InputRequest::for_model`].
    pub fn for_model_of_stream(&self, stored: &Input, needed: &[&str], stream: &Stream) -> Result<Input> {
        self.fitting(stored, needed, |input| input.columns_of_stream(stream))
    }

    /// The first reading with every `needed` column, where `columns` opens one and says which it has.
    fn fitting(
        &self,
        stored: &Input,
        needed: &[&str],
        columns: impl Fn(&Input) -> Result<Vec<String>, dlrm_data::Error>,
    ) -> Result<Input> {
        let fits = |input: &Input| -> Result<bool, dlrm_data::Error> {
            let columns = columns(input)?;
            Ok(needed.iter().all(|name| columns.iter().any(|column| column == name)))
        };
        let found = self.apply(Input::default())?;
        if found.format != Format::Auto && found.format != stored.format {
            return Ok(found);
        }
        let trained = self.apply(Input { paths: Vec::new(), ..stored.clone() })?;
        if stored.format == Format::Jsonl {
            let own = Input { columns: None, ..trained.clone() };
            match fits(&own) {
                // The columns of training, or those that were named: what further keys hold is no matter.
                Ok(has_all) if has_all || !self.columns.is_empty() => return Ok(trained),
                // Its own keys, among which the missing one is missed.
                Ok(_) => return Ok(own),
                Err(_) => {}
            }
        }
        let mut candidates = vec![trained.clone(), found.clone()];
        if !matches!(stored.format, Format::Csv | Format::Tsv) {
            // Other formats are known by their first bytes or lines.
            candidates.reverse();
        } else if trained.header == Some(Header::Absent) && self.header.is_none() && self.columns.is_empty() {
            // The columns were named by hand in training; this file may name them itself.
            candidates.insert(0, Input { header: Some(Header::Present), columns: None, ..trained.clone() });
        }
        if let Some(fit) = candidates.iter().find(|input| matches!(fits(input), Ok(true))) {
            return Ok(fit.clone());
        }
        // Neither has the columns: complain about the reading that opens, in training's terms if both do.
        match fits(&trained) {
            Ok(_) => Ok(trained),
            Err(_) => Ok(fits(&found).map(|_| found)?),
        }
    }
}

fn delimiter(text: &str) -> Result<char> {
    let mut chars = text.chars();
    match (text, chars.next(), chars.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some(c), None) => Ok(c),
        _ => Err(Error::config("input.delimiter", "one character or \"tab\"", format!("\"{text}\""))
            .with_hint("quote it for the shell")),
    }
}

/// The value that `text` names among `known`.
fn one_of<T: Copy>(key: &str, text: &str, known: &[(&str, T)]) -> Result<T> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let hint = nearest(text, names.iter().copied())
        .map_or("leave it out to have it detected".to_owned(), |near| format!("did you mean \"{near}\"?"));
    Err(Error::config(key, format!("one of {}", names.join(", ")), format!("\"{text}\"")).with_hint(hint))
}
