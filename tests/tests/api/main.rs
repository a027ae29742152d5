//! etcd's API over real gRPC on one member: what each request answers, and every refusal with its
//! code and text. `parity` compares the same with a real etcd where there is one; here the expected
//! answers are spelled out.

mod alarm;
mod compact;
mod compat;
mod conversation;
mod corpus;
mod deploy;
mod fixture;
mod flags;
mod gateway;
mod gateway_stream;
mod health;
mod lease;
mod limits;
mod metrics;
mod profiles;
mod put;
mod range;
mod service;
mod traces;
mod txn;
mod watch;
mod watch_history;
mod watch_load;
