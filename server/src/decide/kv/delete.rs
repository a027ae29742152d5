//! Deleting a range.

use portunus_proto::etcdserverpb as pb;

use crate::decide::Refusal;
use crate::decide::request::header;
use crate::decide::writer::Writer;
use crate::types::{Item, KeyRange};

/// Checks that need no state.
pub fn check_delete(request: &pb::DeleteRangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() { Err(Refusal::EmptyKey) } else { Ok(()) }
}

/// Deletes what the range holds. On nothing the revision stays.
pub(in crate::decide) fn delete_range(
    writer: &mut Writer<'_>,
    request: &pb::DeleteRangeRequest,
) -> pb::DeleteRangeResponse {
    let range = KeyRange::from_wire(request.key.clone(), request.range_end.clone());
    let deleted = writer.delete(&range);
    let changes = &writer.draft.changes;
    let prev_kvs = if request.prev_kv {
        let last = &changes[changes.len() - deleted..];
        last.iter().filter_map(|c| c.prev.as_ref()).map(Item::encoded_bytes).collect()
    } else {
        Vec::new()
    };
    let header = header(writer.head.revision);
    pb::DeleteRangeResponse { header, deleted: deleted as i64, prev_kvs }
}
