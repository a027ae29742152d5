//! Asks the policies about a transaction, and about what they add to it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::cluster::State;
use super::draft::Draft;
use super::failure::Failure;
use super::plugin::Plugin;
use super::store::is_within;
use crate::Verdict;
use crate::range::under;

/// How many rounds of policies that answer each other there are, and how many triggers may follow
/// on one another: the server's bound.
pub(crate) const CASCADE_DEPTH_MAX: usize = 8;

/// One policy: the plugin, and which of its policies.
type Place = (Rc<Plugin>, usize);

/// What the policies were shown of a transaction.
struct Hearing {
    /// The keys of all writes, the transaction's own first, and which plugin wrote them.
    seen: Vec<(Vec<u8>, Option<String>)>,
    /// How many of them are the transaction's own; policies have to leave those keys alone.
    own: usize,
    /// How many each policy was shown.
    shown: BTreeMap<usize, usize>,
}

impl State {
    /// The draft with what the policies added, or the first refusal. They are asked in the order
    /// of their names and prefixes, and again about what was added. No plugin is asked about what
    /// it wrote itself; `by` is the one whose recipe or trigger wrote the draft.
    pub(crate) fn judge(
        &mut self,
        mut draft: Draft,
        caller: Option<&str>,
        by: Option<&str>,
    ) -> Result<Draft, Failure> {
        let written = draft.take_written().into_iter();
        let seen: Vec<_> = written.map(|key| (key, by.map(str::to_owned))).collect();
        let own = seen.len();
        let mut hearing = Hearing { seen, own, shown: BTreeMap::new() };
        let places = self.places();
        let mut adders = Vec::new();
        for _ in 0..CASCADE_DEPTH_MAX {
            adders.clear();
            for (number, place) in places.iter().enumerate() {
                let before = hearing.seen.len();
                draft = self.ask(number, place, draft, caller, &mut hearing)?;
                if hearing.seen.len() > before {
                    adders.push(place);
                }
            }
            if adders.is_empty() {
                return Ok(draft);
            }
        }
        let ids: Vec<String> = adders.iter().map(|place| id(place)).collect();
        let reason = format!(
            "policies answer each other's writes without end ({CASCADE_DEPTH_MAX} rounds): {}",
            ids.join(", ")
        );
        let by = adders.first().map_or_else(String::new, |(plugin, _)| plugin.name.clone());
        Err(Failure::Refused { by, reason })
    }

    fn places(&self) -> Vec<Place> {
        let plugins = self.plugins.values();
        plugins
            .flat_map(|plugin| {
                let mut policies: Vec<usize> = (0..plugin.policies.len()).collect();
                policies.sort_by_key(|at| &plugin.policies[*at].0);
                policies.into_iter().map(|at| (Rc::clone(plugin), at))
            })
            .collect()
    }

    fn ask(
        &mut self,
        number: usize,
        (plugin, at): &Place,
        mut draft: Draft,
        caller: Option<&str>,
        hearing: &mut Hearing,
    ) -> Result<Draft, Failure> {
        let (prefix, check) = &plugin.policies[*at];
        let span = under(prefix);
        let from = hearing.shown.insert(number, hearing.seen.len()).unwrap_or(0);
        let others = |(key, by): &&(Vec<u8>, Option<String>)| {
            is_within(key, &span) && by.as_deref() != Some(&plugin.name)
        };
        let new = hearing.seen[from..].iter().filter(others);
        let writes = draft.writes(new.map(|(key, _)| key));
        if writes.is_empty() {
            return Ok(draft);
        }
        let context = plugin.context(prefix, caller);
        let before = draft.clone();
        draft.taken = hearing.seen[..hearing.own].iter().map(|(key, _)| key.clone()).collect();
        let (mut draft, verdict) = self.run(draft, plugin, prefix, || check(context, &writes));
        let reason = match verdict {
            Ok(Verdict::Allow) if plugin.is_monitored => return Ok(before),
            Ok(Verdict::Allow) => {
                let written = draft.take_written().into_iter();
                hearing.seen.extend(written.map(|key| (key, Some(plugin.name.clone()))));
                return Ok(draft);
            }
            Ok(Verdict::Refuse(reason)) => reason,
            Err(_) if plugin.fails_open && !plugin.is_monitored => return Ok(before),
            Err(why) => format!("the policy failed: {why}"),
        };
        let refused = Failure::Refused { by: plugin.name.clone(), reason };
        if plugin.is_monitored {
            self.would_refuse.push(refused);
            return Ok(before);
        }
        Err(refused)
    }
}

fn id((plugin, at): &Place) -> String {
    let prefix = String::from_utf8_lossy(&plugin.policies[*at].0);
    format!("{}/write-policy/{prefix}", plugin.name)
}
