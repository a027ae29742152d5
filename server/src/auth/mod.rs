//! Users, roles and permissions as one value: who a caller is and what it may do. Pure and
//! deterministic. Passwords are hashes here, tokens are digests; making and comparing them is done
//! elsewhere.

mod caller;
mod refusal;
mod rights;
mod spans;
mod store;

pub use caller::Caller;
pub use refusal::AuthRefusal;
pub use rights::Rights;
pub use store::{Auth, ROOT, Role, Token, User};

#[cfg(test)]
mod auth_test;
