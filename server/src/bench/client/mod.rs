//! What a load generator's client needs: a connection, and keys and values to send over it.

mod connection;
mod payload;

pub use connection::{MESSAGE_BYTES_MAX, connect};
pub use payload::{Payload, Random};
