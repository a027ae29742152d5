//! What the client port speaks beside gRPC: metrics, health and version for machines that look
//! after the member, and the JSON gateway for those that have no gRPC. Bodies and codes are etcd's.

mod cors;
mod exposition;
mod front;
mod gateway;
mod health;
mod hosts;
mod process;
mod profile;
pub mod reply;
mod surface;

pub use cors::Cors;
pub use front::{FrontLayer, is_grpc};
pub use gateway::Gateway;
pub use gateway::json as gateway_json;
pub use hosts::Hosts;
pub use surface::Surface;
