//! The fields of one header block (RFC 7541): finds the authority and replaces it when it is none.
//! The replacement has the same length, because the length of an entry decides what else fits into
//! the table that both ends of a connection keep.

use std::ops::Range;

use tonic::codegen::http::uri::Authority;

use super::huffman;

const AUTHORITY: &[u8] = b":authority";
/// The place of `:authority` in the static table.
const AUTHORITY_INDEX: usize = 1;
/// Fields of a block looked at; the authority is among the first, before any other than pseudo
/// fields.
const FIELDS_MAX: usize = 64;

/// What a block says of the authority.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Nothing to mend in it.
    Fine,
    /// The block with an acceptable name instead.
    Mended(Vec<u8>),
}

/// A malformed block is passed on as it is, for the server to refuse.
pub(super) fn mend(block: &[u8]) -> Block {
    let mut reader = Reader { block, at: 0 };
    for _ in 0..FIELDS_MAX {
        let Some(field) = reader.field() else { return Block::Fine };
        let Some(text) = field.filter(|text| text.is_authority) else { continue };
        let Some(name) = text.value.decoded(block) else { return Block::Fine };
        if Authority::try_from(&name[..]).is_ok() {
            return Block::Fine;
        }
        let mut mended = block[..text.value.whole.start].to_vec();
        write_plain(&mut mended, &acceptable(&name));
        mended.extend_from_slice(&block[text.value.whole.end..]);
        return Block::Mended(mended);
    }
    Block::Fine
}

fn acceptable(name: &[u8]) -> Vec<u8> {
    let keep = |byte: &u8| if byte.is_ascii_alphanumeric() || *byte == b'.' { *byte } else { b'-' };
    name.iter().map(keep).collect()
}

fn write_plain(to: &mut Vec<u8>, text: &[u8]) {
    const PREFIX_MAX: usize = 0x7f;
    if text.len() < PREFIX_MAX {
        to.push(text.len() as u8);
    } else {
        to.push(PREFIX_MAX as u8);
        let mut rest = text.len() - PREFIX_MAX;
        while rest >= 0x80 {
            to.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        to.push(rest as u8);
    }
    to.extend_from_slice(text);
}

/// A field that is spelled out.
struct Text {
    is_authority: bool,
    value: Coded,
}

/// A string in the block.
struct Coded {
    /// With its length.
    whole: Range<usize>,
    content: Range<usize>,
    huffman: bool,
}

impl Coded {
    fn decoded(&self, block: &[u8]) -> Option<Vec<u8>> {
        let content = &block[self.content.clone()];
        if self.huffman { huffman::decode(content) } else { Some(content.to_vec()) }
    }
}

struct Reader<'a> {
    block: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next field, `Some(None)` when it only refers to the table; `None` at the end of what can
    /// be read.
    fn field(&mut self) -> Option<Option<Text>> {
        let first = *self.block.get(self.at)?;
        let prefix_bits = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let number = self.number(prefix_bits)?;
        if matches!(prefix_bits, 7 | 5) {
            return Some(None);
        }
        let is_authority = match number {
            0 => {
                let name = self.string()?;
                name.decoded(self.block).as_deref() == Some(AUTHORITY)
            }
            index => index == AUTHORITY_INDEX,
        };
        Some(Some(Text { is_authority, value: self.string()? }))
    }

    fn string(&mut self) -> Option<Coded> {
        let start = self.at;
        let huffman = self.block.get(start)? & 0x80 != 0;
        let length = self.number(7)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.block.len())?;
        let content = self.at..end;
        self.at = end;
        Some(Coded { whole: start..end, content, huffman })
    }

    fn number(&mut self, prefix_bits: u32) -> Option<usize> {
        let max = (1 << prefix_bits) - 1;
        let mut number = usize::from(*self.block.get(self.at)?) & max;
        self.at += 1;
        if number < max {
            return Some(number);
        }
        // Four more bytes are far beyond any block.
        for shift in (0..28).step_by(7) {
            let byte = *self.block.get(self.at)?;
            self.at += 1;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, mend};

    /// `:method: POST`, the authority as given, `te: trailers` as a literal.
    fn block(authority: &[u8]) -> Vec<u8> {
        [&[0x83], authority, &[0x40, 2], b"te", &[8], b"trailers"].concat()
    }

    fn plain(prefix: &[u8], name: &str) -> Vec<u8> {
        [prefix, &[name.len() as u8], name.as_bytes()].concat()
    }

    #[test]
    fn a_url_becomes_a_name_of_the_same_length() {
        let url = "http://127.0.0.1:2379";
        let by_index = block(&plain(&[0x41], url));
        let by_name = block(&plain(&[&[0x40, 10], &b":authority"[..]].concat(), url));
        for (block, at) in [(by_index, 0), (by_name, 11)] {
            let Block::Mended(mended) = mend(&block) else { panic!("not mended: {block:?}") };
            let begin = 3 + at;
            assert_eq!(&mended[begin..begin + url.len()], b"http---127.0.0.1-2379");
            assert_eq!(mended.len(), block.len());
            assert_eq!((&mended[..begin], mended.last()), (&block[..begin], block.last()));
        }
    }

    #[test]
    fn a_compressed_url_is_mended_too() {
        // "https://www.example.com", as in the RFC.
        let url = [
            0x41, 0x91, 0x9d, 0x29, 0xad, 0x17, 0x18, 0x63, 0xc7, 0x8f, 0x0b, 0x97, 0xc8, 0xe9,
            0xae, 0x82, 0xae, 0x43, 0xd3,
        ];
        let expected = block(&plain(&[0x41], "https---www.example.com"));
        assert_eq!(mend(&block(&url)), Block::Mended(expected));
    }

    #[test]
    fn what_is_acceptable_or_unreadable_stays() {
        for name in ["localhost:2379", "[::1]:2379", "10.0.0.1"] {
            assert_eq!(mend(&block(&plain(&[0x41], name))), Block::Fine, "{name}");
        }
        let cut = &block(&plain(&[0x41], "http://h"))[..6];
        assert_eq!(mend(cut), Block::Fine, "cut off in the name");
        assert_eq!(mend(&[0x83, 0x86, 0xc0]), Block::Fine, "only references");
        assert_eq!(mend(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Block::Fine, "a number too large");
    }

    #[test]
    fn long_names_keep_their_length() {
        let url = format!("http://{}", "h".repeat(300));
        let mut coded = vec![0x41, 0x7f];
        let rest = url.len() - 0x7f;
        coded.extend([(rest & 0x7f) as u8 | 0x80, (rest >> 7) as u8]);
        coded.extend(url.as_bytes());
        let Block::Mended(mended) = mend(&block(&coded)) else { panic!("not mended") };
        assert_eq!(mended.len(), block(&coded).len());
    }
}
