//! The prefix, and how keys and ranges go in and out.

use bytes::{Bytes, BytesMut};
use portunus_proto::mvccpb::{Event, KeyValue};
use prost::Message;
use tonic::Status;

/// As an end: up to the end of all keys.
const TO_THE_END: &[u8] = &[0];

/// A prefix that all keys of the clients are under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    prefix: Bytes,
    /// The first key that is not under it, as the end of a range.
    end: Bytes,
}

impl Namespace {
    /// `None` for an empty prefix, which changes nothing.
    pub fn new(prefix: &str) -> Option<Self> {
        if prefix.is_empty() {
            return None;
        }
        let prefix = Bytes::copy_from_slice(prefix.as_bytes());
        let kept = prefix.iter().rposition(|byte| *byte != u8::MAX);
        let end = match kept {
            Some(last) => {
                let mut end = prefix[..=last].to_vec();
                end[last] += 1;
                end.into()
            }
            None => Bytes::from_static(TO_THE_END),
        };
        Some(Self { prefix, end })
    }

    /// The key as members know it.
    pub fn enter(&self, key: &Bytes) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.prefix.len() + key.len());
        whole.extend_from_slice(&self.prefix);
        whole.extend_from_slice(key);
        whole.freeze()
    }

    /// A key that must not be empty.
    ///
    /// # Errors
    /// It is; etcd's text, since a member would not notice any more.
    pub fn enter_key(&self, key: &mut Bytes) -> Result<(), Status> {
        if key.is_empty() {
            return Err(Status::invalid_argument("etcdserver: key is not provided"));
        }
        *key = self.enter(key);
        Ok(())
    }

    /// The end of a range: none stays none, and the end of all keys is that of the prefix.
    pub fn enter_end(&self, end: &mut Bytes) {
        if end == TO_THE_END {
            *end = self.end.clone();
        } else if !end.is_empty() {
            *end = self.enter(end);
        }
    }

    /// The key as clients know it.
    ///
    /// # Errors
    /// It is not under the prefix: a member has answered with what was not asked for.
    pub fn leave(&self, key: &Bytes) -> Result<Bytes, Status> {
        match key.starts_with(&self.prefix) {
            true => Ok(key.slice(self.prefix.len()..)),
            false => Err(Status::internal("portunus proxy: a key of an answer has not the prefix")),
        }
    }

    /// As [`leave`](Self::leave); an answer may have no key where there is nothing to tell.
    ///
    /// # Errors
    /// It is not under the prefix.
    pub fn leave_any(&self, key: &mut Bytes) -> Result<(), Status> {
        if !key.is_empty() {
            *key = self.leave(key)?;
        }
        Ok(())
    }

    pub fn holds(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix)
    }

    /// Changes the key of an encoded `KeyValue`; none at all stays none.
    ///
    /// # Errors
    /// It is none, or not under the prefix.
    pub fn leave_kv(&self, encoded: &mut Bytes) -> Result<(), Status> {
        if encoded.is_empty() {
            return Ok(());
        }
        let mut kv = KeyValue::decode(encoded.clone()).map_err(unreadable)?;
        kv.key = self.leave(&kv.key)?;
        *encoded = kv.encode_to_vec().into();
        Ok(())
    }

    /// Changes the keys of an encoded `Event`.
    ///
    /// # Errors
    /// It is none, or not under the prefix.
    pub fn leave_event(&self, encoded: &Bytes) -> Result<Bytes, Status> {
        let mut event = Event::decode(encoded.clone()).map_err(unreadable)?;
        self.leave_kv(&mut event.kv)?;
        self.leave_kv(&mut event.prev_kv)?;
        Ok(event.encode_to_vec().into())
    }
}

pub fn unreadable(error: prost::DecodeError) -> Status {
    Status::internal(format!("portunus proxy: a message cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(prefix: &[u8], asked: &[u8]) -> Bytes {
        let prefix = std::str::from_utf8(prefix).expect("text");
        let mut end = Bytes::copy_from_slice(asked);
        Namespace::new(prefix).expect("a prefix").enter_end(&mut end);
        end
    }

    #[test]
    fn the_whole_space_is_what_is_under_the_prefix() {
        assert_eq!(end(b"a/", b"\0"), "a0");
        assert_eq!(end(b"a/", b""), "", "one key stays one key");
        assert_eq!(end(b"a/", b"x"), "a/x");
        assert_eq!(Namespace::new(""), None);
        let highest = Namespace { prefix: vec![0xff, 0xff].into(), end: Bytes::new() };
        assert_eq!(highest.enter(&Bytes::from_static(b"k")), &b"\xff\xffk"[..]);
    }

    #[test]
    fn keys_go_in_and_come_out() {
        let space = Namespace::new("p/").expect("a prefix");
        let mut key = Bytes::from_static(b"k");
        space.enter_key(&mut key).expect("not empty");
        assert_eq!(key, "p/k");
        assert_eq!(space.leave(&key).expect("under it"), "k");
        space.leave(&Bytes::from_static(b"q")).expect_err("not under it");
        let refused = space.enter_key(&mut Bytes::new()).expect_err("empty");
        assert_eq!(refused.message(), "etcdserver: key is not provided");
    }

    #[test]
    fn events_keep_all_but_the_prefix() {
        let space = Namespace::new("p/").expect("a prefix");
        let kv = |key: &'static str, revision| KeyValue {
            key: key.into(),
            mod_revision: revision,
            value: "v".into(),
            ..Default::default()
        };
        let event = |key, old| Event {
            r#type: 1,
            kv: kv(key, 7).encode_to_vec().into(),
            prev_kv: kv(old, 5).encode_to_vec().into(),
        };
        let left = space.leave_event(&event("p/k", "p/k").encode_to_vec().into());
        assert_eq!(left.expect("under it"), event("k", "k").encode_to_vec());
    }
}
