//! Who has which item of work, and who is to have it next. No member is known here but by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Who has an item.
#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Who has it once the owner gave it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The items of a group.
#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
pub(crate) struct Plan(BTreeMap<String, Place>);

impl Plan {
    /// Items that are no longer among them are nobody's.
    pub(crate) fn set_items(&mut self, items: BTreeSet<String>) {
        self.0.retain(|item, _| items.contains(item));
        for item in items {
            self.0.entry(item).or_default();
        }
    }

    /// The owner lets go of an item. Not its own: nothing happens.
    pub(crate) fn give_up(&mut self, item: &str, owner: &str) {
        if let Some(place) = self.0.get_mut(item)
            && place.owner.as_deref() == Some(owner)
            && place.next.is_some()
        {
            place.owner = place.next.take();
        }
    }

    /// Shares out among the living, moving as little as can be.
    pub(crate) fn share_out(&mut self, living: &BTreeSet<&str>) {
        for place in self.0.values_mut() {
            place.next = place.next.take().filter(|next| living.contains(&next[..]));
            if !place.owner.as_ref().is_some_and(|owner| living.contains(&owner[..])) {
                place.owner = place.next.take();
            }
        }
        if living.is_empty() {
            return;
        }
        let mut load: BTreeMap<String, usize> =
            living.iter().map(|member| ((*member).to_owned(), 0)).collect();
        for place in self.0.values() {
            if let Some(member) = place.next.as_ref().or(place.owner.as_ref()) {
                *load.entry(member.clone()).or_default() += 1;
            }
        }
        for place in self.0.values_mut().filter(|place| place.owner.is_none()) {
            let Some(least) = least(&load) else { return };
            *load.entry(least.clone()).or_default() += 1;
            place.owner = Some(least);
        }
        while let (Some(least), Some(most)) = (least(&load), most(&load))
            && load[&most] > load[&least] + 1
        {
            self.hand_on(&most, &least);
            *load.entry(most).or_default() -= 1;
            *load.entry(least).or_default() += 1;
        }
    }

    /// Has one item of `from`, owned or to come, go to `to`.
    fn hand_on(&mut self, from: &str, to: &str) {
        let to_come = |place: &&mut Place| place.next.as_deref() == Some(from);
        let owned =
            |place: &&mut Place| place.next.is_none() && place.owner.as_deref() == Some(from);
        // One that is only to come moves for nothing; the last ones go first.
        let mut found = self.0.values_mut().rev().find(to_come);
        if found.is_none() {
            found = self.0.values_mut().rev().find(owned);
        }
        if let Some(place) = found {
            place.next = (place.owner.as_deref() != Some(to)).then(|| to.to_owned());
        }
    }

    /// What a member has to itself, and what it is to give up.
    pub(crate) fn portion(&self, member: &str) -> (Vec<String>, Vec<String>) {
        let owned = self.0.iter().filter(|(_, place)| place.owner.as_deref() == Some(member));
        let (own, give_up): (Vec<_>, Vec<_>) = owned.partition(|(_, place)| place.next.is_none());
        let names =
            |items: Vec<(&String, &Place)>| items.into_iter().map(|it| it.0.clone()).collect();
        (names(own), names(give_up))
    }
}

fn least(load: &BTreeMap<String, usize>) -> Option<String> {
    load.iter().min_by_key(|(_, count)| **count).map(|(member, _)| member.clone())
}

fn most(load: &BTreeMap<String, usize>) -> Option<String> {
    load.iter().max_by_key(|(_, count)| **count).map(|(member, _)| member.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Plan;

    fn items(count: usize) -> BTreeSet<String> {
        (0..count).map(|n| format!("p{n:02}")).collect()
    }

    /// Asks all to give up what they are to, until nobody is.
    fn hand_over(plan: &mut Plan, living: &BTreeSet<&str>) -> usize {
        let mut moved = 0;
        for member in living {
            for item in plan.portion(member).1 {
                plan.give_up(&item, member);
                moved += 1;
            }
        }
        moved
    }

    fn loads(plan: &Plan, living: &BTreeSet<&str>) -> Vec<usize> {
        living.iter().map(|member| plan.portion(member).0.len()).collect()
    }

    #[test]
    fn loads_differ_by_one_at_most_and_as_little_moves_as_can() {
        let mut plan = Plan::default();
        plan.set_items(items(12));
        let mut living = BTreeSet::from(["a"]);
        plan.share_out(&living);
        assert_eq!(loads(&plan, &living), [12]);
        for (member, moved, expected) in
            [("b", 6, vec![6, 6]), ("c", 4, vec![4; 3]), ("d", 3, vec![3; 4])]
        {
            living.insert(member);
            plan.share_out(&living);
            assert_eq!(plan.portion(member).0.len(), 0, "nothing before it is given up");
            assert_eq!(hand_over(&mut plan, &living), moved);
            assert_eq!(loads(&plan, &living), expected);
        }
        living.remove("a");
        plan.share_out(&living);
        assert_eq!(loads(&plan, &living), [4; 3], "what the dead had goes out at once");
        assert_eq!(hand_over(&mut plan, &living), 0);
    }

    #[test]
    fn what_was_to_move_to_one_that_died_stays() {
        let mut plan = Plan::default();
        plan.set_items(items(4));
        plan.share_out(&BTreeSet::from(["a"]));
        plan.share_out(&BTreeSet::from(["a", "b"]));
        assert_eq!(plan.portion("a").1.len(), 2);
        plan.share_out(&BTreeSet::from(["a"]));
        assert_eq!(plan.portion("a").0.len(), 4);
    }

    #[test]
    fn if_the_owner_dies_before_it_gives_up_the_next_has_it() {
        let mut plan = Plan::default();
        plan.set_items(items(4));
        plan.share_out(&BTreeSet::from(["a"]));
        plan.share_out(&BTreeSet::from(["a", "b"]));
        plan.share_out(&BTreeSet::from(["b"]));
        assert_eq!(plan.portion("b").0.len(), 4);
        plan.set_items(items(2));
        assert_eq!(plan.portion("b").0, ["p00", "p01"]);
    }

    #[test]
    fn without_anybody_nothing_is_anybodys() {
        let mut plan = Plan::default();
        plan.set_items(items(3));
        plan.share_out(&BTreeSet::new());
        plan.share_out(&BTreeSet::from(["a"]));
        plan.share_out(&BTreeSet::new());
        plan.share_out(&BTreeSet::from(["b"]));
        assert_eq!(loads(&plan, &BTreeSet::from(["b"])), [3]);
    }
}
