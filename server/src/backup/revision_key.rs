//! How etcd names a revision: its key in the bucket `key`, and its value in the compaction marks.
//! Eight bytes of main revision, `_`, eight bytes of sub revision, and `t` for a delete.

use crate::types::Revision;

const PLAIN_BYTES: usize = 17;
const SEPARATOR: u8 = b'_';
const TOMBSTONE: u8 = b't';

/// The key under which etcd keeps what `at` did.
pub fn encode(at: Revision, is_delete: bool) -> ([u8; PLAIN_BYTES + 1], usize) {
    let mut bytes = [0; PLAIN_BYTES + 1];
    bytes[..8].copy_from_slice(&at.main.to_be_bytes());
    bytes[8] = SEPARATOR;
    bytes[9..17].copy_from_slice(&u64::from(at.sub).to_be_bytes());
    bytes[17] = TOMBSTONE;
    (bytes, if is_delete { PLAIN_BYTES + 1 } else { PLAIN_BYTES })
}

/// The revision, and whether it is a delete's; `None` for bytes that etcd does not write.
pub fn decode(bytes: &[u8]) -> Option<(Revision, bool)> {
    let is_delete = match bytes.get(PLAIN_BYTES..)? {
        [] => false,
        [TOMBSTONE] => true,
        _ => return None,
    };
    let main = i64::from_be_bytes(bytes[..8].try_into().ok()?);
    let sub = u64::from_be_bytes(bytes[9..17].try_into().ok()?);
    let sub = u32::try_from(sub).ok()?;
    (bytes[8] == SEPARATOR && main >= 0).then_some((Revision::new(main, sub), is_delete))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::types::Revision;

    #[test]
    fn a_revision_reads_back_and_other_bytes_do_not() {
        for (main, sub, is_delete) in [(1, 0, false), (i64::MAX, u32::MAX, true), (300, 2, false)] {
            let at = Revision::new(main, sub);
            let (bytes, len) = encode(at, is_delete);
            assert_eq!(decode(&bytes[..len]), Some((at, is_delete)));
            assert_eq!(decode(&bytes[..16]), None);
            let mut other = bytes;
            other[17] = b'x';
            assert_eq!(decode(&other), None);
            other = bytes;
            other[8] = b'-';
            assert_eq!(decode(&other[..len]), None);
            other = bytes;
            other[0] |= 0x80;
            assert_eq!(decode(&other[..len]), None);
        }
        // As etcd prints it for revision 2.1.
        let (bytes, len) = encode(Revision::new(2, 1), false);
        assert_eq!(&bytes[..len], b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\x01");
    }
}
