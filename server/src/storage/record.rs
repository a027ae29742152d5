//! The codec of a revision's record: a tag, who wrote it where that was a plugin, and what the
//! change left behind. The record's revision is its key, so it is not repeated in a delete; a put
//! carries it within the encoded item. A client's own change carries no author and no bytes for it.

use bytes::Bytes;
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};
use triomphe::Arc;

use crate::effect::Author;
use crate::types::{Item, Revision};

/// What one revision did to its key, and which plugin did it, if one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub body: Body,
    pub author: Option<Arc<Author>>,
}

/// What one revision did to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Put(Item),
    Delete { key: Bytes },
}

/// The bytes are not a record of the revision they are stored under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record of revision {0}")]
pub struct MalformedRecord(pub Revision);

const PUT: u8 = 1;
const DELETE: u8 = 2;
/// Added to the tag of a record that names its author: its length and encoding follow.
const BY: u8 = 2;

impl Record {
    /// A client's own change.
    pub fn new(body: Body) -> Self {
        Self { body, author: None }
    }

    pub fn key(&self) -> &[u8] {
        match &self.body {
            Body::Put(item) => item.key(),
            Body::Delete { key } => key,
        }
    }

    /// Bytes of [`Record::encode`].
    pub fn encoded_len(&self) -> usize {
        let author = self.author.as_ref().map_or(0, |author| {
            let len = author.encoded_len();
            encoded_len_varint(len as u64) + len
        });
        1 + author + self.body.bytes().len()
    }

    pub fn encode(&self) -> Vec<u8> {
        let tag = match &self.body {
            Body::Put(_) => PUT,
            Body::Delete { .. } => DELETE,
        };
        let mut out = Vec::with_capacity(self.encoded_len());
        match &self.author {
            None => out.push(tag),
            Some(author) => {
                out.push(tag + BY);
                encode_varint(author.encoded_len() as u64, &mut out);
                author.encode(&mut out);
            }
        }
        out.extend_from_slice(self.body.bytes());
        out
    }

    /// The inverse of [`Record::encode`], for the record of revision `at`.
    pub fn decode(bytes: &[u8], at: Revision) -> Result<Self, MalformedRecord> {
        let malformed = MalformedRecord(at);
        let (tag, rest) = bytes.split_first().ok_or(malformed)?;
        let (tag, author, body) = match *tag {
            tag @ (PUT | DELETE) => (tag, None, rest),
            tag => {
                let (author, body) = author(rest).ok_or(malformed)?;
                (tag.saturating_sub(BY), Some(Arc::new(author)), body)
            }
        };
        let body = match tag {
            PUT => {
                let item = Item::from_encoded(body, at.sub).map_err(|_| malformed)?;
                Body::Put(Some(item).filter(|item| item.modified() == at).ok_or(malformed)?)
            }
            DELETE => Body::Delete { key: Bytes::copy_from_slice(body) },
            _ => return Err(malformed),
        };
        Ok(Self { body, author })
    }
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Body::Put(item) => item.encoded(),
            Body::Delete { key } => key,
        }
    }
}

/// The author at the beginning of `bytes`, and what follows.
fn author(mut bytes: &[u8]) -> Option<(Author, &[u8])> {
    let len = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
    let (author, body) = bytes.split_at_checked(len)?;
    Some((Author::decode(&Bytes::copy_from_slice(author)).ok()?, body))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use triomphe::Arc;

    use super::{Body, MalformedRecord, Record};
    use crate::effect::{Author, Point};
    use crate::types::{Item, LeaseId, Revision};

    fn author(caller: &str) -> Arc<Author> {
        Arc::new(Author {
            plugin: "index".into(),
            point: Point::Trigger,
            digest: Bytes::from_static(&[7; 32]),
            caller: caller.into(),
            depth: 2,
            via: vec!["first".into()],
        })
    }

    proptest! {
        #[test]
        fn a_record_reads_back_what_it_encoded(
            key in prop::collection::vec(any::<u8>(), 1..40),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
            main in 1i64..i64::MAX,
            sub in any::<u32>(),
            caller in prop::option::of("[a-z]{0,200}"),
        ) {
            let at = Revision::new(main, sub);
            let body = match value {
                Some(value) => Body::Put(Item::new(&key, &value, main, at, 1, LeaseId(3))),
                None => Body::Delete { key: Bytes::from(key.clone()) },
            };
            let record = Record { body, author: caller.as_deref().map(author) };
            let bytes = record.encode();
            prop_assert_eq!(bytes.len(), record.encoded_len());
            prop_assert_eq!(record.key(), &key[..]);
            prop_assert_eq!(Record::decode(&bytes, at), Ok(record));
        }
    }

    #[test]
    fn a_clients_own_change_takes_a_tag_and_no_more() {
        let at = Revision::new(7, 1);
        let item = Item::new(b"k", b"v", 7, at, 1, LeaseId::NONE);
        let put = Record::new(Body::Put(item.clone())).encode();
        assert_eq!(put, [&[1], item.encoded()].concat());
        let delete = Record::new(Body::Delete { key: "key".into() }).encode();
        assert_eq!(delete, b"\x02key");
    }

    #[test]
    fn a_record_of_another_revision_or_kind_is_refused() {
        let at = Revision::new(7, 1);
        let body = Body::Put(Item::new(b"k", b"v", 7, at, 1, LeaseId::NONE));
        for author in [None, Some(author("c"))] {
            let bytes = Record { body: body.clone(), author }.encode();
            let other = Revision::new(8, 1);
            assert_eq!(Record::decode(&bytes, other), Err(MalformedRecord(other)));
            assert_eq!(Record::decode(&bytes[..bytes.len() - 1], at), Err(MalformedRecord(at)));
        }
        assert_eq!(Record::decode(&[], at), Err(MalformedRecord(at)));
        assert_eq!(Record::decode(&[9, 1, 2], at), Err(MalformedRecord(at)));
        assert_eq!(Record::decode(&[3, 50, 2], at), Err(MalformedRecord(at)));
    }
}
