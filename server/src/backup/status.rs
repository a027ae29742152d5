//! What `snapshot status` tells of a file, computed as etcd computes it.

use std::collections::HashSet;

use bytes::Bytes;

use super::schema::{KEY, META, meta};
use super::{Error, revision_key};
use crate::bbolt::{Database, Source};
use crate::types::Item;

/// A snapshot's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// CRC-32C of all buckets' names, keys and values.
    pub hash: u32,
    pub revision: i64,
    /// Keys that are live.
    pub total_keys: usize,
    /// Bytes of the file, without the checksum behind it.
    pub total_bytes: u64,
    /// Of the storage schema; empty before etcd 3.6.
    pub version: String,
}

/// Checks the file as a whole and reads its figures.
pub fn status<S: Source>(file: &Database<S>) -> Result<Status, Error> {
    file.check()?;
    let mut status = Status { total_bytes: file.bytes(), ..Status::default() };
    let mut live: HashSet<Bytes> = HashSet::new();
    for (name, bucket) in file.buckets()? {
        status.hash = crc32c::crc32c_append(status.hash, &name);
        for entry in file.entries(&bucket) {
            let (key, value) = entry?;
            status.hash = crc32c::crc32c_append(status.hash, &key);
            status.hash = crc32c::crc32c_append(status.hash, &value);
            if name == KEY.as_bytes() {
                let (at, is_delete) =
                    revision_key::decode(&key).ok_or_else(|| Error::key(KEY, &key))?;
                status.revision = at.main;
                let item = Item::from_encoded(&value, at.sub);
                let item = item.map_err(|error| Error::value(KEY, &key, error))?;
                match is_delete {
                    true => live.remove(item.key()),
                    false => live.insert(Bytes::copy_from_slice(item.key())),
                };
            } else if name == META.as_bytes() && key == meta::STORAGE_VERSION {
                status.version = String::from_utf8_lossy(&value).into_owned();
            }
        }
    }
    status.total_keys = live.len();
    Ok(status)
}
