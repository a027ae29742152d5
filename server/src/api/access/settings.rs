//! What flags decide about how callers show who they are.

use std::sync::Arc;
use std::time::Duration;

use super::{Passwords, Scheme, TokenError, scheme};

/// etcd's default of `--auth-token-ttl`.
const TTL_DEFAULT: Duration = Duration::from_secs(300);
/// etcd's default of `--bcrypt-cost`.
const COST_DEFAULT: u32 = 10;

/// Tokens and passwords of this member.
#[derive(Clone, Debug)]
pub struct Access {
    pub(in crate::api) scheme: Arc<Scheme>,
    pub(in crate::api) passwords: Passwords,
}

impl Access {
    /// From `--auth-token`, `--auth-token-ttl` and `--bcrypt-cost`.
    ///
    /// # Errors
    /// The kind of token is not known, or its keys cannot be used.
    pub fn new(token: &str, ttl: Duration, bcrypt_cost: u32) -> Result<Self, TokenError> {
        let scheme = Arc::new(scheme(token, ttl)?);
        Ok(Self { scheme, passwords: Passwords::new(bcrypt_cost) })
    }
}

impl Default for Access {
    /// etcd's defaults.
    fn default() -> Self {
        let scheme = Arc::new(Scheme::Simple { ttl: TTL_DEFAULT });
        Self { scheme, passwords: Passwords::new(COST_DEFAULT) }
    }
}
