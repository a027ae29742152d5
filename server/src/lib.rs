//! Portunus: a coordination server that speaks the etcd v3 API and runs its users' logic as
//! sandboxed WebAssembly. The modules below are the layers of ARCHITECTURE.md, lowest first;
//! `xtask tidy` checks that each uses only those above it in this list.

pub mod builtin;
pub mod clock;
pub mod fatal;
pub mod limits;
pub mod metrics;
pub mod profiles;
pub mod systemd;
pub mod traces;
pub mod types;

pub mod bbolt;
pub mod effect;
pub mod storage;
pub mod wal;

pub mod mvcc;

pub mod auth;
pub mod lease;

pub mod machine;

pub mod view;

pub mod decide;
pub mod tls;
pub mod wasm;
pub mod watch;

pub mod backup;
pub mod raft;
pub mod srv;

pub mod node;

pub mod api;

pub mod config;
pub mod telemetry;

pub mod app;
mod beginning;
pub mod bench;
pub mod cli;
pub mod dial;
mod discovery;
pub mod ports;
pub mod proxy;
