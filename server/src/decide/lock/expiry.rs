//! What the expiry of a holder's lease leaves behind: a delay before the next grant, so that what
//! the holder has sent may arrive or be lost first.

use bytes::Bytes;

use super::line::delay_key;
use super::record;
use crate::decide::writer::Writer;
use crate::types::{Item, LeaseId};

/// Notes the delays that the holders among `items`, which expire now, have asked for.
pub fn delay_after(writer: &mut Writer<'_>, items: &[Item], now_ms: u64) {
    for item in items {
        let Some(record) = record::decode(item.value()) else { continue };
        let Some(name) = name_of(item) else { continue };
        if record.granted && record.lock_delay_ms > 0 {
            let until = now_ms.saturating_add(record.lock_delay_ms.unsigned_abs());
            writer.put(&delay_key(&name), until.to_string().as_bytes(), LeaseId::NONE);
        }
    }
}

/// The line that a key is of.
fn name_of(item: &Item) -> Option<Bytes> {
    let suffix = format!("/{}", item.lease());
    item.key().strip_suffix(suffix.as_bytes()).map(Bytes::copy_from_slice)
}
