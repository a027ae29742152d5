//! What one caller may do, on the state it was asked of.

use super::spans::{self, Spans};
use super::{Auth, AuthRefusal, ROOT, Role, User};
use crate::types::KeyRange;

/// A caller's rights.
#[derive(Clone, Copy)]
pub struct Rights<'a>(Option<(&'a Auth, &'a User)>);

impl<'a> Rights<'a> {
    /// Of everybody while auth is off, and of the server.
    pub(super) fn all() -> Self {
        Self(None)
    }

    pub(super) fn of(auth: &'a Auth, user: &'a User) -> Self {
        Self(Some((auth, user)))
    }

    /// Whose they are; nobody's while auth is off.
    pub fn user(&self) -> Option<&'a str> {
        self.0.map(|(_, user)| user.name())
    }

    /// True when there is nothing this caller may not do.
    pub fn is_root(&self) -> bool {
        self.0.is_none_or(|(_, user)| user.has_role(ROOT))
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.0.is_none_or(|(_, user)| user.has_role(role))
    }

    /// # Errors
    /// The caller is not root.
    pub fn root(&self) -> Result<(), AuthRefusal> {
        self.is_root().then_some(()).ok_or(AuthRefusal::Denied)
    }

    /// # Errors
    /// Some key of the range may not be read.
    pub fn read(&self, range: &KeyRange) -> Result<(), AuthRefusal> {
        self.hold(range, |role| &role.read)
    }

    /// # Errors
    /// Some key of the range may not be written.
    pub fn write(&self, range: &KeyRange) -> Result<(), AuthRefusal> {
        self.hold(range, |role| &role.write)
    }

    fn hold(&self, range: &KeyRange, which: fn(&Role) -> &Spans) -> Result<(), AuthRefusal> {
        let Some((auth, user)) = self.0 else { return Ok(()) };
        if user.has_role(ROOT) {
            return Ok(());
        }
        let sets = user.record.roles.iter().filter_map(|name| auth.role(name)).map(which);
        spans::cover(sets, range).then_some(()).ok_or(AuthRefusal::Denied)
    }
}
