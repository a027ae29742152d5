//! Keys under a prefix of locks that a plugin admits are the Lock service's alone: whoever could
//! write them could walk around the plugin. Leases may end, and the plugin itself may write.

use super::lock::admission;
use super::writer::{Mark, Writer};
use super::{LockRefusal, Refusal, Request};
use crate::effect::{Binding, Point};
use crate::machine::State;

/// Where a decision begins whose writes must be looked at.
pub(super) fn before(writer: &Writer<'_>) -> Option<(Mark, usize)> {
    let may = writer.head.registry().is_bound(Point::LockAdmission);
    may.then(|| (writer.mark(), writer.draft.changes.len()))
}

/// Refuses and undoes a decision that writes where a plugin admits.
pub(super) fn check(
    writer: &mut Writer<'_>,
    request: &Request,
    before: Option<(Mark, usize)>,
) -> Result<(), Refusal> {
    let Some((mark, begin)) = before else { return Ok(()) };
    let may =
        matches!(request, Request::Lock(_) | Request::LeaseRevoke(_) | Request::LeaseExpire(_));
    let changes = &writer.draft.changes[begin..];
    let refused = changes.iter().find_map(|change| {
        let guarding = guarding(writer.head, change.key())?;
        // What comes from a plugin has an author, whatever request it is part of.
        let own = match &change.author {
            Some(author) => author.plugin == guarding.plugin,
            None => may,
        };
        (!own).then(|| LockRefusal::Admitted {
            prefix: String::from_utf8_lossy(&guarding.prefix).into_owned(),
            plugin: guarding.plugin.clone(),
        })
    });
    match refused {
        None => Ok(()),
        Some(refusal) => {
            writer.undo_to(mark);
            Err(Refusal::Lock(refusal))
        }
    }
}

fn guarding<'a>(head: &'a State, key: &[u8]) -> Option<&'a Binding> {
    admission::enforced(head, &bytes::Bytes::copy_from_slice(key))
}
