//! Reads arguments and environment against the table of flags. Knows how a flag is written, not
//! what its value means.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::config::Error;
use crate::config::flags::{self, FLAGS, FORGOTTEN, Flag, Kind, UNSUPPORTED};
use crate::config::former::{self, Former};
use crate::config::nearest::nearest;

/// Prefixes of environment variables; a later one wins.
const PREFIXES: [&str; 2] = ["ETCD", "PORTUNUS"];

/// What the words of a command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Serve(Values),
    Help,
    Version,
}

/// The texts that were given, by flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    given: BTreeMap<&'static str, Given>,
    /// `ETCD_*` and `PORTUNUS_*` variables that name no flag.
    pub unrecognized_variables: Vec<String>,
    /// Flags that were given by a former name: that, and how they are written today.
    pub former: Vec<(String, String)>,
    /// Gates of `--feature-gates` that were given as flags of their own.
    gates: Vec<(String, Given)>,
    /// The file that all of it comes from, if one does.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    text: String,
    /// The flag or variable as the operator knows it.
    origin: String,
}

impl Values {
    /// The flag's text: as given, or its default.
    pub fn text(&self, flag: &'static Flag) -> &str {
        self.given.get(flag.name).map_or(flag.default, |given| &given.text)
    }

    /// Where the text came from, for error messages.
    pub fn origin(&self, flag: &'static Flag) -> String {
        self.given.get(flag.name).map_or_else(|| format!("--{}", flag.name), |g| g.origin.clone())
    }

    /// Whether flag or environment gave it.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub(super) fn set(&mut self, flag: &'static Flag, text: String, origin: String) {
        self.given.insert(flag.name, Given { text, origin });
    }

    /// The same by a former name.
    pub(super) fn set_former(&mut self, former: Former, text: String, origin: String) {
        self.former.push((origin.clone(), former.today()));
        match former {
            Former::Flag(flag) => self.set(flag, text, origin),
            Former::Gate(gate) => self.gates.push((gate.to_owned(), Given { text, origin })),
        }
    }

    /// Puts gates that were flags of their own beside those of `--feature-gates`.
    pub(super) fn join_gates(&mut self) {
        let flag = flags::find("feature-gates").expect("the table holds it");
        for (gate, given) in std::mem::take(&mut self.gates) {
            let pair = format!("{gate}={}", given.text);
            let (text, origin) = match self.given.get(flag.name) {
                Some(all) => (format!("{},{pair}", all.text), all.origin.clone()),
                None => (pair, given.origin),
            };
            self.set(flag, text, origin);
        }
    }
}

/// Reads the arguments after the program's name, over the environment. A flag given twice keeps
/// its last value; an empty variable counts as unset.
pub fn read<A, E>(arguments: A, environment: E) -> Result<Request, Error>
where
    A: IntoIterator<Item = OsString>,
    E: IntoIterator<Item = (OsString, OsString)>,
{
    let words = arguments
        .into_iter()
        .map(|word| word.into_string().map_err(|argument| Error::NotText { argument }))
        .collect::<Result<Vec<_>, _>>()?;
    // Asking for help must work whatever the environment holds.
    match read_arguments(words)? {
        Asked::Help => Ok(Request::Help),
        Asked::Version => Ok(Request::Version),
        // The file stands for the environment, too, whatever that holds.
        Asked::Serve(asked) if asked.is_given("config-file") => Ok(Request::Serve(asked)),
        Asked::Serve(asked) => {
            let mut values = read_environment(environment)?;
            values.given.extend(asked.given);
            values.former.extend(asked.former);
            values.gates.extend(asked.gates);
            values.join_gates();
            Ok(Request::Serve(values))
        }
    }
}

enum Asked {
    Serve(Values),
    Help,
    Version,
}

fn read_arguments(words: Vec<String>) -> Result<Asked, Error> {
    let mut values = Values::default();
    let mut previous = None;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(written) = dashed(&word) else {
            return Err(Error::NotAFlag { argument: word, previous });
        };
        let (name, inline) = match written.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (written, None),
        };
        match name {
            "h" | "help" => return Ok(Asked::Help),
            "version" if inline.as_deref() != Some("false") => return Ok(Asked::Version),
            "version" => continue,
            _ if FORGOTTEN.contains(&name) => continue,
            _ => {}
        }
        let former = former::find(name);
        let Some(flag) = flags::find(name).or(former.and_then(Former::flag)) else {
            match former {
                Some(gate) => {
                    let text = inline.unwrap_or_else(|| "true".to_owned());
                    values.set_former(gate, text, format!("--{name}"));
                }
                None => refuse_unless_off(name, inline.as_deref(), format!("--{name}"))?,
            }
            continue;
        };
        previous = (flag.kind == Kind::Bool && inline.is_none()).then_some(flag.name);
        let text = match (inline, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Bool) => "true".to_owned(),
            (None, _) => words.next().ok_or(Error::MissingValue { name: flag.name })?,
        };
        match former {
            Some(former) => values.set_former(former, text, format!("--{name}")),
            None => values.set(flag, text, format!("--{name}")),
        }
    }
    Ok(Asked::Serve(values))
}

/// The word without one or two dashes; `None` when it is no flag.
fn dashed(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    (!name.is_empty() && !name.starts_with(['-', '='])).then_some(name)
}

/// For a name outside the table: `Ok` when it is a flag of etcd that was switched off.
pub(super) fn refuse_unless_off(
    name: &str,
    value: Option<&str>,
    origin: String,
) -> Result<(), Error> {
    match UNSUPPORTED.iter().find(|flag| flag.name == name) {
        Some(_) if value == Some("false") => Ok(()),
        Some(flag) => Err(Error::Unsupported { origin, instead: flag.instead }),
        None => Err(Error::UnknownFlag { name: name.to_owned(), nearest: meant(name) }),
    }
}

fn meant(name: &str) -> Option<&'static str> {
    nearest(name, FLAGS.iter().map(|flag| flag.name).chain(["help", "version"]))
}

fn read_environment<E>(environment: E) -> Result<Values, Error>
where
    E: IntoIterator<Item = (OsString, OsString)>,
{
    let mut variables: BTreeMap<String, OsString> = environment
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| PREFIXES.iter().any(|prefix| has_prefix(name, prefix)))
        .collect();
    let mut values = Values::default();
    for prefix in PREFIXES {
        for flag in FLAGS {
            let name = flag.variable(prefix);
            if let Some(value) = variables.remove(&name) {
                values.set(flag, text_of(&value, &name)?, name);
            }
        }
        for former in former::names() {
            let name = flags::variable(prefix, &former);
            if let (Some(value), Some(former)) = (variables.remove(&name), former::find(&former)) {
                values.set_former(former, text_of(&value, &name)?, name);
            }
        }
        for flag in UNSUPPORTED {
            let name = flags::variable(prefix, flag.name);
            if let Some(value) = variables.remove(&name) {
                refuse_unless_off(flag.name, Some(&text_of(&value, &name)?), name)?;
            }
        }
    }
    values.unrecognized_variables = variables.into_keys().collect();
    Ok(values)
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_'))
}

fn text_of(value: &OsStr, origin: &str) -> Result<String, Error> {
    value.to_str().map(str::to_owned).ok_or_else(|| Error::Value {
        origin: origin.to_owned(),
        value: value.to_string_lossy().into_owned(),
        reason: "not valid UTF-8".to_owned(),
    })
}
