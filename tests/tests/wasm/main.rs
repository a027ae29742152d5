//! The plugin host against real components, well behaved and hostile, without a server around it.

mod bindings;
