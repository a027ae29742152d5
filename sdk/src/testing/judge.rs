//! Asks the policies about a transaction, as often as their own writes call for.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::cluster::State;
use super::draft::Draft;
use super::failure::Failure;
use super::plugin::Plugin;
use crate::Verdict;
use crate::range::under;

/// How often policies may be asked about writes that policies added, and how many triggers may
/// follow on one another.
pub(crate) const CASCADE_MAX: usize = 8;

/// Keys that were written, and by which policy: one is not asked about its own writes.
struct Pending {
    writer: Option<(String, Vec<u8>)>,
    keys: BTreeSet<Vec<u8>>,
}

impl State {
    /// The draft with what the policies added, or the first refusal. They are asked in the order
    /// of their names and prefixes.
    pub(crate) fn judge(&mut self, mut draft: Draft, caller: Option<&str>) -> Result<Draft, Failure> {
        let mut pending = vec![Pending { writer: None, keys: draft.take_touched() }];
        let mut chain: Vec<String> = Vec::new();
        while pending.iter().any(|writes| !writes.keys.is_empty()) {
            if chain.len() > CASCADE_MAX {
                let by = chain.last().cloned().unwrap_or_default();
                let reason = format!("policies cascade deeper than {CASCADE_MAX}: {}", chain.join(" > "));
                return Err(Failure::Refused { by, reason });
            }
            let mut added = Vec::new();
            for plugin in self.plugins_in_order() {
                for at in 0..plugin.policies.len() {
                    draft = self.ask(&plugin, at, draft, caller, &pending)?;
                    let keys = draft.take_touched();
                    if !keys.is_empty() {
                        let writer = Some((plugin.name.clone(), plugin.policies[at].0.clone()));
                        added.push(Pending { writer, keys });
                    }
                }
            }
            let writer = added.iter().rev().find_map(|writes| writes.writer.clone());
            chain.extend(writer.map(|(name, _)| name));
            pending = added;
        }
        Ok(draft)
    }

    fn ask(
        &mut self,
        plugin: &Rc<Plugin>,
        at: usize,
        draft: Draft,
        caller: Option<&str>,
        pending: &[Pending],
    ) -> Result<Draft, Failure> {
        let (prefix, check) = &plugin.policies[at];
        let own = (plugin.name.clone(), prefix.clone());
        let others = pending.iter().filter(|writes| writes.writer.as_ref() != Some(&own));
        let keys = others.flat_map(|writes| writes.keys.iter().cloned()).collect();
        let writes = draft.writes(&keys, &under(prefix));
        if writes.is_empty() {
            return Ok(draft);
        }
        let context = plugin.context(prefix, caller);
        let (draft, verdict) = self.run(draft, plugin, prefix, || check(context, &writes));
        let reason = match verdict {
            Ok(Verdict::Allow) => return Ok(draft),
            Ok(Verdict::Refuse(reason)) => reason,
            Err(why) => format!("the policy failed: {why}"),
        };
        Err(Failure::Refused { by: plugin.name.clone(), reason })
    }
}
