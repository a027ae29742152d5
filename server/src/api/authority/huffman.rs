//! HPACK's string code (RFC 7541, appendix B) for what a host name can be made of. The code is
//! canonical, so the length of each symbol's code is all that must be known.

/// Bits of the code of each ASCII character.
const BITS: [u8; 128] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
];

/// All codes up to this length are those of ASCII characters.
const BITS_MAX: u8 = 15;
/// The end of a string is filled up with ones, less than a byte of them.
const FILL_BITS_MAX: u8 = 7;

/// The characters of a coded string; `None` when it holds others than the common ASCII ones or is
/// not well-formed.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let by_length = codes();
    let mut decoded = Vec::with_capacity(coded.len() * 2);
    let (mut code, mut bits) = (0_u32, 0_u8);
    for byte in coded {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            bits += 1;
            let (first, symbols) = &by_length[usize::from(bits)];
            if let Some(symbol) = code.checked_sub(*first).and_then(|at| symbols.get(at as usize)) {
                decoded.push(*symbol);
                (code, bits) = (0, 0);
            } else if bits == BITS_MAX {
                return None;
            }
        }
    }
    let filled = bits <= FILL_BITS_MAX && code == (1 << bits) - 1;
    filled.then_some(decoded)
}

/// For each length the first code and the symbols of the codes that follow it.
fn codes() -> Vec<(u32, Vec<u8>)> {
    let mut next = 0_u32;
    (0..=BITS_MAX)
        .map(|bits| {
            next <<= 1;
            let symbols: Vec<u8> =
                (0..128).filter(|s| bits > 0 && BITS[usize::from(*s)] == bits).collect();
            let first = next;
            next += symbols.len() as u32;
            (first, symbols)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_examples_of_the_rfc_decode() {
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&coded).as_deref(), Some(&b"www.example.com"[..]));
        let coded = [
            0x9d, 0x29, 0xad, 0x17, 0x18, 0x63, 0xc7, 0x8f, 0x0b, 0x97, 0xc8, 0xe9, 0xae, 0x82,
            0xae, 0x43, 0xd3,
        ];
        assert_eq!(decode(&coded).as_deref(), Some(&b"https://www.example.com"[..]));
        let coded = [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        assert_eq!(decode(&coded).as_deref(), Some(&b"no-cache"[..]));
        assert_eq!(decode(&[]).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_is_not_well_formed_is_not_decoded() {
        // Fill bits that are not ones, a whole byte of them, and a code for a rare character.
        for coded in [&[0x00][..], &[0xa8, 0xff, 0xff], &[0xff, 0xff, 0xf0]] {
            assert_eq!(decode(coded), None, "{coded:x?}");
        }
    }
}
