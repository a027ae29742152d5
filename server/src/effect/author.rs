//! Who wrote a revision, where that was not simply a client: the plugin and what it ran for. The
//! same encoding goes into the log's effects and the store's records.

use bytes::Bytes;
use prost::encoding::{encode_varint, encoded_len_varint};

use super::Point;
use super::codec::{CodecError, byte, int, put_bytes, string, take_bytes};

/// The originator of effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// Name of the plugin that wrote them.
    pub plugin: String,
    /// Where it was asked.
    pub point: Point,
    /// Digest of the plugin's component.
    pub digest: Bytes,
    /// User on whose behalf it ran; empty without auth, and for triggers.
    pub caller: String,
    /// How many plugins stand between a client's write and these; 0 for none.
    pub depth: u8,
    /// The plugins among them whose events led a trigger here, the first one first, as far as they
    /// are known.
    pub via: Vec<String>,
}

impl Author {
    /// Bytes of [`Author::encode`].
    pub fn encoded_len(&self) -> usize {
        let field = |len: usize| encoded_len_varint(len as u64) + len;
        let names: usize = self.via.iter().map(|name| field(name.len())).sum();
        let count = encoded_len_varint(self.via.len() as u64);
        let texts = field(self.plugin.len()) + field(self.digest.len()) + field(self.caller.len());
        2 + texts + count + names
    }

    /// Appends the author to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(point_code(self.point));
        out.push(self.depth);
        put_bytes(out, self.plugin.as_bytes());
        put_bytes(out, &self.digest);
        put_bytes(out, self.caller.as_bytes());
        encode_varint(self.via.len() as u64, out);
        self.via.iter().for_each(|name| put_bytes(out, name.as_bytes()));
    }

    /// Reads back [`Author::encode`]. What a later version appends is passed over.
    pub fn decode(bytes: &Bytes) -> Result<Self, CodecError> {
        let mut input = bytes.clone();
        let point = point_of(byte(&mut input)?);
        let point = point.ok_or(CodecError::Damaged("an author's extension point"))?;
        let depth = byte(&mut input)?;
        let plugin = string(&mut input)?;
        let (digest, caller) = (take_bytes(&mut input)?, string(&mut input)?);
        let names = int(&mut input)?;
        let via = (0..names).map(|_| string(&mut input)).collect::<Result<_, _>>()?;
        Ok(Self { plugin, point, digest, caller, depth, via })
    }
}

fn point_code(point: Point) -> u8 {
    match point {
        Point::WritePolicy => 1,
        Point::Trigger => 2,
        Point::Recipe => 3,
        Point::LockAdmission => 4,
        Point::QueueCondition => 5,
    }
}

fn point_of(code: u8) -> Option<Point> {
    Point::ALL.into_iter().find(|point| point_code(*point) == code)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Author, Point};

    proptest! {
        #[test]
        fn an_author_reads_back_and_a_cut_one_does_not(
            plugin in "\\PC{0,200}",
            digest in prop::collection::vec(any::<u8>(), 0..40),
            caller in "\\PC{0,9}",
            depth in any::<u8>(),
            via in prop::collection::vec("[a-z]{0,5}", 0..9),
        ) {
            let point = Point::Trigger;
            let author = Author { plugin, point, digest: digest.into(), caller, depth, via };
            let mut bytes = Vec::new();
            author.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), author.encoded_len());
            prop_assert_eq!(Author::decode(&Bytes::from(bytes.clone())), Ok(author.clone()));
            let cut = Bytes::copy_from_slice(&bytes[..bytes.len() - 1]);
            prop_assert!(Author::decode(&cut).is_err());
            bytes.extend_from_slice(b"of a later version");
            prop_assert_eq!(Author::decode(&Bytes::from(bytes)), Ok(author));
        }
    }
}
