//! The guest's allocator: a tenth of the code that the standard library brings along for it, made
//! for a sandbox of a few megabytes with one thread whose instances are recycled. Native builds,
//! tests among them, keep the system's.

mod blocks;
mod runs;

#[cfg(target_arch = "wasm32")]
mod global;

#[cfg(test)]
mod blocks_test;
