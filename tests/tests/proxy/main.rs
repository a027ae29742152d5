//! The proxy as a process before real members: what passes, what is shared, what a prefix hides,
//! and what clients notice while members die.

mod dns;
mod failover;
mod fixture;
mod flags;
mod keep_alive;
mod passes;
mod ports;
mod prefix;
mod shared;
mod slow;
mod streams;
