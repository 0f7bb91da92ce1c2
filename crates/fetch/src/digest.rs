//! Checksums of files.
use crate::error::{Error, Result};
use crate::observer::Observer;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Length and checksums of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Length.
    pub bytes: u64,
    /// MD5, hexadecimal: what publishers give.
    pub md5: String,
    /// SHA-256, hexadecimal: what can be trusted.
    pub sha256: String,
}

impl Digests {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, or the observer wishes to stop.
    pub fn of(path: &Path, observer: &mut dyn Observer) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        let all = file.metadata().map_err(Error::io("open", path))?.len();
        let (mut md5, mut sha256, mut bytes) = (Md5::new(), Sha256::new(), 0);
        let mut buffer = vec![0; 1 << 18];
        loop {
            let length = file.read(&mut buffer).map_err(Error::io("read", path))?;
            if length == 0 {
                return Ok(Digests {
                    bytes,
                    md5: hexadecimal(&md5.finalize()),
                    sha256: hexadecimal(&sha256.finalize()),
                });
            }
            md5.update(&buffer[..length]);
            sha256.update(&buffer[..length]);
            bytes += length as u64;
            observer.progress(bytes, Some(all));
            if observer.should_stop() {
                return Err(Error::Interrupted {
                    what: format!("while {} was checked; nothing was changed", path.display()),
                });
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_standard_texts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let digests = Digests::of(&path, &mut ()).unwrap();
        // RFC 1321 and FIPS 180.
        assert_eq!((digests.bytes, digests.md5.as_str()), (3, "900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(digests.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
