//! One revision of one key, in one allocation: a small head for the fields the server looks at,
//! and behind it the `mvccpb.KeyValue` message as it goes to the client, to the log and to disk.
//! Encoding once and copying ever after is what makes ranges and watches cheap.

use bytes::Bytes;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use triomphe::ThinArc;

use super::{LeaseId, Revision};

/// A shared, immutable revision of a key. Cloning costs a counter.
#[derive(Clone)]
pub struct Item(ThinArc<Head, u8>);

#[derive(Clone, Copy)]
struct Head {
    create_revision: i64,
    modified: Revision,
    version: i64,
    lease: LeaseId,
    key: Span,
    value: Span,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..(self.start + self.len) as usize]
    }
}

/// The bytes are not one well-formed `mvccpb.KeyValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed key-value record")]
pub struct MalformedItem;

const KEY: u32 = 1;
const CREATE_REVISION: u32 = 2;
const MOD_REVISION: u32 = 3;
const VERSION: u32 = 4;
const VALUE: u32 = 5;
const LEASE: u32 = 6;

impl Item {
    /// A put of `value` at `modified`; `version` counts from 1 since `create_revision`.
    pub fn new(
        key: &[u8],
        value: &[u8],
        create_revision: i64,
        modified: Revision,
        version: i64,
        lease: LeaseId,
    ) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + value.len() + 48);
        let key_span = put_bytes(&mut bytes, KEY, key);
        put_int(&mut bytes, CREATE_REVISION, create_revision);
        put_int(&mut bytes, MOD_REVISION, modified.main);
        put_int(&mut bytes, VERSION, version);
        let value_span = put_bytes(&mut bytes, VALUE, value);
        put_int(&mut bytes, LEASE, lease.0);
        let head =
            Head { create_revision, modified, version, lease, key: key_span, value: value_span };
        Self(ThinArc::from_header_and_slice(head, &bytes))
    }

    /// Reads back [`Item::encoded`]. The place within the transaction is not part of the message.
    pub fn from_encoded(encoded: &[u8], sub: u32) -> Result<Self, MalformedItem> {
        let head = parse(encoded, sub).ok_or(MalformedItem)?;
        Ok(Self(ThinArc::from_header_and_slice(head, encoded)))
    }

    pub fn key(&self) -> &[u8] {
        self.0.header.header.key.of(&self.0.slice)
    }

    pub fn value(&self) -> &[u8] {
        self.0.header.header.value.of(&self.0.slice)
    }

    pub fn create_revision(&self) -> i64 {
        self.0.header.header.create_revision
    }

    /// Where this revision of the key was written.
    pub fn modified(&self) -> Revision {
        self.0.header.header.modified
    }

    pub fn mod_revision(&self) -> i64 {
        self.modified().main
    }

    /// Puts since the key was created, this one included.
    pub fn version(&self) -> i64 {
        self.0.header.header.version
    }

    pub fn lease(&self) -> LeaseId {
        self.0.header.header.lease
    }

    /// The `mvccpb.KeyValue` message.
    pub fn encoded(&self) -> &[u8] {
        &self.0.slice
    }

    /// The same bytes, sharing this item's memory.
    pub fn encoded_bytes(&self) -> Bytes {
        Bytes::from_owner(EncodedView(self.clone()))
    }

    /// What the item takes in memory and, about, on disk.
    pub fn size_bytes(&self) -> usize {
        size_of::<Head>() + size_of::<usize>() * 2 + self.encoded().len()
    }
}

struct EncodedView(Item);

impl AsRef<[u8]> for EncodedView {
    fn as_ref(&self) -> &[u8] {
        self.0.encoded()
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item")
            .field("key", &String::from_utf8_lossy(self.key()))
            .field("value_bytes", &self.value().len())
            .field("create_revision", &self.create_revision())
            .field("modified", &self.modified())
            .field("version", &self.version())
            .field("lease", &self.lease())
            .finish()
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.modified() == other.modified() && self.encoded() == other.encoded()
    }
}

impl Eq for Item {}

fn put_bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) -> Span {
    if bytes.is_empty() {
        return Span::default();
    }
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    let start = out.len() as u32;
    out.extend_from_slice(bytes);
    Span { start, len: bytes.len() as u32 }
}

fn put_int(out: &mut Vec<u8>, tag: u32, value: i64) {
    if value != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(value as u64, out);
    }
}

fn parse(encoded: &[u8], sub: u32) -> Option<Head> {
    let mut head = Head {
        create_revision: 0,
        modified: Revision::new(0, sub),
        version: 0,
        lease: LeaseId::NONE,
        key: Span::default(),
        value: Span::default(),
    };
    let mut rest = encoded;
    while !rest.is_empty() {
        let (tag, wire) = decode_key(&mut rest).ok()?;
        match (tag, wire) {
            (KEY | VALUE, WireType::LengthDelimited) => {
                let len = decode_varint(&mut rest).ok()?;
                let start = encoded.len() - rest.len();
                rest = rest.get(usize::try_from(len).ok()?..)?;
                let span =
                    Span { start: u32::try_from(start).ok()?, len: u32::try_from(len).ok()? };
                *(if tag == KEY { &mut head.key } else { &mut head.value }) = span;
            }
            (CREATE_REVISION | MOD_REVISION | VERSION | LEASE, WireType::Varint) => {
                let value = decode_varint(&mut rest).ok()? as i64;
                match tag {
                    CREATE_REVISION => head.create_revision = value,
                    MOD_REVISION => head.modified.main = value,
                    VERSION => head.version = value,
                    _ => head.lease = LeaseId(value),
                }
            }
            _ => return None,
        }
    }
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::{Item, LeaseId, MalformedItem, Revision};

    #[test]
    fn an_item_reads_back_what_it_encoded() {
        for (key, value, lease) in [("k", "v", 0), ("key", "", 7), ("a/long/key", "x", -1)] {
            let item = Item::new(
                key.as_bytes(),
                value.as_bytes(),
                3,
                Revision::new(9, 2),
                4,
                LeaseId(lease),
            );
            let back = Item::from_encoded(item.encoded(), 2).expect("well formed");
            assert_eq!(back, item);
            assert_eq!((back.key(), back.value()), (key.as_bytes(), value.as_bytes()));
            assert_eq!((back.create_revision(), back.mod_revision(), back.version()), (3, 9, 4));
            assert_eq!(back.lease(), LeaseId(lease));
            assert_eq!(&item.encoded_bytes()[..], item.encoded());
        }
    }

    #[test]
    fn a_cut_item_is_refused_or_differs() {
        let item = Item::new(b"key", b"value", 3, Revision::new(9, 0), 4, LeaseId(5));
        for cut in 0..item.encoded().len() {
            match Item::from_encoded(&item.encoded()[..cut], 0) {
                Err(MalformedItem) => {}
                Ok(back) => assert_ne!(back, item),
            }
        }
    }
}
