//! `--config-file`: the same flags as YAML, with etcd's sections. It stands for all other flags and
//! variables, which are then ignored, as with etcd. Who calls reads the file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::Error;
use crate::config::flags::{self, FLAGS, FORGOTTEN, Flag, Kind, UNSUPPORTED};
use crate::config::former;
use crate::config::nearest::nearest;
use crate::config::read::{Values, refuse_unless_off};

/// Variables that name the file, where no flag does; the first wins.
const VARIABLES: [&str; 2] = ["PORTUNUS_CONFIG_FILE", "ETCD_CONFIG_FILE"];

/// A section, the prefix of the flags in it, and keys whose flags have another name.
type Section = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SECTIONS: &[Section] = &[
    (
        "client-transport-security",
        "",
        &[
            ("allowed-cn", "client-cert-allowed-cn"),
            ("allowed-hostname", "client-cert-allowed-hostname"),
            ("crl-file", "client-crl-file"),
            ("skip-client-san-verification", "client-skip-client-san-verification"),
        ],
    ),
    (
        "peer-transport-security",
        "peer-",
        &[
            ("allowed-cn", "peer-cert-allowed-cn"),
            ("allowed-hostname", "peer-cert-allowed-hostname"),
        ],
    ),
    ("socket-options", "socket-", &[]),
    ("discovery-config", "discovery-", &[]),
    ("client", "discovery-", &[]),
    ("secure", "discovery-", &[]),
    ("auth", "discovery-", &[("username", "discovery-user")]),
];

/// Sections that only stand in others.
const INNER: &[&str] = &["client", "secure", "auth"];

/// Keys of older releases' files, which etcd passes over.
const OBSOLETE: &[&str] = &[
    "debug",
    "discovery",
    "discovery-fallback",
    "discovery-proxy",
    "enable-v2",
    "log-package-levels",
    "proxy",
    "proxy-dial-timeout",
    "proxy-failure-wait",
    "proxy-read-timeout",
    "proxy-refresh-interval",
    "proxy-write-timeout",
    "v2-deprecation",
];

/// The file that `values`, or the environment behind them, ask for.
pub fn requested(
    values: &Values,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Option<PathBuf> {
    let flag = flags::find("config-file").expect("the table holds it");
    if values.is_given(flag.name) {
        return Some(values.text(flag).into())
            .filter(|path: &PathBuf| !path.as_os_str().is_empty());
    }
    let variables: Vec<_> = environment.into_iter().collect();
    let value = |name: &str| {
        let found = variables.iter().find(|(variable, _)| variable == OsStr::new(name));
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    };
    VARIABLES.iter().find_map(|name| value(name)).map(PathBuf::from)
}

/// Reads the text of the file at `path`.
///
/// # Errors
/// It is not YAML, holds a key that is no flag, or a value of the wrong shape.
pub fn read(path: &Path, text: &str) -> Result<Values, Error> {
    let file = File { path: path.display().to_string() };
    let whole: Option<Map<String, Value>> =
        serde_saphyr::from_str(text).map_err(|error| file.broken(error.to_string()))?;
    let mut values = Values::default();
    values.file = Some(path.to_owned());
    for (key, value) in whole.unwrap_or_default() {
        if INNER.contains(&key.as_str()) {
            return Err(file.unknown(&key, nearest_key(&key, "")));
        }
        file.take(&mut values, &key, value, "", &[])?;
    }
    values.join_gates();
    Ok(values)
}

/// What is being read, for errors.
struct File {
    path: String,
}

impl File {
    fn take(
        &self,
        values: &mut Values,
        key: &str,
        value: Value,
        prefix: &str,
        renamed: &[(&str, &str)],
    ) -> Result<(), Error> {
        if let Some((_, inner, renamed)) = SECTIONS.iter().find(|(name, ..)| *name == key) {
            return self.section(values, key, value, (inner, renamed));
        }
        let name = match renamed.iter().find(|(from, _)| *from == key) {
            Some((_, to)) => (*to).to_owned(),
            // In a section some keys stand with the prefix already.
            None if key.starts_with(prefix) && flags::find(key).is_some() => key.to_owned(),
            None => format!("{prefix}{key}"),
        };
        let passed_over = OBSOLETE.contains(&name.as_str()) || FORGOTTEN.contains(&name.as_str());
        if passed_over || value.is_null() {
            return match passed_over || is_known(&name) {
                true => Ok(()),
                false => Err(self.unknown(key, nearest_key(key, prefix))),
            };
        }
        let origin = format!("{key} in {}", self.path);
        if let Some(former) = former::find(&name) {
            let kind = former.flag().map_or(Kind::Bool, |flag| flag.kind);
            let text = scalar(kind, &value).unwrap_or_default();
            values.set_former(former, text, origin);
            return Ok(());
        }
        let Some(flag) = flags::find(&name).filter(|flag| flag.name != "config-file") else {
            if !is_known(&name) {
                return Err(self.unknown(key, nearest_key(key, prefix)));
            }
            let text = scalar(Kind::Text, &value).unwrap_or_default();
            return match text.is_empty() {
                true => Ok(()),
                false => refuse_unless_off(&name, Some(&text), origin),
            };
        };
        let text = self.text(flag, &value, &origin)?;
        // An empty text leaves the default, as with etcd.
        if !text.is_empty() {
            values.set(flag, text, origin);
        }
        Ok(())
    }

    fn section(
        &self,
        values: &mut Values,
        key: &str,
        value: Value,
        (prefix, renamed): (&str, &[(&str, &str)]),
    ) -> Result<(), Error> {
        match value {
            Value::Null => Ok(()),
            Value::Object(inner) => inner
                .into_iter()
                .try_for_each(|(key, value)| self.take(values, &key, value, prefix, renamed)),
            _ => Err(self.broken(format!("{key} is a section: indent its keys below it"))),
        }
    }

    fn text(&self, flag: &Flag, value: &Value, origin: &str) -> Result<String, Error> {
        let text = match value {
            Value::Array(items) => {
                let items: Option<Vec<_>> =
                    items.iter().map(|item| scalar(Kind::Text, item)).collect();
                items.map(|items| items.join(","))
            }
            value => scalar(flag.kind, value),
        };
        text.ok_or_else(|| Error::Value {
            origin: origin.to_owned(),
            value: value.to_string(),
            reason: "expected a text, a number, true or false, or a list of texts".to_owned(),
        })
    }

    fn broken(&self, reason: String) -> Error {
        Error::File { path: self.path.clone(), reason }
    }

    fn unknown(&self, key: &str, nearest: Option<&'static str>) -> Error {
        Error::UnknownKey { path: self.path.clone(), key: key.to_owned(), nearest }
    }
}

/// The text of a value that is neither a list nor a map. A duration may be a number, of nanoseconds.
fn scalar(kind: Kind, value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Number(number) if kind == Kind::Duration => Some(format!("{number}ns")),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_known(name: &str) -> bool {
    name != "config-file"
        && (flags::find(name).is_some() || UNSUPPORTED.iter().any(|flag| flag.name == name))
}

/// What may have been meant, without the prefix that the section gives.
fn nearest_key(key: &str, prefix: &str) -> Option<&'static str> {
    let flags = FLAGS.iter().filter(|flag| flag.name != "config-file");
    let keys = flags.filter_map(|flag| flag.name.strip_prefix(prefix));
    nearest(key, keys.chain(SECTIONS.iter().map(|(name, ..)| *name)))
}

#[cfg(test)]
#[path = "file_test.rs"]
mod tests;
