//! A component without what nobody needs at run time: who compiled it, and the names of what a
//! backtrace does not show.

use crate::names;

/// The magic number, the version and the layer.
const HEADER_BYTES: usize = 8;
/// Sections that are known by their names.
const CUSTOM: u8 = 0;
/// A section of a component that is a whole module.
const MODULE: u8 = 1;
/// What the compiler and the encoder leave behind.
const NEEDLESS: [&[u8]; 3] = [b"producers", b"target_features", b"component-name"];

/// The component with short names. `None` when it does not parse, which is for the encoder's own
/// validation to say.
pub fn trimmed(component: &[u8]) -> Option<Vec<u8>> {
    sections(component, |id, content| match id {
        MODULE => Some(Some(sections(content, of_module)?)),
        _ => of_module(id, content),
    })
}

/// What becomes of a module's section: inside, none that goes away, outside, none that parses.
fn of_module(id: u8, content: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut rest = content;
    if id != CUSTOM {
        return Some(Some(content.to_vec()));
    }
    let name = sized(&mut rest)?;
    if name == b"name" {
        let mut section = Vec::new();
        put_sized(&mut section, name);
        section.extend(names::functions(rest)?);
        return Some(Some(section));
    }
    Some((!NEEDLESS.contains(&name)).then(|| content.to_vec()))
}

fn sections(
    binary: &[u8],
    change: impl Fn(u8, &[u8]) -> Option<Option<Vec<u8>>>,
) -> Option<Vec<u8>> {
    let (header, mut rest) = binary.split_at_checked(HEADER_BYTES)?;
    let mut out = header.to_vec();
    while let Some((id, after)) = rest.split_first() {
        rest = after;
        let content = sized(&mut rest)?;
        if let Some(section) = change(*id, content)? {
            out.push(*id);
            put_sized(&mut out, &section);
        }
    }
    Some(out)
}

/// Takes a LEB128 number off the front.
pub fn number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0u32;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes bytes behind their length off the front.
pub fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(bytes)? as usize;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

pub fn put_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, u32::try_from(bytes.len()).expect("a module is below 4 GiB"));
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::{number, put_number, put_sized, trimmed};

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let mut section = vec![id];
        put_sized(&mut section, content);
        section
    }

    fn custom(name: &[u8], content: &[u8]) -> Vec<u8> {
        let mut named = Vec::new();
        put_sized(&mut named, name);
        named.extend(content);
        section(0, &named)
    }

    fn component(parts: &[&[u8]], outside: &[&[u8]]) -> Vec<u8> {
        let module = [b"\0asm\x01\0\0\0", &parts.concat()[..]].concat();
        [b"\0asm\x0d\0\x01\0", &section(1, &module)[..], &outside.concat()[..]].concat()
    }

    #[test]
    fn what_nobody_needs_is_gone_inside_and_outside() {
        // One function, number 0, in the part 1; the part 0 is the module's own name.
        let names = custom(b"name", b"\0\x02\x01m\x01\x0c\x01\0\x09_ZN1a1bE7");
        let short = custom(b"name", b"\x01\x0c\x01\0\x09_ZN1a1bE7");
        let (ours, made) = (custom(b"ours", b"kept"), custom(b"producers", b"rustc"));
        let (code, listed) = (section(10, b"code"), custom(b"component-name", b"names"));
        let whole = component(&[&code, &names, &made, &ours], &[&ours, &listed, &made]);
        assert_eq!(trimmed(&whole), Some(component(&[&code, &short, &ours], &[&ours])));
    }

    #[test]
    fn what_is_cut_does_not_parse() {
        let whole = component(&[&section(10, b"code")], &[&custom(b"ours", b"kept")]);
        assert_eq!(trimmed(&whole), Some(whole.clone()));
        for cut in [0, 7, 9, 20, whole.len() - 1] {
            assert_eq!(trimmed(&whole[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for expected in [0, 127, 128, 16_384, u32::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, expected);
            assert_eq!(number(&mut &bytes[..]), Some(expected));
        }
        assert_eq!(number(&mut &[0xff; 9][..]), None);
    }
}
