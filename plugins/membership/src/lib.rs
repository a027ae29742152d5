//! Groups of living members, and items of work shared out among them: recipes and a trigger.
//!
//! - `join {"group": "g", "member": "a", "lease": 7, "data": "10.0.0.1:80"}` enters, for as long as
//!   the lease lives; `leave {"group": "g", "member": "a"}` goes at once;
//! - `members {"group": "g"}` replies who is there, with their data and since which revision;
//! - `share {"group": "g", "items": ["p0", "p1"]}` sets the items of work of a group;
//! - `mine {"group": "g", "member": "a", "seen": 0}` replies `{"own": [...], "give_up": [...],
//!   "version": 9}` once it is another version than was seen: what to work on, and what to let go;
//! - `gave_up {"group": "g", "member": "a", "items": [...]}` lets the next owner have them.
//!
//! Each item has one owner at any time. Loads differ by one at most, and an item moves only for
//! that: its owner is asked to give it up, and the next one has it afterwards, or at once if the
//! owner died. Who joins learns its share in its first `mine`; the trigger shares out what the dead
//! leave behind. So bind both:
//!
//! ```sh
//! portunus plugin deploy builtin:membership --recipe groups/ --trigger groups/
//! portunus recipe call membership members '{"group": "g"}'
//! ```

mod plan;

use plan::Plan;
use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(join, leave, members, share, mine, gave_up);

/// What the recipes take, each its own part of it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Args {
    group: String,
    member: String,
    lease: i64,
    data: String,
    items: Vec<String>,
    /// The version that the member knows; 0 for none.
    seen: i64,
}

/// One of a group.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Member {
    member: String,
    data: String,
    since: i64,
}

/// What `mine` replies; kept in a key of its own, so that a member is woken by its own changes only.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Portion {
    own: Vec<String>,
    give_up: Vec<String>,
    /// 0 as it is kept.
    version: i64,
}

#[recipe]
fn join(cx: &Context, args: Args) -> Result {
    if args.lease == 0 {
        return invalid("a member needs a lease: without one its death is not noticed");
    }
    let group = Group::named(cx, &args.group)?;
    cx.put_with_lease(group.member(&args.member)?, args.data, args.lease);
    group.balance()
}

/// Replies whether it was there.
#[recipe]
fn leave(cx: &Context, args: Args) -> Result<bool> {
    let group = Group::named(cx, &args.group)?;
    let was_there = cx.delete(group.member(&args.member)?);
    group.balance()?;
    Ok(was_there)
}

#[recipe]
fn members(cx: &Context, args: Args) -> Result<Vec<Member>> {
    let group = Group::named(cx, &args.group)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let member = |item: Item| Member {
        member: text(&item.key[group.members.len()..]),
        data: text(&item.value),
        since: item.create_revision,
    };
    Ok(cx.prefix(&group.members).map(member).collect())
}

#[recipe]
fn share(cx: &Context, args: Args) -> Result {
    let group = Group::named(cx, &args.group)?;
    let mut plan = group.plan()?;
    plan.set_items(args.items);
    group.settle(plan)
}

#[recipe]
fn mine(cx: &Context, args: Args) -> Result<Portion> {
    let group = Group::named(cx, &args.group)?;
    let Some(item) = cx.get(group.portion(&args.member)) else {
        return refuse(format!("{} is not in {}: join first", args.member, args.group));
    };
    if item.mod_revision == args.seen {
        return wait();
    }
    Ok(Portion { version: item.mod_revision, ..item.json()? })
}

#[recipe]
fn gave_up(cx: &Context, args: Args) -> Result {
    let group = Group::named(cx, &args.group)?;
    let mut plan = group.plan()?;
    args.items.iter().for_each(|item| plan.give_up(item, &args.member));
    group.settle(plan)
}

/// A member that died left its items behind.
#[trigger]
fn bereaved(cx: &Context, batch: &Batch) -> Result {
    let all = cx.key("members/");
    let mut groups: Vec<String> = Vec::new();
    let mut note = |key: &[u8]| {
        let Some(rest) = key.strip_prefix(&all[..]) else { return };
        let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        if !groups.contains(&name) {
            groups.push(name);
        }
    };
    let gone = batch.iter().filter(|event| matches!(event, Event::Delete(_)));
    gone.for_each(|event| note(event.key()));
    if batch.missed().is_some() {
        cx.prefix(&all).for_each(|item| note(&item.key));
    }
    groups.iter().try_for_each(|group| Group::named(cx, group)?.balance())
}

struct Group<'a> {
    cx: &'a Context,
    members: Vec<u8>,
    portions: Vec<u8>,
    plan: Vec<u8>,
}

impl<'a> Group<'a> {
    fn named(cx: &'a Context, name: &str) -> Result<Self> {
        if name.is_empty() || name.contains('/') {
            return invalid(format!("\"{name}\" is no group: it needs a name without a slash"));
        }
        let key = |kind: &str, end: &str| cx.key(format!("{kind}/{name}{end}"));
        Ok(Self {
            cx,
            members: key("members", "/"),
            portions: key("portions", "/"),
            plan: key("plan", ""),
        })
    }

    fn member(&self, name: &str) -> Result<Vec<u8>> {
        if name.is_empty() {
            return invalid("member is empty: it needs a name");
        }
        Ok([&self.members, name.as_bytes()].concat())
    }

    fn portion(&self, member: &str) -> Vec<u8> {
        [&self.portions, member.as_bytes()].concat()
    }

    fn plan(&self) -> Result<Plan> {
        Ok(self.cx.get_json(&self.plan)?.unwrap_or_default())
    }

    fn balance(&self) -> Result {
        self.settle(self.plan()?)
    }

    /// Shares out, and tells each member whose portion changed.
    fn settle(&self, mut plan: Plan) -> Result {
        let name = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let living: Vec<(String, i64)> = self
            .cx
            .prefix(&self.members)
            .map(|item| (name(&item.key[self.members.len()..]), item.lease))
            .collect();
        let mut loads: Vec<_> = living.iter().map(|it| (it.0.as_str(), 0)).collect();
        plan.share_out(&mut loads);
        if self.cx.get_json::<Plan>(&self.plan)?.as_ref() != Some(&plan) {
            self.cx.put_json(&self.plan, &plan)?;
        }
        for (member, lease) in &living {
            let (own, give_up) = plan.portion(member);
            let (key, kept) = (self.portion(member), Portion { own, give_up, version: 0 });
            if self.cx.get_json::<Portion>(&key)?.as_ref() != Some(&kept) {
                self.cx.put_with_lease(key, serde_json::to_vec(&kept)?, *lease);
            }
        }
        for item in self.cx.prefix(&self.portions) {
            let member = name(&item.key[self.portions.len()..]);
            if living.iter().all(|(living, _)| *living != member) {
                self.cx.delete(&item.key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "lib_test.rs"]
mod tests;
