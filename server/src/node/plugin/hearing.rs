//! The hearing of a transaction: each policy is shown what is written under its prefix, in order
//! of the plugins' names and prefixes; the first refusal wins. What a policy adds is shown to the
//! others too, so that no write of another escapes the policy of its prefix.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::bindings::{Bindings, Named};
use super::overlay::{Overlay, Writes};
use super::view::Guest;
use crate::decide::{Refusal, Write};
use crate::effect::{Author, FailurePolicy, Mode};
use crate::limits::CASCADE_DEPTH_MAX;
use crate::machine::{Change, State, What};
use crate::node::policies::{Policies, Readiness};
use crate::types::{Item, LeaseId};
use crate::view::ReadSet;
use crate::wasm::{self, Caller, Verdict};

/// What is heard, and on whose behalf.
pub struct Matter<'a> {
    /// The state with the transaction's own writes.
    pub after: &'a State,
    /// The revision those writes have, as it is foreseen.
    pub at: i64,
    pub caller: Option<&'a str>,
    /// How many plugins stand between a client and those writes.
    pub depth: u8,
    /// Those of them whose events led here.
    pub via: &'a [String],
    pub now_ms: u64,
    /// Where calls that fail are counted.
    pub failures: Option<&'a Cell<u32>>,
}

/// How a hearing ends unless every policy allows.
#[derive(Debug)]
pub enum Ended {
    Refused(Refusal),
    /// A plugin is not compiled yet on this member.
    NotReady,
}

/// What one policy said, for those who want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub binding: String,
    pub mode: Mode,
    /// Refused, with the reason, or failed, with the error.
    pub objection: Option<String>,
    pub added: Vec<Write>,
}

/// A write as policies see it.
struct Seen {
    key: Bytes,
    /// `None` for a delete.
    put: Option<(Bytes, LeaseId)>,
    previous: Option<Item>,
    /// The plugin that wrote it; none for the client's own.
    by: Option<String>,
}

pub struct Hearing<'a> {
    policies: &'a Policies,
    bindings: &'a Bindings,
    matter: Matter<'a>,
    reads: ReadSet,
    seen: Vec<Seen>,
    added: Writes,
    /// How many of `seen` each policy has been shown, by its place.
    shown: BTreeMap<usize, usize>,
    /// Everything that was said, kept for an explanation only.
    minutes: Option<Vec<Said>>,
}

impl<'a> Hearing<'a> {
    /// Of `changes`, which are the transaction's own writes; `reads` is what it read so far.
    pub fn new(
        policies: &'a Policies,
        bindings: &'a Bindings,
        matter: Matter<'a>,
        changes: Vec<Change>,
        reads: ReadSet,
    ) -> Self {
        let seen = changes.into_iter().map(seen).collect();
        let (added, shown) = (Writes::default(), BTreeMap::new());
        Self { policies, bindings, matter, reads, seen, added, shown, minutes: None }
    }

    /// Asks every policy concerned. Returns what they add, and all that was read.
    pub fn hear(mut self) -> (Result<Vec<Write>, Ended>, ReadSet) {
        let heard = self.rounds();
        (heard.map(|()| self.added.to_decide()), self.reads)
    }

    /// Asks every policy concerned, those behind a refusal too, and tells what each said.
    pub fn explain(mut self) -> (Result<(), Ended>, Vec<Said>) {
        self.minutes = Some(Vec::new());
        let heard = self.rounds();
        (heard, self.minutes.unwrap_or_default())
    }

    fn rounds(&mut self) -> Result<(), Ended> {
        let (mut known, mut adders) = (0, Vec::new());
        let mut refused = None;
        for _ in 0..CASCADE_DEPTH_MAX {
            let mut places = Vec::new();
            for seen in &self.seen[known..] {
                self.bindings.over_key(&seen.key, &mut places);
            }
            for place in places {
                self.shown.entry(place).or_insert(0);
            }
            known = self.seen.len();
            adders.clear();
            let places: Vec<usize> = self.shown.keys().copied().collect();
            for place in places {
                let before = self.seen.len();
                match self.ask(place) {
                    Err(Ended::Refused(refusal)) if self.minutes.is_some() => {
                        refused.get_or_insert(refusal);
                    }
                    other => other?,
                }
                if self.seen.len() > before {
                    adders.push(place);
                }
            }
            if adders.is_empty() {
                return refused.map_or(Ok(()), |refusal| Err(Ended::Refused(refusal)));
            }
        }
        Err(Ended::Refused(self.endless(&adders)))
    }

    fn endless(&self, adders: &[usize]) -> Refusal {
        let ids = adders.iter().map(|place| self.bindings.policy(*place).id.as_str());
        let cycle = ids.collect::<Vec<_>>().join(", ");
        let first = adders.first().map(|place| &self.bindings.policy(*place).binding.plugin);
        refused(
            first.map_or("", String::as_str),
            format!(
                "policies answer each other's writes without end ({CASCADE_DEPTH_MAX} rounds): {cycle}"
            ),
        )
    }

