//! The names of a guest's functions, as short as a backtrace can do with: what the compiler leaves
//! behind is mangled, with types and hashes, and is a sixth of a small plugin.

use crate::sections::{number, put_number, put_sized, sized};

/// The part with the functions.
const FUNCTIONS: u8 = 1;

/// A section's part with the functions alone; the others name what no backtrace shows. None when
/// it does not parse.
pub fn functions(mut parts: &[u8]) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::{functions, short_name};

    const MANGLED: &str = "_ZN8approval4read17h7028407185d14dd4E";

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
    fn the_functions_alone_keep_their_names() {
        let part = |name: &str| {
            let mut part = vec![1, name.len() as u8 + 4, 1, 200, 1, name.len() as u8];
            part.extend(name.as_bytes());
            part
        };
        let mut long = vec![0, 2, 1, b'm'];
        long.extend(part(MANGLED));
        assert_eq!(functions(&long), Some(part("approval::read")));
        assert_eq!(functions(&long[..30]), None);
    }
}
