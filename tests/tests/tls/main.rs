//! TLS with real members: what clients and peers must prove, each refusal with its words, files that
//! change while a member runs, and the ports on which encrypted and plain meet.

mod clients;
mod files;
mod peers;
mod ports;
mod site;
mod tools;
