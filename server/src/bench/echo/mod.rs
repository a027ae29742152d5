//! A server that does nothing, as a floor: what is left of a server's cost above it is the
//! server's own. It runs in a process of its own, so that its CPU time can be told apart.

mod child;
mod server;

pub use child::Child;
pub use server::serve;
#[cfg(test)]
pub use server::start_here;
