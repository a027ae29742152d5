//! How clients show who they are: passwords against their hashes, simple tokens, signed tokens and
//! client certificates. Whether somebody may do something is decided elsewhere.

mod credentials;
mod passwords;
mod settings;
mod signed;
mod tokens;

pub use credentials::Credentials;
pub use passwords::{PasswordError, Passwords};
pub use settings::Access;
pub use signed::{Signer, TokenError};
pub use tokens::{Scheme, digest, new_token, scheme};
