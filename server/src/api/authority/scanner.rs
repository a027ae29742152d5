//! Follows the frames of one connection from client to server (RFC 9113) as far as it takes to find
//! header blocks. Knows bytes, not sockets.

use super::block::{Block, mend};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;
/// The largest frame a server must take that did not say otherwise, as ours does not.
const FRAME_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Preface,
    Head,
    /// The payload of a frame of headers.
    Headers,
    /// So many bytes of a payload that is of no interest.
    Payload(usize),
}

/// The bytes that came in and are not yet understood.
#[derive(Debug)]
pub(super) struct Scanner {
    held: Vec<u8>,
    place: Place,
    /// A header block was mended, so that others of this connection must be looked at too.
    mending: bool,
    done: bool,
}

impl Scanner {
    pub fn new() -> Self {
        Self { held: Vec::new(), place: Place::Preface, mending: false, done: false }
    }

    /// True once nothing can need mending any more: the client names an authority that is one, and
    /// a client names the same one in all its requests; or it does not speak HTTP/2.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes what came in and adds to `out` what may go on.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() && !self.done {
            if let Place::Payload(left) = &mut self.place {
                let now = bytes.len().min(*left);
                out.extend_from_slice(&bytes[..now]);
                bytes = &bytes[now..];
                *left -= now;
                if *left == 0 {
                    self.place = Place::Head;
                }
                continue;
            }
            let now = bytes.len().min(self.wanted() - self.held.len());
            self.held.extend_from_slice(&bytes[..now]);
            bytes = &bytes[now..];
            self.look(out);
        }
        if self.done {
            self.flush(out);
            out.extend_from_slice(bytes);
        }
    }

    /// Hands out what is held: nothing more will come.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    /// Bytes that must be held together for the next step.
    fn wanted(&self) -> usize {
        match self.place {
            Place::Preface => PREFACE.len(),
            Place::Headers => HEAD_BYTES + self.payload_bytes(),
            Place::Head | Place::Payload(_) => HEAD_BYTES,
        }
    }

    fn payload_bytes(&self) -> usize {
        self.held[..3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    }

    fn look(&mut self, out: &mut Vec<u8>) {
        if self.place == Place::Preface {
            // Another protocol may send less than a preface and then wait.
            self.done = !PREFACE.starts_with(&self.held);
        }
        if self.done || self.held.len() < self.wanted() {
            return;
        }
        match self.place {
            Place::Preface => {
                self.flush(out);
                self.place = Place::Head;
            }
            Place::Head => {
                let length = self.payload_bytes();
                if self.held[3] == HEADERS && length <= FRAME_BYTES_MAX && length > 0 {
                    self.place = Place::Headers;
                } else {
                    self.flush(out);
                    self.place = if length == 0 { Place::Head } else { Place::Payload(length) };
                }
            }
            Place::Headers => {
                self.mend_frame();
                self.flush(out);
                self.place = Place::Head;
            }
            Place::Payload(_) => {}
        }
    }

    fn mend_frame(&mut self) {
        let Some((before, after)) = around_block(&self.held) else { return };
        let end = self.held.len() - after;
        match mend(&self.held[before..end]) {
            Block::Fine => self.done = !self.mending,
            Block::Mended(block) => {
                self.mending = true;
                let length = before - HEAD_BYTES + block.len() + after;
                if length <= FRAME_BYTES_MAX {
                    self.held.splice(before..end, block);
                    self.held[..3].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
                }
            }
        }
    }
}

/// The bytes of a frame of headers before and after its block; `None` when it is malformed.
fn around_block(frame: &[u8]) -> Option<(usize, usize)> {
    let flags = frame[4];
    let (mut before, mut after) = (HEAD_BYTES, 0);
    if flags & PADDED != 0 {
        after = usize::from(*frame.get(before)?);
        before += 1;
    }
    if flags & PRIORITY != 0 {
        before += PRIORITY_BYTES;
    }
    (before + after <= frame.len()).then_some((before, after))
}

#[cfg(test)]
mod tests {
    use super::{PREFACE, Scanner};

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn named(name: &str) -> Vec<u8> {
        [&[0x83, 0x41, name.len() as u8], name.as_bytes(), &[0x86]].concat()
    }

    /// What comes out, and whether the scanner is done, when all comes in pieces of `size`.
    fn through(bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
        let (mut scanner, mut out) = (Scanner::new(), Vec::new());
        bytes.chunks(size).for_each(|piece| scanner.feed(piece, &mut out));
        (out, scanner.is_done())
    }

    fn conversation(name: &str, mended: &str) -> (Vec<u8>, Vec<u8>) {
        let with = |name: &str| {
            let padded = [&[3, 0, 0, 0, 0, 7], &named(name)[..], &[0; 3]].concat();
            let frames = [
                frame(4, 0, &[]),
                frame(4, 0, &[0, 3, 0, 0, 0, 100]),
                frame(1, 4, &named(name)),
                frame(0, 1, b"http://not-a-header"),
                frame(1, 4 | 8 | 32, &padded),
                frame(1, 4, &[0xbf]),
            ];
            [PREFACE, &frames.concat()].concat()
        };
        (with(name), with(mended))
    }

    #[test]
    fn every_block_of_a_connection_is_mended_however_it_comes_in() {
        let (sent, expected) = conversation("http://h:1", "http---h-1");
        for size in [1, 2, 7, 10, 33, sent.len()] {
            assert_eq!(through(&sent, size), (expected.clone(), false), "in pieces of {size}");
        }
    }

    #[test]
    fn good_connections_and_other_protocols_are_left_alone() {
        let (good, _) = conversation("h:1", "h:1");
        let http1 = b"GET / HTTP/1.1\r\nhost: http://h\r\n\r\n".to_vec();
        for sent in [good, http1, b"PRI something else".to_vec()] {
            for size in [1, 5, sent.len()] {
                assert_eq!(through(&sent, size), (sent.clone(), true), "in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_malformed_or_cut_off_passes_unchanged() {
        let overlong_pad = frame(1, 8, &[200, 0x83]);
        let sent = [PREFACE, &overlong_pad, &frame(1, 4, &named("http://h"))[..12]].concat();
        let (mut scanner, mut out) = (Scanner::new(), Vec::new());
        scanner.feed(&sent, &mut out);
        scanner.flush(&mut out);
        assert_eq!(out, sent);
    }
}
