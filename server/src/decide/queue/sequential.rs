//! Keys in the order of their creation: a prefix and the revision of the put.

use bytes::Bytes;
use portunus_proto::portunus::v1::{PutSequentialRequest, PutSequentialResponse};

use crate::decide::Refusal;
use crate::decide::writer::Writer;
use crate::types::{KeyRange, LeaseId};

/// Puts `PREFIX` and the revision in 20 digits, as etcd v2 did. The name depends on every write
/// before it, and that is what it reads.
pub fn put(
    writer: &mut Writer<'_>,
    request: &PutSequentialRequest,
) -> Result<PutSequentialResponse, Refusal> {
    if request.prefix.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    let lease = LeaseId(request.lease);
    writer.check_lease(lease)?;
    if let Some(reads) = writer.reads() {
        reads.note_range(&KeyRange::all());
    }
    let number = writer.head.revision + 1;
    let key: Bytes = [&request.prefix[..], format!("{number:020}").as_bytes()].concat().into();
    writer.put(&key, &request.value, lease);
    Ok(PutSequentialResponse { header: None, key })
}
