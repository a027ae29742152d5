//! Where messages end in a stream of gRPC frames: five bytes of head, then as many as it says.

const HEAD_BYTES: usize = 5;

/// The place in a stream of messages.
#[derive(Debug, Default)]
pub struct Messages {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have come.
    have: usize,
    /// Bytes of the message that are still to come.
    left: usize,
}

/// What a piece of the stream brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Messages that began.
    pub messages: u64,
    /// Bytes of messages, without their heads.
    pub bytes: u64,
}

impl Messages {
    pub fn pass(&mut self, mut piece: &[u8]) -> Passed {
        let mut passed = Passed::default();
        loop {
            let now = self.left.min(piece.len());
            passed.bytes += now as u64;
            self.left -= now;
            piece = &piece[now..];
            if piece.is_empty() {
                return passed;
            }
            let now = piece.len().min(HEAD_BYTES - self.have);
            self.head[self.have..self.have + now].copy_from_slice(&piece[..now]);
            self.have += now;
            piece = &piece[now..];
            if self.have == HEAD_BYTES {
                let [_, a, b, c, d] = self.head;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.have = 0;
                passed.messages += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Messages, Passed};

    #[test]
    fn messages_are_counted_however_the_stream_is_cut() {
        let stream = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0; 5], &[1, 0, 0, 0, 1, 9]].concat();
        for size in 1..=stream.len() {
            let mut messages = Messages::default();
            let passed = stream.chunks(size).map(|piece| messages.pass(piece));
            let sum = passed.fold(Passed::default(), |sum, passed| Passed {
                messages: sum.messages + passed.messages,
                bytes: sum.bytes + passed.bytes,
            });
            assert_eq!(sum, Passed { messages: 3, bytes: 4 }, "in pieces of {size}");
        }
    }
}
