//! How one request is judged: resolved on the head it was given, shown to each policy whose prefix
//! it writes under, in order of the bindings' names; the first refusal wins. What a policy adds is
//! shown to the others too, so that no write under a bound prefix escapes its policy.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::request_op::Request as Op;

use super::shared::Shared;
use crate::decide::{self, Refusal, Request, Resolved, Write};
use crate::effect::{Author, Binding, FailurePolicy, Mode, Point};
use crate::machine::{Change, State, What};
use crate::types::{Item, KeyRange, LeaseId};
use crate::view::ReadSet;
use crate::wasm::{self, Caller, Refused, Verdict};

/// Rounds in which policies may react to each other's additions.
const CASCADE_DEPTH_MAX: usize = 8;

/// Everything that `request` might write, whatever branch it takes.
pub fn possible_writes(request: &Request) -> Vec<KeyRange> {
    let mut ranges = Vec::new();
    match request {
        Request::Put(put) => ranges.push(KeyRange::single(put.key.clone())),
        Request::DeleteRange(delete) => ranges.push(delete_range(delete)),
        Request::Txn(txn) => collect(txn, &mut ranges),
        _ => {}
    }
    ranges
}

fn collect(txn: &pb::TxnRequest, ranges: &mut Vec<KeyRange>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Op::RequestPut(put)) => ranges.push(KeyRange::single(put.key.clone())),
            Some(Op::RequestDeleteRange(delete)) => ranges.push(delete_range(delete)),
            Some(Op::RequestTxn(txn)) => collect(txn, ranges),
            Some(Op::RequestRange(_)) | None => {}
        }
    }
}

fn delete_range(delete: &pb::DeleteRangeRequest) -> KeyRange {
    KeyRange::from_wire(delete.key.clone(), delete.range_end.clone())
}

/// A write as policies see it.
struct Seen {
    key: Bytes,
    /// `None` for a delete.
    put: Option<(Bytes, LeaseId)>,
    previous: Option<Item>,
}

/// Asks every policy concerned. The read set says what the verdict rests on.
pub fn judge(
    shared: &Shared,
    head: &State,
    request: &Request,
) -> (Result<Vec<Write>, Refusal>, ReadSet) {
    let resolved = match decide::resolve(head, request, &shared.decision_limits()) {
        Ok(resolved) => resolved,
        Err(refusal) => return (Err(refusal), ReadSet::on(head)),
    };
    let mut hearing = Hearing::new(shared, head, resolved);
    let verdict = hearing.hear();
    (verdict, hearing.reads)
}

struct Hearing<'a> {
    shared: &'a Shared,
    head: &'a State,
    after: State,
    writes: Vec<Seen>,
    added: Vec<Write>,
    reads: ReadSet,
}

impl<'a> Hearing<'a> {
    fn new(shared: &'a Shared, head: &'a State, resolved: Resolved) -> Self {
        let Resolved { changes, reads, after, .. } = resolved;
        let writes = changes.into_iter().map(seen).collect();
        Self { shared, head, after, writes, added: Vec::new(), reads }
    }

    fn hear(&mut self) -> Result<Vec<Write>, Refusal> {
        // How many of the writes each binding has been shown.
        let asked = |b: &&Binding| b.point == Point::WritePolicy && b.mode == Mode::Enforce;
        let bindings: Vec<Binding> =
            self.head.registry().bindings().filter(asked).cloned().collect();
        let mut shown = vec![0; bindings.len()];
        for _ in 0..CASCADE_DEPTH_MAX {
            let before = self.writes.len();
            for (binding, shown) in bindings.iter().zip(&mut shown) {
                let from = std::mem::replace(shown, self.writes.len());
                self.ask(binding, from)?;
            }
            if self.writes.len() == before {
                return Ok(std::mem::take(&mut self.added));
            }
        }
        let name = bindings.first().map_or_else(String::new, |binding| binding.plugin.clone());
        Err(refused(&name, format!("policies add writes without end ({CASCADE_DEPTH_MAX} rounds)")))
    }

    fn ask(&mut self, binding: &Binding, from: usize) -> Result<(), Refusal> {
        let own = |seen: &&Seen| seen.key.starts_with(&binding.prefix);
        let writes: Vec<wasm::Write<'_>> =
            self.writes[from..].iter().filter(own).filter_map(lower).collect();
        if writes.is_empty() {
            return Ok(());
        }
        let policy = match self.shared.policies.of(self.head, binding) {
            Ok(policy) => policy,
            Err(why) => return on_failure(binding, &why),
        };
        let mut view = View {
            state: &self.after,
            written: &self.writes,
            prefix: &binding.prefix,
            reads: &mut self.reads,
            wanted: Vec::new(),
        };
        let verdict = policy.check(&mut view, Caller::default(), &writes);
        let wanted = view.wanted;
        match verdict {
            Ok(Verdict::Allow) => {
                self.add(binding, wanted);
                Ok(())
            }
            Ok(Verdict::Refuse(reason)) => Err(refused(&binding.plugin, reason)),
            Err(error) => {
                tracing::warn!(binding = binding.plugin, %error, "a write policy failed");
                on_failure(binding, &error.to_string())
            }
        }
    }