    fn ask(&mut self, place: usize) -> Result<(), Ended> {
        let named = Arc::clone(self.bindings.policy(place));
        let from = self.shown.insert(place, self.seen.len()).unwrap_or(0);
        // A plugin is not asked about what it wrote itself, at whichever point.
        let concerns = |seen: &&Seen| {
            seen.key.starts_with(&named.binding.prefix)
                && seen.by.as_ref() != Some(&named.binding.plugin)
        };
        let writes: Vec<wasm::Write<'_>> =
            self.seen[from..].iter().filter(concerns).filter_map(lower).collect();
        if writes.is_empty() {
            return Ok(());
        }
        let bound = match self.policies.of(&named) {
            Readiness::Ready(bound) => bound,
            Readiness::Compiling => return Err(Ended::NotReady),
            Readiness::Broken(why) => return self.object(&named, failed(&why), true),
        };
        let before = self.added.clone();
        let Matter { caller, depth, via, .. } = self.matter;
        self.added.begin(author(&named, caller, depth.saturating_add(1), via));
        let (seen, added) = (&self.seen, &before);
        let taken = |key: &[u8]| !added.contains(key) && seen.iter().any(|seen| seen.key == key);
        let mut view = Guest {
            binding: &named.binding,
            overlay: Overlay {
                state: self.matter.after,
                writes: &mut self.added,
                at: self.matter.at,
            },
            reads: &mut self.reads,
            taken: &taken,
            now_ms: self.matter.now_ms,
        };
        let caller = Caller { user: self.matter.caller };
        let objection = match bound.check(&mut view, caller, &writes) {
            Ok(Verdict::Allow) if named.binding.mode == Mode::Enforce => {
                self.take_additions(&named);
                return Ok(());
            }
            Ok(Verdict::Allow) => None,
            Ok(Verdict::Refuse(reason)) => Some((reason, false)),
            Err(error) => {
                // The plugin's own log has it all, and bounds how much is said of it.
                tracing::debug!(binding = named.id, %error, "a write policy failed");
                if let Some(failures) = self.matter.failures {
                    failures.set(failures.get().saturating_add(1));
                }
                Some((failed(&error.to_string()), true))
            }
        };
        self.added = before;
        match objection {
            Some((reason, is_failure)) => self.object(&named, reason, is_failure),
            None => {
                self.minute(&named, None, Vec::new());
                Ok(())
            }
        }
    }

    /// A refusal, unless the binding does not count or lets the writes pass when it fails.
    fn object(&mut self, named: &Named, reason: String, is_failure: bool) -> Result<(), Ended> {
        self.minute(named, Some(reason.clone()), Vec::new());
        if named.binding.mode == Mode::Monitor {
            tracing::info!(binding = named.id, reason, "a monitored policy would have refused");
            return Ok(());
        }
        if is_failure && named.binding.on_failure == FailurePolicy::Open {
            return Ok(());
        }
        Err(Ended::Refused(refused(&named.binding.plugin, reason)))
    }

    /// Shows what a policy has just written to those of other plugins.
    fn take_additions(&mut self, named: &Named) {
        let mut written = Vec::new();
        for key in self.added.latest() {
            let value = |item: &Item| (Bytes::copy_from_slice(item.value()), item.lease());
            let put = self.added.get(key).flatten().map(value);
            let previous = self.matter.after.get(key).cloned();
            let by = Some(named.binding.plugin.clone());
            written.push(Seen { key: key.clone(), put, previous, by });
        }
        if self.minutes.is_some() {
            let added = written.iter().map(to_decide).collect();
            self.minute(named, None, added);
        }
        self.seen.append(&mut written);
    }

    fn minute(&mut self, named: &Named, objection: Option<String>, added: Vec<Write>) {
        if let Some(minutes) = &mut self.minutes {
            let (binding, mode) = (named.id.clone(), named.binding.mode);
            minutes.push(Said { binding, mode, objection, added });
        }
    }
}

/// Who writes when a plugin does.
pub fn author(named: &Named, caller: Option<&str>, depth: u8, via: &[String]) -> Author {
    let binding = &named.binding;
    Author {
        plugin: binding.plugin.clone(),
        point: binding.point,
        digest: binding.digest.clone(),
        caller: caller.unwrap_or_default().to_owned(),
        depth,
        via: via.to_vec(),
    }
}

fn failed(why: &str) -> String {
    format!("the policy failed: {why}")
}

fn refused(binding: &str, reason: String) -> Refusal {
    Refusal::PolicyRefused { binding: binding.to_owned(), reason }
}

fn seen(change: Change) -> Seen {
    let key = Bytes::copy_from_slice(change.key());
    let put = match &change.what {
        What::Put(item) => Some((Bytes::copy_from_slice(item.value()), item.lease())),
        What::Delete { .. } => None,
    };
    let by = change.author.map(|author| author.plugin.clone());
    Seen { key, put, previous: change.prev, by }
}

fn to_decide(seen: &Seen) -> Write {
    let key = seen.key.clone();
    match &seen.put {
        Some((value, lease)) => Write::Put { key, value: value.clone(), lease: *lease },
        None => Write::Delete { key },
    }
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
