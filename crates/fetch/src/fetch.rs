//! The whole way of a data set, as a straight line.
use crate::catalogue::{Checksum, DataSet, Packing, Source};
use crate::check;
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::place::{RECORD, Record, TERMS, Work};
use crate::transfer::{Patience, Transfer};
use crate::unpack::unpack;
use dlrm_data::Hint;
use dlrm_data::format::count;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What to fetch it from and where to.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The final directory, absent or empty.
    pub directory: &'a Path,
    /// An archive or a directory that is here already.
    pub from: Option<&'a Path>,
    /// Another address than the publisher's.
    pub url: Option<&'a str>,
    /// Small files of the caller to put beside the data: name and contents.
    pub beside: &'a [(&'a str, &'a str)],
    /// How patient to be with servers.
    pub patience: Patience,
}

/// Fetches, verifies and unpacks `set`; the directory is whole afterwards, or untouched.
///
/// # Errors
/// Network, disk, or an archive that is not what it should be; if the observer wishes to stop.
pub fn fetch(set: &DataSet, request: &Request, observer: &mut dyn Observer) -> Result<Record> {
    let work = Work::take(request.directory)?;
    let result = into_work(set, request, &work, observer);
    if result.is_err() {
        work.clear()?;
    }
    let record = result?;
    work.finish(request.directory)?;
    Ok(record)
}

