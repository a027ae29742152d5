//! Users, roles and permissions with real members: who gets in and how, what each RPC asks of its
//! caller, and that all members agree, whoever leads and whatever was restarted.

mod certificates;
mod cluster;
mod etcdctl;
mod fixture;
mod gateway;
mod login;
mod permissions;
mod plugins;
mod restricted;
mod signed;
mod users;
mod watches;
mod whole_life;
mod writer;

/// A recipe that adds to `KEY`, one that tells its caller, and others.
const PROBE: &str = env!("PLUGIN_PROBE");
