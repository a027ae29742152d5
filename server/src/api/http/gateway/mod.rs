//! The JSON gateway: every method as a `POST` with a JSON body, for programs without gRPC. A call
//! goes through the same services as any other, in this process; which messages there are is read
//! from the descriptors, so a new service needs at most rows in [`paths`].

mod call;
mod failure;
pub mod json;
mod openapi;
mod paths;
mod serve;
mod splitter;
mod stream;

pub use openapi::document;
pub use serve::Gateway;
