//! The effects themselves. Each states an outcome in absolute terms, so that applying it needs no
//! decision: two members that hold the same state end with the same state.

use bytes::Bytes;
use portunus_proto::authpb;
use triomphe::Arc;

use super::{Author, BindingId, ChainId, PluginRecord, TriggerState};
use crate::types::{Item, LeaseId, MemberId, Revision};

/// One sequenced batch of decisions, as the log carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: ChainId,
    pub prev: ChainId,
    /// [`crate::machine`]'s digest of the user's keys after this entry: a member whose own differs
    /// has diverged and stops.
    pub digest: u64,
    pub effects: Vec<Effect>,
}

/// What one decision changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The key's new revision, whole.
    Put(Item),
    /// The key is gone as of this revision.
    Delete {
        key: Bytes,
        at: Revision,
    },
    /// A lease of `ttl` seconds exists.
    LeaseGrant {
        id: LeaseId,
        ttl: i64,
    },
    /// A lease is gone; the deletes of its keys stand before it.
    LeaseRevoke {
        id: LeaseId,
    },
    /// What is left of a lease, in seconds; 0 stands for its full time.
    LeaseCheckpoint {
        id: LeaseId,
        remaining: i64,
    },
    /// Revisions below this one may be forgotten.
    Compact {
        revision: i64,
    },
    AlarmRaise(Alarm),
    AlarmClear(Alarm),
    /// A component's bytes are known to the cluster under their digest.
    ComponentStore(Component),
    /// No generation of any plugin names the component any more.
    ComponentDrop {
        digest: Bytes,
    },
    /// A plugin is, from now on, this.
    PluginPut(PluginRecord),
    /// A plugin is gone, with all its generations.
    PluginRemove {
        name: String,
    },
    /// A trigger stands here.
    TriggerSet(TriggerState),
    /// A trigger's binding is gone.
    TriggerDrop {
        binding: BindingId,
    },
    /// What a member says of itself.
    Publish(Attributes),
    /// Who wrote what follows at the main revision `main`, up to the next author: for blame. It
    /// says nothing of other revisions.
    By {
        main: i64,
        author: Arc<Author>,
    },
    /// A request's id, remembered so that a repeat of it can be recognised.
    Request {
        id: Bytes,
    },
    /// All members know the effects of this level; the leader emits no others.
    FeatureLevel(u32),
    /// Whether there is authentication, and how often auth has changed.
    AuthSet {
        enabled: bool,
        revision: u64,
    },
    /// A user is, from now on, this; the password is a hash.
    AuthUserPut(authpb::User),
    AuthUserDrop {
        name: String,
    },
    /// A role is, from now on, this.
    AuthRolePut(authpb::Role),
    AuthRoleDrop {
        name: String,
    },
    /// The token of this digest stands for `user` until then, in unix milliseconds.
    TokenPut {
        digest: Bytes,
        user: String,
        until_ms: u64,
    },
    TokenDrop {
        digest: Bytes,
    },
}

/// A condition of the cluster that restricts what it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alarm {
    pub member: MemberId,
    pub kind: AlarmKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlarmKind {
    NoSpace,
    Corrupt,
}

/// A wasm component as deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// SHA-256 of `bytes`.
    pub digest: Bytes,
    pub bytes: Bytes,
}

/// A member's own word on how it is called and where clients reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub member: MemberId,
    pub name: String,
    pub client_urls: Vec<String>,
    /// The highest level of effects that it knows.
    pub feature_level: u32,
}
