//! Hashing and comparing passwords, which takes tens of milliseconds of CPU on purpose: on threads
//! of its own, a few at a time, so that a storm of logins slows logins down and nothing else.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Passwords that are hashed or compared at once; others wait their turn.
const AT_ONCE: usize = 2;

/// A password that cannot be hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("bcrypt: password length exceeds 72 bytes")]
    TooLong,
    #[error("a password cannot be hashed: {0}")]
    Failed(String),
}

/// bcrypt, with a bound.
#[derive(Clone, Debug)]
pub struct Passwords {
    cost: u32,
    slots: Arc<Semaphore>,
}

impl Passwords {
    /// `cost` is the logarithm of the rounds, 4 to 31 (`--bcrypt-cost`).
    pub fn new(cost: u32) -> Self {
        Self { cost, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let cost = self.cost;
        let hashed = self.run(move || bcrypt::non_truncating_hash(password, cost)).await?;
        hashed.map_err(|error| match error {
            bcrypt::BcryptError::Truncation(_) => PasswordError::TooLong,
            other => PasswordError::Failed(other.to_string()),
        })
    }

    /// Whether the password is the one that was hashed; a hash that cannot be read fits none.
    pub async fn fits(&self, password: String, hash: String) -> Result<bool, PasswordError> {
        self.run(move || bcrypt::verify(password, &hash).unwrap_or(false)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let ended = |what: String| PasswordError::Failed(what);
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|error| ended(error.to_string()))?;
        // The slot is held until the work is done, even when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(slot);
            done
        });
        done.await.map_err(|error| ended(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{PasswordError, Passwords};

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = Passwords::new(4);
        let hash = passwords.hash("secret".into()).await.expect("a hash");
        assert_eq!(passwords.fits("secret".into(), hash.clone()).await, Ok(true));
        assert_eq!(passwords.fits("Secret".into(), hash).await, Ok(false));
        assert_eq!(passwords.fits("secret".into(), "no hash".into()).await, Ok(false));
        assert_eq!(passwords.fits(String::new(), String::new()).await, Ok(false));
    }

    #[tokio::test]
    async fn a_password_that_would_be_cut_is_refused() {
        let passwords = Passwords::new(4);
        assert_eq!(passwords.hash("x".repeat(73)).await, Err(PasswordError::TooLong));
    }

    /// etcd's hashes, which come along when a cluster moves over, are Go's.
    #[tokio::test]
    async fn hashes_in_the_form_of_go_fit() {
        let own = bcrypt::hash_with_result("root", 4).expect("a hash");
        let go = own.format_for_version(bcrypt::Version::TwoA);
        assert_eq!(Passwords::new(4).fits("root".into(), go).await, Ok(true));
    }
}
