//! Which watches are the same: the same events, seen with the same rights.

use std::sync::Arc;

use bytes::Bytes;
use portunus_proto::etcdserverpb::WatchCreateRequest;
use portunus_proto::etcdserverpb::watch_create_request::FilterType;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::proxy::namespace::Namespace;

/// The rights and wishes that hold for a whole stream of a client. Who shows another token has
/// watches of its own, since only a member knows what it may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bearer {
    token: Option<Bytes>,
    /// The stream is to end when there is no leader.
    pub requires_leader: bool,
}

impl Bearer {
    pub fn of(metadata: &MetadataMap) -> Self {
        let token = metadata.get("authorization").or_else(|| metadata.get("token"));
        Self {
            token: token.map(|token| Bytes::copy_from_slice(token.as_bytes())),
            requires_leader: metadata.get("hasleader").is_some_and(|value| value == "true"),
        }
    }

    /// Puts the same on a stream to a member.
    pub fn mark(&self, metadata: &mut MetadataMap) {
        let token = self.token.clone();
        if let Some(Ok(token)) = token.map(MetadataValue::<Ascii>::try_from) {
            metadata.insert("authorization", token);
        }
        // A member that has lost its leader is to say so: another may have one.
        metadata.insert("hasleader", MetadataValue::from_static("true"));
    }
}

/// What makes watches the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    key: Bytes,
    range_end: Bytes,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
    pub bearer: Bearer,
}

impl Share {
    pub fn new(asked: &WatchCreateRequest, bearer: &Bearer) -> Arc<Self> {
        let has = |filter: FilterType| asked.filters.contains(&i32::from(filter));
        Arc::new(Self {
            key: asked.key.clone(),
            range_end: asked.range_end.clone(),
            no_put: has(FilterType::Noput),
            no_delete: has(FilterType::Nodelete),
            prev_kv: asked.prev_kv,
            bearer: bearer.clone(),
        })
    }

    /// What a member is asked for, from `start` on (0: from now on).
    pub fn request(&self, start: i64, namespace: Option<&Namespace>) -> WatchCreateRequest {
        let (mut key, mut range_end) = (self.key.clone(), self.range_end.clone());
        if let Some(namespace) = namespace {
            // An empty key is the smallest there is, as members have it.
            let smallest = || Bytes::from_static(&[0]);
            key = namespace.enter(&if key.is_empty() { smallest() } else { key });
            namespace.enter_end(&mut range_end);
        }
        let filters = [(self.no_put, FilterType::Noput), (self.no_delete, FilterType::Nodelete)];
        let filters = filters.into_iter().filter(|(set, _)| *set);
        WatchCreateRequest {
            key,
            range_end,
            start_revision: start,
            progress_notify: true,
            filters: filters.map(|(_, filter)| filter.into()).collect(),
            prev_kv: self.prev_kv,
            watch_id: 0,
            fragment: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: &'static str, filters: &[FilterType]) -> WatchCreateRequest {
        WatchCreateRequest {
            key: key.into(),
            filters: filters.iter().map(|filter| (*filter).into()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn ids_and_starts_do_not_part_watches_and_rights_do() {
        let bearer = |token: Option<&'static str>| {
            let mut metadata = MetadataMap::new();
            if let Some(token) = token {
                metadata.insert("authorization", MetadataValue::from_static(token));
            }
            Bearer::of(&metadata)
        };
        let nobody = bearer(None);
        let one = Share::new(&asked("k", &[FilterType::Noput]), &nobody);
        let mut other = asked("k", &[FilterType::Noput, FilterType::Noput]);
        (other.watch_id, other.start_revision, other.progress_notify) = (7, 9, true);
        assert_eq!(one, Share::new(&other, &nobody));
        assert_ne!(one, Share::new(&asked("k", &[]), &nobody));
        assert_ne!(one, Share::new(&other, &bearer(Some("a"))));
        assert_ne!(Share::new(&other, &bearer(Some("b"))), Share::new(&other, &bearer(Some("a"))));
    }

    #[test]
    fn a_watch_of_everything_is_one_of_everything_under_the_prefix() {
        let namespace = Namespace::new("p/");
        let whole = WatchCreateRequest { range_end: "\0".into(), ..asked("", &[]) };
        let request = Share::new(&whole, &Bearer::default()).request(3, namespace.as_ref());
        assert_eq!((&request.key[..], &request.range_end[..]), (&b"p/\0"[..], &b"p0"[..]));
        assert_eq!(request.start_revision, 3);
    }
}
