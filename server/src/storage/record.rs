//! The codec of a revision's record: a tag and what the change left behind. The record's revision
//! is its key, so it is not repeated in a delete; a put carries it within the encoded item.

use bytes::Bytes;

use crate::types::{Item, Revision};

/// What one revision did to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Put(Item),
    Delete { key: Bytes },
}

/// The bytes are not a record of the revision they are stored under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record of revision {0}")]
pub struct MalformedRecord(pub Revision);

const PUT: u8 = 1;
const DELETE: u8 = 2;

impl Record {
    pub fn key(&self) -> &[u8] {
        match self {
            Record::Put(item) => item.key(),
            Record::Delete { key } => key,
        }
    }

    /// Bytes of [`Record::encode`].
    pub fn encoded_len(&self) -> usize {
        match self {
            Record::Put(item) => 1 + item.encoded().len(),
            Record::Delete { key } => 1 + key.len(),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let (tag, body) = match self {
            Record::Put(item) => (PUT, item.encoded()),
            Record::Delete { key } => (DELETE, &key[..]),
        };
        let mut out = Vec::with_capacity(1 + body.len());
        out.push(tag);
        out.extend_from_slice(body);
        out
    }

    /// The inverse of [`Record::encode`], for the record of revision `at`.
    pub fn decode(bytes: &[u8], at: Revision) -> Result<Self, MalformedRecord> {
        let malformed = MalformedRecord(at);
        match bytes.split_first() {
            Some((&PUT, body)) => {
                let item = Item::from_encoded(body, at.sub).map_err(|_| malformed)?;
                if item.modified() == at { Ok(Record::Put(item)) } else { Err(malformed) }
            }
            Some((&DELETE, key)) => Ok(Record::Delete { key: Bytes::copy_from_slice(key) }),
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{MalformedRecord, Record};
    use crate::types::{Item, LeaseId, Revision};

    proptest! {
        #[test]
        fn a_record_reads_back_what_it_encoded(
            key in prop::collection::vec(any::<u8>(), 1..40),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
            main in 1i64..i64::MAX,
            sub in any::<u32>(),
        ) {
            let at = Revision::new(main, sub);
            let record = match value {
                Some(value) => Record::Put(Item::new(&key, &value, main, at, 1, LeaseId(3))),
                None => Record::Delete { key: Bytes::from(key.clone()) },
            };
            let bytes = record.encode();
            prop_assert_eq!(bytes.len(), record.encoded_len());
            prop_assert_eq!(record.key(), &key[..]);
            prop_assert_eq!(Record::decode(&bytes, at), Ok(record));
        }
    }

    #[test]
    fn a_record_of_another_revision_or_kind_is_refused() {
        let at = Revision::new(7, 1);
        let bytes = Record::Put(Item::new(b"k", b"v", 7, at, 1, LeaseId::NONE)).encode();
        let other = Revision::new(8, 1);
        assert_eq!(Record::decode(&bytes, other), Err(MalformedRecord(other)));
        assert_eq!(Record::decode(&[], at), Err(MalformedRecord(at)));
        assert_eq!(Record::decode(&[9, 1, 2], at), Err(MalformedRecord(at)));
        assert_eq!(Record::decode(&bytes[..bytes.len() - 1], at), Err(MalformedRecord(at)));
    }
}
