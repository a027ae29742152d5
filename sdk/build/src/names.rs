//! The names of a guest's functions, as short as a backtrace can do with: what the compiler leaves
//! behind is mangled, with types and hashes, and is a sixth of a small plugin.

/// The custom section's name, and its part with the functions.
const SECTION: &[u8] = b"name";
const FUNCTIONS: u8 = 1;
const CUSTOM: u8 = 0;
/// The magic number and the version.
const HEADER_BYTES: usize = 8;

/// The module with short names. One that does not parse stays as it is: the encoder then says what
/// is wrong with it.
pub fn shorten(module: &[u8]) -> Vec<u8> {
    try_shorten(module).unwrap_or_else(|| module.to_vec())
}

fn try_shorten(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER_BYTES)?;
    let mut out = header.to_vec();
    while let Some((id, after)) = rest.split_first() {
        rest = after;
        let content = sized(&mut rest)?;
        let mut names = content;
        if *id == CUSTOM && sized(&mut names)? == SECTION {
            let mut section = Vec::new();
            put_sized(&mut section, SECTION);
            section.extend(functions(names)?);
            out.push(CUSTOM);
            put_sized(&mut out, &section);
        } else {
            out.push(*id);
            put_sized(&mut out, content);
        }
    }
    Some(out)
}

/// The part with the functions alone; the others name what no backtrace shows.
fn functions(mut parts: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((id, after)) = parts.split_first() {
        parts = after;
        let mut part = sized(&mut parts)?;
        if *id != FUNCTIONS {
            continue;
        }
        let count = number(&mut part)?;
        let mut short = Vec::new();
        put_number(&mut short, count);
        for _ in 0..count {
            put_number(&mut short, number(&mut part)?);
            let name = std::str::from_utf8(sized(&mut part)?).ok()?;
            put_sized(&mut short, short_name(name).as_bytes());
        }
        out.push(FUNCTIONS);
        put_sized(&mut out, &short);
    }
    Some(out)
}

/// Crates below the plugin, of whose paths the end says enough.
const BELOW: [&str; 7] =
    ["alloc::", "core::", "dlmalloc::", "portunus_sdk::", "serde_core::", "serde_json::", "std::"];

/// `<a::b::Type<X> as c::Trait>::call::<Y>` is `<Type as Trait>::call`; a path of the plugin's own
/// stays whole.
fn short_name(mangled: &str) -> String {
    let whole = format!("{:#}", rustc_demangle::demangle(mangled));
    let Some(end) = whole.starts_with('<').then(|| closing(&whole)).flatten() else {
        let path = without_generics(&whole);
        return match BELOW.iter().any(|name| path.starts_with(name)) {
            true => ending(&path).to_owned(),
            false => path,
        };
    };
    let (of, rest) = (without_generics(&whole[1..end]), without_generics(&whole[end + 1..]));
    let last = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
    match of.split_once(" as ") {
        Some((of, kind)) => format!("<{} as {}>{rest}", last(of), last(kind)),
        None => format!("<{}>{rest}", last(&of)),
    }
}

/// The last two parts of a path.
fn ending(path: &str) -> &str {
    let before = path.rfind("::").and_then(|last| path[..last].rfind("::"));
    before.map_or(path, |at| &path[at + 2..])
}

/// Where the bracket that the text begins with ends.
fn closing(text: &str) -> Option<usize> {
    depths(text).find(|(_, character, depth)| *character == '>' && *depth == 0).map(|(at, ..)| at)
}

fn without_generics(text: &str) -> String {
    let kept = depths(text).filter(|(_, character, depth)| *depth == 0 && *character != '>');
    let kept: String = kept.map(|(_, character, _)| character).collect();
    kept.replace("::::", "::").trim_end_matches("::").to_owned()
}

/// The characters, and how many brackets are open behind each. The `>` of an arrow is none.
fn depths(text: &str) -> impl Iterator<Item = (usize, char, usize)> {
    let (mut depth, mut before) = (0usize, ' ');
    text.char_indices().map(move |(at, character)| {
        match character {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = character;
        (at, character, depth)
    })
}

/// Takes a LEB128 number off the front.
fn number(bytes: &mut &[u8]) -> Option<u32> {
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
fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(bytes)? as usize;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn put_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, u32::try_from(bytes.len()).expect("a module is below 4 GiB"));
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::{number, put_number, put_sized, short_name, shorten};

    const MANGLED: &str = "_ZN8approval4read17h7028407185d14dd4E";

    /// A module with a custom section of ours and one with names.
    fn module(names: &[u8]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (name, content) in [(&b"ours"[..], &b"kept"[..]), (b"name", names)] {
            let mut section = Vec::new();
            put_sized(&mut section, name);
            section.extend(content);
            module.push(0);
            put_sized(&mut module, &section);
        }
        module
    }

    fn functions(name: &str) -> Vec<u8> {
        let mut part = vec![1, 200, 1];
        put_sized(&mut part, name.as_bytes());
        let mut names = vec![1];
        put_sized(&mut names, &part);
        names
    }

    #[test]
    fn a_name_says_what_a_backtrace_needs() {
        let of_type = "_ZN72_$LT$serde_json..error..JsonUnexpected$u20$as$u20$core..fmt..Display\
                       $GT$3fmt17h5ad46e52e639404fE";
        assert_eq!(short_name(MANGLED), "approval::read");
        assert_eq!(short_name(of_type), "<JsonUnexpected as Display>::fmt");
        assert_eq!(
            short_name("portunus:plugin/recipe@0.1.0#call"),
            "portunus:plugin/recipe@0.1.0#call"
        );
        assert_eq!(short_name("a::b::c::<d::E<F>>"), "a::b::c");
        assert_eq!(short_name("serde_json::de::parse::from_slice"), "parse::from_slice");
        assert_eq!(short_name("core::panic"), "core::panic");
        assert_eq!(
            short_name("<a::B<C> as d::E<fn() -> F>>::g::{{closure}}"),
            "<B as E>::g::{{closure}}"
        );
    }

    #[test]
    fn names_alone_are_shortened() {
        let mut long = vec![0, 2, 1, b'm'];
        long.extend(functions(MANGLED));
        assert_eq!(shorten(&module(&long)), module(&functions("approval::read")));
    }

    #[test]
    fn what_does_not_parse_stays_as_it_is() {
        let cut = &module(&functions(MANGLED))[..30];
        for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x01", cut] {
            assert_eq!(shorten(bytes), bytes);
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
