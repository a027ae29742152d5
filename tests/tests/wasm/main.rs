//! The plugin host against real components, well behaved and hostile: without a server around it,
//! and deployed into a real member.

mod bindings;
mod deployed;
mod diary;
mod encoded;
mod fixture;
mod hostile;
mod points;
mod policy;
mod refused;
mod room;
mod rubbish;
