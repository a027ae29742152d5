//! Auth as this member serves it: on whose behalf a handle asks, what is read of users and roles,
//! and tokens on their way in.

use bytes::Bytes;

use super::error::Error;
use super::handle::Node;
use crate::auth::{Auth, AuthRefusal, Caller};
use crate::decide::{self, AuthAsk, Refusal, Request};
use crate::machine::State;
use crate::types::KeyRange;

impl Node {
    /// A handle that asks and reads on `caller`'s behalf.
    pub fn acting(&self, caller: Caller) -> Self {
        Self { shared: self.shared.clone(), caller }
    }

    /// On whose behalf this handle asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The user behind this handle; none while auth is off.
    pub fn user(&self) -> Option<String> {
        self.shared.applied.with(|now| now.state.auth().user_of(&self.caller).map(str::to_owned))
    }

    /// Reads users, roles and settings as they are applied here.
    pub fn auth<T>(&self, read: impl FnOnce(&Auth) -> T) -> T {
        self.shared.applied.with(|now| read(now.state.auth()))
    }

    /// Checks something on the applied state. A token that is not known here may have been given
    /// out elsewhere a moment ago: then it is looked for again once this member has caught up.
    pub async fn check(
        &self,
        check: impl Fn(&State, &Caller) -> Result<(), Refusal>,
    ) -> Result<(), Error> {
        let now = || self.shared.applied.with(|now| check(&now.state, &self.caller));
        match (now(), &self.caller) {
            (Err(Refusal::Auth(AuthRefusal::InvalidToken)), Caller::Token(_)) => {
                self.linearizable().await?;
                Ok(now()?)
            }
            (checked, _) => Ok(checked?),
        }
    }

    /// Refuses whom auth does not know.
    pub async fn check_known(&self) -> Result<(), Error> {
        self.check(|state, caller| Ok(state.auth().rights(caller).map(drop)?)).await
    }

    /// Refuses everybody but root.
    pub async fn check_root(&self) -> Result<(), Error> {
        self.check(|state, caller| Ok(state.auth().root(caller)?)).await
    }

    /// Refuses who may not read all of a range; the bounds are as the client gave them.
    pub async fn check_range(&self, key: &Bytes, range_end: &Bytes) -> Result<(), Error> {
        self.check(|state, caller| decide::permit_range(state, caller, key, range_end)).await
    }

    /// Refuses who may not read all keys that begin with `prefix`.
    pub async fn check_prefix(&self, prefix: &[u8]) -> Result<(), Error> {
        let range = KeyRange::prefix(Bytes::copy_from_slice(prefix));
        self.check(|state, caller| Ok(state.auth().rights(caller)?.read(&range)?)).await
    }

    /// Refuses who may not make all of a transaction.
    pub async fn check_txn(
        &self,
        txn: &portunus_proto::etcdserverpb::TxnRequest,
    ) -> Result<(), Error> {
        self.check(|state, caller| decide::permit_txn(state, caller, txn)).await
    }

    /// Changes auth on this handle's behalf.
    pub async fn change_auth(&self, ask: AuthAsk) -> Result<(), Error> {
        self.write(Request::Auth(ask)).await.map(drop)
    }

    /// Reads of auth as the cluster knows it now, if the caller may.
    pub async fn read_auth<T>(
        &self,
        read: impl FnOnce(&Auth, &Caller) -> Result<T, AuthRefusal>,
    ) -> Result<T, Error> {
        self.linearizable().await?;
        let now = self.shared.applied.load();
        Ok(read(now.state.auth(), &self.caller).map_err(Refusal::from)?)
    }

    /// The leader's and the members' common clock, as far as there is one.
    pub fn unix_ms(&self) -> u64 {
        self.shared.clock.unix_ms()
    }
}
