//! The position of one change in the store's history.

use std::fmt;

/// `main` is the revision of the transaction, `sub` the place of the change within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    pub main: i64,
    pub sub: u32,
}

impl Revision {
    pub const fn new(main: i64, sub: u32) -> Self {
        Self { main, sub }
    }

    /// Bytes that sort as the revision does; the store's key of a record.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.main.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sub.to_be_bytes());
        bytes
    }

    /// The inverse of [`Revision::to_bytes`]; `None` when the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let main = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        let sub = u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
        (bytes.len() == 12).then_some(Self { main, sub })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::Revision;

    #[test]
    fn bytes_round_trip_and_sort_like_the_revision() {
        let all = [(1, 0), (1, 1), (2, 0), (255, 3), (256, 0), (i64::MAX, u32::MAX)];
        let mut last = None;
        for (main, sub) in all {
            let revision = Revision::new(main, sub);
            let bytes = revision.to_bytes();
            assert_eq!(Revision::from_bytes(&bytes), Some(revision));
            assert!(last < Some(bytes), "{revision} sorts before its predecessor");
            last = Some(bytes);
        }
        assert_eq!(Revision::from_bytes(b"short"), None);
        assert_eq!(Revision::from_bytes(&[0; 13]), None);
    }
}
