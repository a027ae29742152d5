//! Answers in pieces, for clients that ask for them: proxies share answers, so these come whole.

use bytes::Bytes;

/// An answer is cut where it would be larger; etcd's size.
const PIECE_BYTES: usize = 2 * 1024 * 1024;

/// The events in pieces; at least one piece.
pub fn pieces(events: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    cut(events, PIECE_BYTES)
}

fn cut(events: Vec<Bytes>, bytes_max: usize) -> Vec<Vec<Bytes>> {
    let (mut pieces, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
    for event in events {
        if bytes + event.len() > bytes_max && !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
        bytes += event.len();
        piece.push(event);
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_unless_one_event_is_not() {
        let events = [3, 3, 3, 20, 1].map(|bytes| Bytes::from(vec![0; bytes]));
        let pieces = cut(events.to_vec(), 7);
        let sizes: Vec<Vec<_>> =
            pieces.iter().map(|piece| piece.iter().map(Bytes::len).collect()).collect();
        assert_eq!(sizes, [vec![3, 3], vec![3], vec![20], vec![1]]);
        assert_eq!(cut(Vec::new(), 7).len(), 1);
    }
}