fn into_work(set: &DataSet, request: &Request, work: &Work, observer: &mut dyn Observer) -> Result<Record> {
    let files = work.files()?;
    let (origin, archive) = match request.from {
        Some(path) if path.is_dir() => {
            work.has_room(set.unpacked)?;
            copy(set, path, &files, observer)?;
            (path.display().to_string(), None)
        }
        Some(path) => {
            work.has_room(set.unpacked)?;
            let digests = from_archive(set, path, &files, observer)?;
            (path.display().to_string(), Some(digests))
        }
        None => download(set, request, work, &files, observer).map(|(url, digests)| (url, Some(digests)))?,
    };
    let is_published = archive.is_some() && matches!(set.archive.checksum, Checksum::Md5 { .. });
    observer.stage("writing down what there is");
    let record = Record {
        data_set: set.name.to_owned(),
        title: set.title.to_owned(),
        publisher: set.publisher.to_owned(),
        page: set.page.to_owned(),
        origin,
        checked: checked(set, archive.as_ref(), is_published),
        archive,
        rows: set.tables.iter().map(|table| (table.file.to_owned(), table.rows)).collect(),
        files: digests_below(&files, observer)?,
        dlrm_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let terms = format!("{}, published by {}: {}\n\n{}", set.title, set.publisher, set.page, set.terms_text);
    let text = serde_json::to_string_pretty(&record)
        .map_err(|e| Error::io("write", &files.join(RECORD))(e.into()))?;
    for (name, contents) in [(TERMS, terms.as_str()), (RECORD, text.as_str())].iter().chain(request.beside) {
        let path = files.join(name);
        fs::write(&path, contents).map_err(Error::io("write", &path))?;
    }
    Ok(record)
}

/// From the publisher or another address.
fn download(
    set: &DataSet,
    request: &Request,
    work: &Work,
    files: &Path,
    observer: &mut dyn Observer,
) -> Result<(String, Digests)> {
    let url = match (request.url, set.source) {
        (Some(url), _) | (None, Source::Url(url)) => url,
        (None, Source::Login(how)) => {
            let error = Error::input(
                set.name,
                "a file of yours: its publisher hands it out only to those who log in",
                "none",
            );
            return Err(error.with_hint(
                Hint::from(format!("{how} ({}), and give it with ", set.page)).set("fetch.from", "FILE"),
            ));
        }
    };
    let path = work.archive(set.archive.file);
    let have = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    work.has_room(set.archive.checksum.bytes().saturating_sub(have) + set.unpacked)?;
    let (bytes, most) = match set.archive.checksum {
        Checksum::Md5 { bytes, .. } => (Some(bytes), bytes),
        Checksum::Noted { bytes, .. } | Checksum::Unknown { bytes } => (None, 4 * bytes),
    };
    observer.stage(&format!("fetching {url}"));
    let transfer = Transfer { url, path: &path, bytes, most, patience: &request.patience };
    transfer.run(observer)?;
    let result = from_archive(set, &path, files, observer);
    if let Err(Error::Input { .. } | Error::Data(_)) = result {
        // Going on with what is wrong would be wrong again.
        transfer.forget()?;
    }
    Ok((url.to_owned(), result?))
}

/// Verifies and unpacks.
fn from_archive(set: &DataSet, path: &Path, files: &Path, observer: &mut dyn Observer) -> Result<Digests> {
    observer.stage(&format!("checking {}", path.display()));
    let digests = Digests::of(path, observer)?;
    let is_published = verify(set, path, &digests)?;
    observer.stage(&format!("unpacking {}", path.display()));
    if set.archive.packing == Packing::Plain {
        // The reader goes by the name.
        let place = files.join(set.archive.file);
        fs::copy(path, &place).map_err(Error::io("copy to", &place))?;
    } else {
        unpack(path, set.archive.packing, files, 2 * set.unpacked, observer)?;
    }
    check::files(set, files).map_err(|error| about(error, files, path))?;
    if !is_published {
        observer.stage("counting rows");
        check::rows(set, files, observer).map_err(|error| about(error, files, path))?;
    }
    Ok(digests)
}

/// Whether the published checksum, if there is one, is met.
fn verify(set: &DataSet, path: &Path, digests: &Digests) -> Result<bool> {
    let Checksum::Md5 { bytes, md5, by } = set.archive.checksum else { return Ok(false) };
    let hint = format!("it is cut off, damaged or another file; the publisher's page is {}", set.page);
    let name = path.display().to_string();
    if digests.bytes != bytes {
        return Err(Error::input(
            name,
            format!("{} bytes", count(bytes)),
            format!("{} bytes", count(digests.bytes)),
        )
        .with_hint(hint));
    }
    if digests.md5 != md5 {
        return Err(Error::input(name, format!("MD5 {md5} (of {by})"), digests.md5.as_str()).with_hint(hint));
    }
    Ok(true)
}

/// The files of `set` in `directory`, which is the user's.
fn copy(set: &DataSet, directory: &Path, files: &Path, observer: &mut dyn Observer) -> Result<()> {
    check::files(set, directory)?;
    observer.stage("counting rows");
    check::rows(set, directory, observer)?;
    observer.stage(&format!("copying {}", directory.display()));
    let tables = set.tables.iter().map(|table| table.file);
    for name in tables.chain(set.needed.iter().copied()).chain(set.extras.iter().copied()) {
        let (from, to) = (directory.join(name), files.join(name));
        if from.is_file() {
            fs::copy(&from, &to).map_err(Error::io("copy to", &to))?;
        }
    }
    Ok(())
}

/// An error about the files, named after what they came from: they will be gone when it is read.
fn about(error: Error, files: &Path, origin: &Path) -> Error {
    let (files, origin) = (files.display().to_string(), origin.display().to_string());
    let hint = error.hint();
    match error {
        Error::Input { input, expected, found, .. } => {
            Error::Input { input: input.replace(&files, &origin), expected, found, hint }
        }
        Error::Data(error @ dlrm_data::Error::Io { .. }) => error.into(),
        Error::Data(error) => {
            let found = error.to_string().replace(&format!("{files}/"), "").replace(&files, "in it");
            Error::input(origin, "rows as published", found).with_hint("it is torn, or another edition")
        }
        other => other,
    }
}

fn checked(set: &DataSet, archive: Option<&Digests>, is_published: bool) -> String {
    let rows = format!("{} rows counted", count(set.rows()));
    match (set.archive.checksum, archive) {
        (Checksum::Md5 { by, .. }, Some(_)) if is_published => format!("length and MD5 as published by {by}"),
        (Checksum::Noted { sha256, .. }, Some(digests)) if digests.sha256 == sha256 => {
            format!("{rows}; no checksum is published; the SHA-256 is the one that others have noted")
        }
        (Checksum::Noted { .. }, Some(_)) => {
            format!("{rows}; no checksum is published; the SHA-256 is another than others have noted")
        }
        (_, Some(_)) => format!("{rows}; no checksum is published"),
        (_, None) => format!("{rows}; there was no archive to check"),
    }
}

/// All files below `directory`, by their names relative to it.
fn digests_below(directory: &Path, observer: &mut dyn Observer) -> Result<BTreeMap<String, Digests>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = directory.join(&folder);
        for entry in fs::read_dir(&path).map_err(Error::io("list", &path))? {
            let name = folder.join(entry.map_err(Error::io("list", &path))?.file_name());
            let path = directory.join(&name);
            if path.is_dir() {
                folders.push(name);
            } else {
                found.insert(name.to_string_lossy().into_owned(), Digests::of(&path, observer)?);
            }
        }
    }
    Ok(found)
}