    /// Takes over what a policy adds.
    fn add(&mut self, binding: &Binding, wanted: Vec<Wanted>) {
        if wanted.is_empty() {
            return;
        }
        self.added.push(Write::By(Author {
            plugin: binding.plugin.clone(),
            point: binding.point,
            digest: binding.digest.clone(),
            caller: String::new(),
            depth: 1,
            via: Vec::new(),
        }));
        for (key, put) in wanted {
            let previous = self.after.get(&key).cloned();
            self.reads.note_range(&KeyRange::single(key.clone()));
            self.added.push(match &put {
                Some((value, lease)) => {
                    Write::Put { key: key.clone(), value: value.clone(), lease: *lease }
                }
                None => Write::Delete { key: key.clone() },
            });
            self.writes.push(Seen { key, put, previous });
        }
    }
}

fn refused(binding: &str, reason: String) -> Refusal {
    Refusal::PolicyRefused { binding: binding.to_owned(), reason }
}

/// A policy that cannot be asked refuses, unless its binding says otherwise.
fn on_failure(binding: &Binding, why: &str) -> Result<(), Refusal> {
    match binding.on_failure {
        FailurePolicy::Closed => Err(refused(&binding.plugin, format!("the policy failed: {why}"))),
        FailurePolicy::Open => Ok(()),
    }
}

fn seen(change: Change) -> Seen {
    let key = Bytes::copy_from_slice(change.key());
    let put = match &change.what {
        What::Put(item) => Some((Bytes::copy_from_slice(item.value()), item.lease())),
        What::Delete { .. } => None,
    };
    Seen { key, put, previous: change.prev }
}

/// A delete of what is not there is no write.
fn lower(seen: &Seen) -> Option<wasm::Write<'_>> {
    match &seen.put {
        Some((value, lease)) => Some(wasm::Write::Put {
            key: &seen.key,
            value,
            lease: *lease,
            previous: seen.previous.as_ref(),
        }),
        None => {
            seen.previous.as_ref().map(|previous| wasm::Write::Delete { key: &seen.key, previous })
        }
    }
}

/// A key, and what a policy wants it to hold; `None` for a delete.
type Wanted = (Bytes, Option<(Bytes, LeaseId)>);

/// What a policy may read and write: its own prefix, as the request leaves it.
struct View<'a> {
    state: &'a State,
    written: &'a [Seen],
    prefix: &'a Bytes,
    reads: &'a mut ReadSet,
    wanted: Vec<Wanted>,
}

impl View<'_> {
    fn granted(&self, range: &KeyRange) -> Result<(), Refused> {
        let own = KeyRange::prefix(self.prefix.clone());
        if range.is_empty() || own.covers(range) {
            return Ok(());
        }
        let prefix = String::from_utf8_lossy(self.prefix);
        Err(Refused(format!("the binding reaches as far as its prefix {prefix:?}")))
    }
}

impl wasm::View for View<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, Refused> {
        let key = Bytes::copy_from_slice(key);
        self.granted(&KeyRange::single(key.clone()))?;
        let item = self.state.get(&key).cloned();
        let written = self.written.iter().any(|seen| seen.key == key);
        self.reads.note_key(&key, item.as_ref(), written);
        Ok(item)
    }

    fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, Refused> {
        self.granted(range)?;
        self.reads.note_range(range);
        Ok(self.state.items().range(range).take(limit).cloned().collect())
    }

    fn count(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.granted(range)?;
        self.reads.note_range(range);
        Ok(self.state.items().count(range) as u64)
    }

    fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) -> Result<(), Refused> {
        let key = Bytes::copy_from_slice(key);
        self.granted(&KeyRange::single(key.clone()))?;
        self.wanted.push((key, Some((Bytes::copy_from_slice(value), lease))));
        Ok(())
    }

    fn delete(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.granted(range)?;
        self.reads.note_range(range);
        let keys = self.state.items().range(range);
        let before = self.wanted.len();
        self.wanted.extend(keys.map(|item| (Bytes::copy_from_slice(item.key()), None)));
        Ok((self.wanted.len() - before) as u64)
    }

    fn now_ms(&mut self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }

    fn random(&mut self, out: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), out);
    }
}
