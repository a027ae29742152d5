//! Triggers of real members: each event has its effect once, whatever is killed meanwhile.

mod exactly_once;
mod stuck;
