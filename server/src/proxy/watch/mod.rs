//! Watches through the proxy: those that ask for the same are one watch at a member. Each client
//! still sees what it would see at a member: its own ids, `created` before everything else, every
//! event once and in order.
//!
//! A [`share`] says which watches are the same. Each share has a [`group`]: one task that owns the
//! watches at members ([`feed`]) and hands what they bring to the clients' mailboxes. A watch that
//! begins in the past has a feed of its own until it has caught up with the group's. A client that
//! does not keep up is taken out and comes back, from where it was, when it has read what is there.

mod board;
mod feed;
mod fragment;
mod group;
mod line;
mod mailbox;
mod member;
mod news;
mod service;
mod session;
mod share;
mod waiting;

pub use service::WatchService;
