//! The checksum behind a snapshot: SHA-256 of everything before it. A file that was copied from a
//! member's data directory has none.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Error;
use crate::bbolt::Database;

/// What a snapshot has behind the file.
pub const CHECKSUM_BYTES: u64 = 32;
/// A file is whole pages, and pages are a multiple of this, so the rest of its size tells whether
/// a checksum follows; etcd's rule.
const SECTOR_BYTES: u64 = 512;
const BUFFER_BYTES: usize = 256 * 1024;

/// Opens a snapshot. The checksum must be there and fit, unless `skip_hash_check` says otherwise.
pub fn open(path: &Path, skip_hash_check: bool) -> Result<Database<File>, Error> {
    let mut file = File::open(path).map_err(Error::io("open the snapshot"))?;
    if !skip_hash_check {
        match checksum_of(&file)? {
            true => check(&mut file)?,
            false => return Err(Error::NoChecksum),
        }
    }
    Ok(Database::open(file)?)
}

/// Opens a snapshot whose checksum may be missing, but must fit where it is there.
pub fn open_checked(path: &Path) -> Result<Database<File>, Error> {
    let mut file = File::open(path).map_err(Error::io("open the snapshot"))?;
    if checksum_of(&file)? {
        check(&mut file)?;
    }
    Ok(Database::open(file)?)
}

fn checksum_of(file: &File) -> Result<bool, Error> {
    let bytes = file.metadata().map_err(Error::io("ask for the snapshot's size"))?.len();
    Ok(bytes % SECTOR_BYTES == CHECKSUM_BYTES)
}

fn check(file: &mut File) -> Result<(), Error> {
    let read = Error::io("read the snapshot");
    let (expected, found) = sums(file).map_err(read)?;
    if expected != found {
        let (expected, found) = (as_go_prints(&expected), as_go_prints(&found));
        return Err(Error::Checksum { expected, found });
    }
    Ok(())
}

/// The checksum at the end, and that of what is before.
fn sums(file: &mut File) -> std::io::Result<([u8; 32], [u8; 32])> {
    let data = file.metadata()?.len() - CHECKSUM_BYTES;
    let (mut expected, mut hash) = ([0; 32], Sha256::new());
    file.seek(SeekFrom::Start(data))?;
    file.read_exact(&mut expected)?;
    file.seek(SeekFrom::Start(0))?;
    let (mut left, mut buffer) = (data, vec![0; BUFFER_BYTES]);
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[..want])?;
        hash.update(&buffer[..want]);
        left -= want as u64;
    }
    Ok((expected, hash.finalize().into()))
}

fn as_go_prints(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(" "))
}
