//! Keys under a prefix of locks that a plugin admits are the Lock service's alone: whoever could
//! write them could walk around the plugin. Leases may end, and the plugin itself may write.

use super::lock::admission;
use super::writer::{Mark, Writer};
use super::{LockRefusal, Refusal, Request, Write};
use crate::effect::{Binding, Point};
use crate::machine::State;

/// Where a decision begins whose writes must be looked at.
pub(super) fn before(writer: &Writer<'_>, request: &Request) -> Option<(Mark, usize)> {
    let may = match request {
        Request::Lock(_) | Request::LeaseRevoke(_) | Request::LeaseExpire(_) => return None,
        _ => writer.head.registry().is_bound(Point::LockAdmission),
    };
    may.then(|| (writer.mark(), writer.draft.changes.len()))
}

/// Refuses and undoes a decision that writes where a plugin admits.
pub(super) fn check(
    writer: &mut Writer<'_>,
    before: Option<(Mark, usize)>,
    added: &[Write],
) -> Result<(), Refusal> {
    let Some((mark, begin)) = before else { return Ok(()) };
    let changes = &writer.draft.changes[begin..];
    let refused = changes.iter().find_map(|change| {
        let guarding = guarding(writer.head, change.key())?;
        let own = writes(added, &guarding.plugin, change.key());
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

/// Whether it is the plugin itself that writes the key.
fn writes(added: &[Write], plugin: &str, key: &[u8]) -> bool {
    let mut by = None;
    added.iter().any(|write| match write {
        Write::By(author) => {
            by = Some(&author.plugin);
            false
        }
        Write::Put { key: own, .. } | Write::Delete { key: own } => {
            own == key && by.is_some_and(|by| by == plugin)
        }
    })
}
