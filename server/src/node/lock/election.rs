//! Elections: a line whose first place carries a value for all to see.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::mvccpb::KeyValue;
use prost::Message;

use super::follow::{Following, Seen};
use super::line::{LineError, first_in_line, if_created_at};
use super::place::{Place, Standing, prefix_of};
use crate::node::{Error, Failure, Node};
use crate::types::{KeyRange, LeaseId, RangeEnd};

/// Who leads, at which revision of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Elected {
    pub kv: KeyValue,
    pub revision: i64,
}

impl Node {
    /// Takes a place in the election for `lease`, or finds it, with `value` to proclaim.
    ///
    /// # Errors
    /// [`LineError::Lost`] when its key went meanwhile.
    pub async fn stand(
        &self,
        name: &Bytes,
        lease: LeaseId,
        value: Bytes,
    ) -> Result<(Place, Standing), LineError> {
        let (mut place, standing) = self.line_up(name.clone(), lease, value.clone()).await?;
        if !standing.is_new && standing.value != value {
            let revision = self.proclaim(&place.key, place.revision, place.lease, value).await?;
            place.at = revision.ok_or(LineError::Lost)?;
        }
        Ok((place, standing))
    }

    /// Puts a new value under a leader's key; `None` when the key is not that leader's any more.
    pub async fn proclaim(
        &self,
        key: &Bytes,
        revision: i64,
        lease: LeaseId,
        value: Bytes,
    ) -> Result<Option<i64>, Error> {
        let put = pb::PutRequest { key: key.clone(), value, lease: lease.0, ..Default::default() };
        let put = pb::request_op::Request::RequestPut(put);
        let answer = self.transact(if_created_at(key, revision, vec![put])).await?;
        Ok(answer.succeeded.then(|| answer.header.map_or(0, |header| header.revision)))
    }

    /// Takes the leader's key away, if it is still that leader's. Returns the store's revision.
    pub async fn resign(&self, key: &Bytes, revision: i64) -> Result<i64, Error> {
        let delete = pb::DeleteRangeRequest { key: key.clone(), ..Default::default() };
        let delete = pb::request_op::Request::RequestDeleteRange(delete);
        let answer = self.transact(if_created_at(key, revision, vec![delete])).await?;
        Ok(answer.header.map_or(0, |header| header.revision))
    }

    /// Who leads now; `None` when nobody does.
    pub async fn elected(&self, name: &Bytes) -> Result<Option<Elected>, Error> {
        self.linearizable().await?;
        Ok(self.elected_here(name).0)
    }

    /// The same of what is applied here, and its revision.
    fn elected_here(&self, name: &Bytes) -> (Option<Elected>, i64) {
        let version = self.shared.applied.load();
        let revision = version.state.revision;
        let kv = first_in_line(&version.state, name)
            .and_then(|item| KeyValue::decode(item.encoded()).ok());
        (kv.map(|kv| Elected { kv, revision }), revision)
    }

    /// Follows who leads and what it proclaims.
    pub fn observe(&self, name: Bytes) -> Observation {
        Observation { node: self.clone(), name, following: None }
    }
}

/// The course of an election as one observer sees it. Not every leader need be seen, the newest
/// always is.
pub struct Observation {
    node: Node,
    name: Bytes,
    /// The key of the leader that was told last.
    following: Option<Following>,
}

impl Observation {
    /// The next word of whoever leads.
    ///
    /// # Errors
    /// The member stops, or finds no leader of the cluster for the time of a request.
    pub async fn next(&mut self) -> Result<Elected, Error> {
        loop {
            let Some(following) = &mut self.following else {
                let elected = find(self.node.clone(), self.name.clone()).await?;
                let key = elected.kv.key.clone();
                let from = elected.revision + 1;
                self.following = Some(Following::new(&self.node, key, Bytes::new(), from));
                return Ok(elected);
            };
            match following.next().await? {
                Some(Seen::Put { kv, revision }) => return Ok(Elected { kv, revision }),
                Some(Seen::Deleted) | None => self.following = None,
            }
        }
    }
}

/// Whoever leads, or the first to stand.
async fn find(node: Node, name: Bytes) -> Result<Elected, Error> {
    loop {
        node.linearizable().await?;
        let revision = match node.elected_here(&name) {
            (Some(elected), _) => return Ok(elected),
            (None, revision) => revision,
        };
        let prefix = prefix_of(&name);
        let RangeEnd::Before(end) = KeyRange::prefix(prefix.clone()).end else {
            return Err(Failure::Unreadable.into());
        };
        let mut line = Following::new(&node, prefix, end, revision + 1);
        while let Some(seen) = line.next().await? {
            if let Seen::Put { kv, .. } = seen {
                // Several may stand by the answer's revision; the first is told at its own.
                let revision = kv.mod_revision;
                return Ok(Elected { kv, revision });
            }
        }
    }
}
