//! Ports nobody listens on. They are taken from below the ephemeral range, so that no outgoing
//! connection of another test can take one between its choice and its use.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// `N` ports free right now. Processes start at different places by their id, threads of one
/// process never get the same port.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    std::array::from_fn(|_| {
        loop {
            let step = NEXT.fetch_add(1, Ordering::SeqCst);
            let start = (std::process::id() as u16).wrapping_mul(97);
            let port = FIRST + start.wrapping_add(step) % (LAST - FIRST);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}
