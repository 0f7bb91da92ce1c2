//! The one place of this crate that maps files into memory.
use arrow_buffer::Buffer;
use bytes::Bytes;
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::path::Path;

/// The bytes of a file, mapped, and the file: pages are read when they are looked at and belong to the
/// system's cache.
///
/// Reading what another process has cut off meanwhile ends this one (SIGBUS), as with every mapping. So
/// whoever reads rows asks the file for its length before
/// (`Shard::append`, `ItemTable::check`).
pub(crate) fn map(path: &Path) -> io::Result<(Buffer, File)> {
    let file = File::open(path)?;
    Ok((map_file(&file)?, file))
}

/// The bytes of an open file, mapped.
#[allow(unsafe_code)]
pub(crate) fn map_file(file: &File) -> io::Result<Buffer> {
    if file.metadata()?.len() == 0 {
        return Ok(Buffer::from_vec(Vec::<u8>::new()));
    }
    // SAFETY: the mapping is read-only and private to this process. Files of a prepared data set and tables
    // of items are written aside, renamed into place (or have no name) and are never changed there; their
    // checksum is compared before their bytes are used.
    let mapping = unsafe { Mmap::map(file)? };
    Ok(Buffer::from(Bytes::from_owner(mapping)))
}
