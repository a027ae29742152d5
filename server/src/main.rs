//! The program's entry: the allocator, and the way to the command that was asked for.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Freed pages go back to the system within seconds, by a background thread rather than by the
/// thread that happens to free.
#[allow(unsafe_code, reason = "jemalloc looks its settings up by this symbol")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
pub static MALLOC_CONF: &[u8; 63] =
    b"background_thread:true,dirty_decay_ms:3000,muzzy_decay_ms:3000\0";

fn main() -> ExitCode {
    portunus::cli::run(std::env::args_os().skip(1))
}
