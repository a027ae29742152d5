//! One put.

use portunus_proto::etcdserverpb as pb;

use crate::decide::Refusal;
use crate::decide::request::header;
use crate::decide::writer::Writer;
use crate::types::{Item, LeaseId};

/// Checks that need no state.
pub fn check_put(request: &pb::PutRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        Err(Refusal::EmptyKey)
    } else if request.ignore_value && !request.value.is_empty() {
        Err(Refusal::ValueProvided)
    } else if request.ignore_lease && request.lease != 0 {
        Err(Refusal::LeaseProvided)
    } else {
        Ok(())
    }
}

/// Puts a key; refused before anything is written.
pub(in crate::decide) fn put(
    writer: &mut Writer<'_>,
    request: &pb::PutRequest,
) -> Result<pb::PutResponse, Refusal> {
    let mut lease = LeaseId(request.lease);
    writer.check_lease(lease)?;
    let kept = if request.ignore_value || request.ignore_lease {
        let kept = writer.get(&request.key).cloned();
        Some(kept.ok_or(Refusal::KeyNotFound)?)
    } else {
        None
    };
    let mut value = &request.value[..];
    if let Some(kept) = &kept {
        if request.ignore_value {
            value = kept.value();
        }
        if request.ignore_lease {
            lease = kept.lease();
        }
    }
    let prev = writer.put(&request.key, value, lease);
    let prev_kv = prev.filter(|_| request.prev_kv).map(Item::encoded_bytes).unwrap_or_default();
    Ok(pb::PutResponse { header: header(writer.head.revision), prev_kv })
}
