//! The plugin host against real components, well behaved and hostile, without a server around it.

mod bindings;
mod fixture;
mod hostile;
mod policy;
mod refused;
mod room;
