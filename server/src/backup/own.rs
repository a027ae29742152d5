//! The bucket of our own: what etcd has no place for, so that a restore into Portunus loses
//! nothing, whether or not the file was an etcd's data in between.
//!
//! ```text
//! a<revision>  who wrote it: CRC-32C of the record in the bucket `key`, then the encoded author
//! f            the bucket's form, a byte
//! l            feature level and count of binding changes: u32, u64, big-endian
//! r<row>       a row of the machine
//! ```

use bytes::Bytes;
use triomphe::Arc;

use super::Error;
use super::schema::OWN;
use crate::bbolt::{Bucket, Database, Source};
use crate::effect::Author;
use crate::types::Revision;

/// The form that this program writes and the highest that it knows.
pub const FORM: u8 = 1;

const AUTHOR: u8 = b'a';
pub const FORM_KEY: &[u8] = b"f";
pub const LEVELS_KEY: &[u8] = b"l";
const ROW: u8 = b'r';

/// The key of a revision's author.
pub fn author_key(at: Revision) -> Vec<u8> {
    [&[AUTHOR], &at.to_bytes()[..]].concat()
}

/// The author of the revision whose value in the bucket `key` is `record`. Should the file have
/// been another history since, the revision's number alone would name the wrong one.
pub fn author_value(record: &[u8], author: &Author) -> Vec<u8> {
    let mut value = crc32c::crc32c(record).to_be_bytes().to_vec();
    author.encode(&mut value);
    value
}

pub fn row_key(row: &[u8]) -> Vec<u8> {
    [&[ROW], row].concat()
}

pub fn levels_value(feature_level: u32, bindings_revision: u64) -> Vec<u8> {
    [&feature_level.to_be_bytes()[..], &bindings_revision.to_be_bytes()].concat()
}

/// What the bucket holds beside authors.
#[derive(Default)]
pub struct Own {
    pub feature_level: u32,
    pub bindings_revision: u64,
    /// Rows of the machine.
    pub rows: Vec<(Bytes, Bytes)>,
}

/// Reads the bucket but for the authors.
pub fn read<S: Source>(file: &Database<S>, bucket: &Bucket) -> Result<Own, Error> {
    let mut own = Own::default();
    for entry in file.entries(bucket) {
        let (key, value) = entry?;
        match key.first() {
            Some(&ROW) => own.rows.push((key.slice(1..), value)),
            Some(&AUTHOR) => {}
            _ if key == FORM_KEY => {
                let found = value.first().copied().unwrap_or(0);
                if found > FORM {
                    return Err(Error::Newer { found, known: FORM });
                }
            }
            _ if key == LEVELS_KEY => {
                let (level, bindings) = levels(&value).ok_or_else(|| damaged(&key))?;
                own.feature_level = level;
                own.bindings_revision = bindings;
            }
            _ => return Err(Error::key(OWN, &key)),
        }
    }
    Ok(own)
}

/// Authors in order of revision, to be asked for in that order.
pub struct Authors<'a> {
    entries: Box<dyn Iterator<Item = Result<(Bytes, Bytes), Error>> + 'a>,
    next: Option<(Revision, Bytes)>,
}

impl<'a> Authors<'a> {
    pub fn new<S: Source>(file: &'a Database<S>, bucket: Option<&Bucket>) -> Result<Self, Error> {
        let entries = bucket.map(|bucket| file.entries(bucket)).into_iter().flatten();
        let authors = entries.map(|entry| entry.map_err(Error::from)).take_while(|entry| {
            entry.as_ref().map_or(true, |(key, _)| key.first() == Some(&AUTHOR))
        });
        let mut all = Self { entries: Box::new(authors), next: None };
        all.advance()?;
        Ok(all)
    }

    /// The author of the record at `at`.
    pub fn take(&mut self, at: Revision, record: &[u8]) -> Result<Option<Arc<Author>>, Error> {
        while let Some((next, value)) = &self.next {
            if *next > at {
                return Ok(None);
            }
            let found = match *next == at {
                true => author(*next, value, record)?,
                false => None,
            };
            self.advance()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.next = match self.entries.next() {
            None => None,
            Some(entry) => {
                let (key, value) = entry?;
                let at = Revision::from_bytes(&key[1..]).ok_or_else(|| Error::key(OWN, &key))?;
                Some((at, value))
            }
        };
        Ok(())
    }
}

fn author(at: Revision, value: &Bytes, record: &[u8]) -> Result<Option<Arc<Author>>, Error> {
    let damaged = || damaged(&author_key(at));
    let sum = value.get(..4).ok_or_else(damaged)?;
    if sum != crc32c::crc32c(record).to_be_bytes() {
        return Ok(None);
    }
    let author = Author::decode(&value.slice(4..)).map_err(|_| damaged())?;
    Ok(Some(Arc::new(author)))
}

fn levels(value: &[u8]) -> Option<(u32, u64)> {
    let (level, bindings) = value.split_at_checked(4)?;
    Some((
        u32::from_be_bytes(level.try_into().ok()?),
        u64::from_be_bytes(bindings.try_into().ok()?),
    ))
}

fn damaged(key: &[u8]) -> Error {
    Error::value(OWN, key, "it is not in the form that this program writes")
}
