//! The plugin host against real components, well behaved and hostile: without a server around it,
//! and deployed into a real member.

mod bindings;
mod deployed;
mod fixture;
mod hostile;
mod policy;
mod refused;
mod room;
