//! The help text of the server, written from the table of flags.

use std::fmt::Write;

use crate::config::flags::{FLAGS, Flag, Group, Kind};

const GROUPS: &[(Group, &str)] = &[
    (Group::Member, "Member"),
    (Group::Clustering, "Clustering"),
    (Group::Security, "Security"),
    (Group::Auth, "Auth"),
    (Group::Limits, "Limits"),
    (Group::Compaction, "Compaction"),
    (Group::Metrics, "Metrics and HTTP"),
    (Group::Logging, "Logging"),
    (Group::Unsafe, "Unsafe"),
    (Group::NoEffect, "Accepted for etcd's sake, without effect"),
];

const USAGE: &str = "\
Usage:
  portunus [flags]     start a member; without flags a single one on localhost
  portunus bench       measure any server that speaks etcd v3
  portunus plugin      make, deploy and watch over plugins
  portunus recipe      call functions that plugins offer
  portunus lock        hold a lock while a command runs
  portunus queue       put into and take from queues
  portunus completion  print completions for a shell
  portunus man         write manual pages into a folder
  portunus version     show the version

Each flag can be set as --flag=value, --flag value, or by an environment variable of
its name: PORTUNUS_DATA_DIR or ETCD_DATA_DIR for --data-dir. Flags win over variables,
PORTUNUS_ over ETCD_. With --config-file all of them come from that file alone.
";

/// The whole help text.
pub fn text() -> String {
    let mut text = USAGE.to_owned();
    for (group, title) in GROUPS {
        let _ = writeln!(text, "\n{title}:");
        for flag in FLAGS.iter().filter(|flag| flag.group == *group) {
            describe(&mut text, flag);
        }
    }
    text
}

fn describe(text: &mut String, flag: &Flag) {
    let value = match flag.kind {
        Kind::Text => " <text>".to_owned(),
        Kind::Urls => " <url,...>".to_owned(),
        Kind::Millis => " <milliseconds>".to_owned(),
        Kind::Duration => " <duration>".to_owned(),
        Kind::Count => " <number>".to_owned(),
        Kind::Bytes => " <bytes>".to_owned(),
        Kind::Bool => "[=true|false]".to_owned(),
        Kind::Choice(choices) => format!(" <{}>", choices.join("|")),
    };
    let default = match flag.default {
        "" => String::new(),
        default => format!(" (default {default})"),
    };
    let _ = writeln!(text, "  --{}{value}\n      {}{default}", flag.name, flag.help);
}
