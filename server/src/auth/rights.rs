//! What one caller may do, on the state it was asked of.

use super::spans::{self, Spans};
use super::{Auth, AuthRefusal, ROOT, Role, User};
use crate::types::KeyRange;

/// A caller's rights.
#[derive(Clone, Copy)]
pub struct Rights<'a>(Option<Known<'a>>);

#[derive(Clone, Copy)]
struct Known<'a> {
    auth: &'a Auth,
    user: &'a User,
    /// The credential was made before auth changed last.
    is_old: bool,
}

impl<'a> Rights<'a> {
    /// Of everybody while auth is off, and of the server.
    pub(super) fn all() -> Self {
        Self(None)
    }

    pub(super) fn of(auth: &'a Auth, user: &'a User, is_old: bool) -> Self {
        Self(Some(Known { auth, user, is_old }))
    }

    /// Whose they are; nobody's while auth is off.
    pub fn user(&self) -> Option<&'a str> {
        self.0.map(|known| known.user.name())
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.0.is_none_or(|known| known.user.has_role(role))
    }

    /// True when there is no key that this caller may not read and write.
    pub fn hold_everything(&self) -> bool {
        self.0.is_none_or(|known| known.user.has_role(ROOT) && !known.is_old)
    }

    /// Whether the caller may do what only root may. As in etcd an old credential is good for it:
    /// who changes several users in a row need not show its password before each.
    ///
    /// # Errors
    /// The caller is not root.
    pub fn root(&self) -> Result<(), AuthRefusal> {
        self.has_role(ROOT).then_some(()).ok_or(AuthRefusal::Denied)
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
        let Some(Known { auth, user, is_old }) = self.0 else { return Ok(()) };
        if is_old {
            return Err(AuthRefusal::OldRevision);
        }
        if user.has_role(ROOT) {
            return Ok(());
        }
        let sets = user.record.roles.iter().filter_map(|name| auth.role(name)).map(which);
        spans::cover(sets, range).then_some(()).ok_or(AuthRefusal::Denied)
    }
}
