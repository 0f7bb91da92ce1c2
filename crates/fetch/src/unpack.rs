//! Archives into a directory. No entry leaves it, none is a link, and all together stay within a number of
//! bytes.
use crate::catalogue::Packing;
use crate::error::{Error, Result};
use crate::observer::Observer;
use dlrm_data::error::quoted;
use dlrm_data::format;
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Entries of an archive, at most.
const MOST_ENTRIES: usize = 1000;

/// Unpacks the archive at `path` into `directory`, which is there; never more than `most` bytes.
///
/// # Errors
/// If the archive is torn or holds what it should not; as the file system; if the observer wishes to stop.
pub fn unpack(
    path: &Path,
    packing: Packing,
    directory: &Path,
    most: u64,
    observer: &mut dyn Observer,
) -> Result<()> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut target = Target { archive: path, directory, most, left: most, entries: 0, observer };
    match packing {
        Packing::Zip(root) => zip(file, root, &mut target),
        Packing::TarGz => tar(file, &mut target),
        Packing::Plain => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            target.write(Path::new(&name), file)
        }
    }
}

fn zip(file: File, root: &str, target: &mut Target) -> Result<()> {
    let torn = |error: zip::result::ZipError, archive: &Path| {
        let error = Error::input(archive.display().to_string(), "a whole zip archive", error.to_string());
        error.with_hint("it is cut off or something else; fetch it again")
    };
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| torn(e, target.archive))?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| torn(e, target.archive))?;
        let name = entry.name().map_err(|e| torn(e, target.archive))?.into_owned();
        let place = target.place(&name, root)?;
        if entry.is_symlink() {
            return Err(target.refuse(&name, "a link"));
        }
        if let Some(place) = place.filter(|_| !entry.is_dir()) {
            target.write(&place, entry)?;
        }
    }
    Ok(())
}

fn tar(file: File, target: &mut Target) -> Result<()> {
    let archive_path = target.archive.to_owned();
    let torn = |error: io::Error| {
        let error =
            Error::input(archive_path.display().to_string(), "a whole tar.gz archive", error.to_string());
        error.with_hint("it is cut off or something else; fetch it again")
    };
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(1 << 18, file)));
    for entry in archive.entries().map_err(&torn)? {
        let entry = entry.map_err(&torn)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let place = target.place(&name, "")?;
        match (entry.header().entry_type(), place) {
            (tar::EntryType::Directory | tar::EntryType::XGlobalHeader, _) | (_, None) => {}
            (tar::EntryType::Regular | tar::EntryType::Continuous, Some(place)) => {
                target.write(&place, entry)?
            }
            _ => return Err(target.refuse(&name, "a link or a device")),
        }
    }
    Ok(())
}

/// Where entries go.
struct Target<'a> {
    archive: &'a Path,
    directory: &'a Path,
    /// Bytes of all entries, at most.
    most: u64,
    /// Bytes that may still come.
    left: u64,
    entries: usize,
    observer: &'a mut dyn Observer,
}

impl Target<'_> {
    /// Where an entry of this name belongs, relative to the directory; below `root`, if it is there.
    fn place(&mut self, name: &str, root: &str) -> Result<Option<PathBuf>> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(self.refuse(name, &format!("more than {MOST_ENTRIES} entries")));
        }
        if name.starts_with('/')
            || name.contains(['\\', '\0', ':'])
            || name.split('/').any(|part| part == "..")
        {
            return Err(self.refuse(name, "a path that leads out of the directory"));
        }
        let mut parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.first() == Some(&root) {
            parts.remove(0);
        }
        Ok((!parts.is_empty()).then(|| parts.iter().collect()))
    }

    fn write(&mut self, place: &Path, mut entry: impl Read) -> Result<()> {
        let path = self.directory.join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        // Two entries of one name would be one file of two minds.
        let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
        let mut buffer = vec![0; 1 << 18];
        let mut written = 0;
        loop {
            if self.observer.should_stop() {
                return Err(Error::Interrupted {
                    what: format!("while {} was unpacked; it stays", self.archive.display()),
                });
            }
            let length = entry.read(&mut buffer).map_err(|error| {
                let input = format!("{}: {}", self.archive.display(), place.display());
                Error::input(input, "a whole file", error.to_string())
                    .with_hint("the archive is damaged; fetch it again")
            })?;
            if length == 0 {
                return file.sync_all().map_err(Error::io("write", &path));
            }
            let Some(left) = self.left.checked_sub(length as u64) else {
                return Err(self.refuse(
                    &place.display().to_string(),
                    &format!("more than {} in all", format::bytes(self.most)),
                ));
            };
            self.left = left;
            written += length as u64;
            file.write_all(&buffer[..length]).map_err(Error::io("write", &path))?;
            self.observer.progress(written, None);
        }
    }

    fn refuse(&self, name: &str, found: &str) -> Error {
        let input = format!("{}: entry {}", self.archive.display(), quoted(name));
        Error::input(input, "plain files within the directory", found)
            .with_hint("this is not the publisher's archive; nothing of it was kept")
    }
}
