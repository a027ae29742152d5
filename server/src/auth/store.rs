//! Everything auth is about, as a persistent value: a clone takes a few counters. What changes it
//! are effects, which state outcomes.

use bytes::Bytes;
use portunus_proto::authpb;

use super::spans::Spans;
use super::{AuthRefusal, Caller, Rights};
use crate::effect::Effect;
use crate::mvcc::{Keyed, Tree};
use crate::types::KeyRange;

/// The user that may do everything, and the role that makes it so.
pub const ROOT: &str = "root";

/// The revision of a store that was never changed, as etcd's.
const PRISTINE: u64 = 1;

/// A user as it is kept; the name is UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub record: authpb::User,
}

/// A role, and what its permissions come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub record: authpb::Role,
    pub(super) read: Spans,
    pub(super) write: Spans,
}

/// A simple token that was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token; the token itself is known to its holder alone.
    pub digest: Bytes,
    pub user: String,
    /// When it ends, in unix milliseconds.
    pub until_ms: u64,
}

impl Keyed for User {
    fn key(&self) -> &[u8] {
        &self.record.name
    }
}

impl Keyed for Role {
    fn key(&self) -> &[u8] {
        &self.record.name
    }
}

impl Keyed for Token {
    fn key(&self) -> &[u8] {
        &self.digest
    }
}

impl User {
    pub fn name(&self) -> &str {
        // Names come as strings and are stored as such.
        std::str::from_utf8(&self.record.name).unwrap_or_default()
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.record.roles.iter().any(|own| own == role)
    }

    /// True when no password lets this user in.
    pub fn is_passwordless(&self) -> bool {
        self.record.options.is_some_and(|options| options.no_password)
    }
}

impl Role {
    fn new(record: authpb::Role) -> Self {
        let of = |wanted: authpb::permission::Type| {
            let both = i32::from(authpb::permission::Type::Readwrite);
            let own = record.key_permission.iter();
            let own = own.filter(|it| it.perm_type == both || it.perm_type == i32::from(wanted));
            Spans::of(own.map(|it| KeyRange::from_wire(it.key.clone(), it.range_end.clone())))
        };
        let (read, write) =
            (of(authpb::permission::Type::Read), of(authpb::permission::Type::Write));
        Self { record, read, write }
    }

    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.record.name).unwrap_or_default()
    }
}

/// Users, roles and tokens of a cluster.
#[derive(Clone)]
pub struct Auth {
    pub enabled: bool,
    /// Counts changes.
    pub revision: u64,
    pub users: Tree<User>,
    pub roles: Tree<Role>,
    pub tokens: Tree<Token>,
}

impl Default for Auth {
    fn default() -> Self {
        let (users, roles, tokens) = (Tree::new(), Tree::new(), Tree::new());
        Self { enabled: false, revision: PRISTINE, users, roles, tokens }
    }
}

impl Auth {
    /// Applies an effect; those that are not about auth change nothing.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::AuthSet { enabled, revision } => {
                (self.enabled, self.revision) = (*enabled, *revision);
            }
            Effect::AuthUserPut(record) => {
                self.users.insert(User { record: record.clone() });
            }
            Effect::AuthUserDrop { name } => drop(self.users.remove(name.as_bytes())),
            Effect::AuthRolePut(record) => drop(self.roles.insert(Role::new(record.clone()))),
            Effect::AuthRoleDrop { name } => drop(self.roles.remove(name.as_bytes())),
            Effect::TokenPut { digest, user, until_ms } => {
                let (digest, user) = (digest.clone(), user.clone());
                self.tokens.insert(Token { digest, user, until_ms: *until_ms });
            }
            Effect::TokenDrop { digest } => drop(self.tokens.remove(digest)),
            _ => {}
        }
    }

    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name.as_bytes())
    }

    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name.as_bytes())
    }

    /// What a caller may do. Costs a lookup or two.
    ///
    /// # Errors
    /// The caller is nobody whom auth knows.
    pub fn rights(&self, caller: &Caller) -> Result<Rights<'_>, AuthRefusal> {
        if !self.enabled || caller.is_server() {
            return Ok(Rights::all());
        }
        let (name, is_old) = match caller {
            Caller::Server | Caller::Nobody => return Err(AuthRefusal::UserEmpty),
            Caller::Invalid => return Err(AuthRefusal::InvalidToken),
            Caller::Token(digest) => {
                (&self.tokens.get(digest).ok_or(AuthRefusal::InvalidToken)?.user, false)
            }
            Caller::Signed { user, revision } => (user, *revision < self.revision),
            Caller::Named(user) => (user, false),
        };
        if name.is_empty() {
            return Err(AuthRefusal::UserEmpty);
        }
        match self.user(name) {
            Some(user) => Ok(Rights::of(self, user, is_old)),
            None if is_old => Err(AuthRefusal::OldRevision),
            None => Err(AuthRefusal::Denied),
        }
    }

    /// Whether the caller may do what only root may.
    ///
    /// # Errors
    /// It may not.
    pub fn root(&self, caller: &Caller) -> Result<(), AuthRefusal> {
        match self.rights(caller) {
            // As etcd says it where nothing but the user counts.
            Err(AuthRefusal::Denied | AuthRefusal::OldRevision) => Err(AuthRefusal::UserNotFound),
            rights => rights?.root(),
        }
    }

    /// True when the caller's token has had its time; `now_ms` is unix time.
    pub fn is_over(&self, caller: &Caller, now_ms: u64) -> bool {
        let Caller::Token(digest) = caller else { return false };
        self.tokens.get(digest).is_some_and(|token| token.until_ms <= now_ms)
    }

    /// The user behind a caller, as far as there is one; plugins and blame are told of it.
    pub fn user_of(&self, caller: &Caller) -> Option<&str> {
        self.rights(caller).ok().and_then(|rights| rights.user())
    }
}
