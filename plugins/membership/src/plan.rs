//! Who has which item of work, and who is to have it next. No member is known here but by name.

use serde::{Deserialize, Serialize};

/// An item and who has it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Place {
    item: String,
    owner: Option<String>,
    /// Who has it once the owner gave it up.
    next: Option<String>,
}

/// The items of a group, in order of their names.
#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
pub(crate) struct Plan(Vec<Place>);

impl Plan {
    /// Items that are no longer among them are nobody's.
    pub(crate) fn set_items(&mut self, mut items: Vec<String>) {
        items.sort_unstable();
        items.dedup();
        let mut before = std::mem::take(&mut self.0);
        let place = |item: String| match before.iter().position(|place| place.item == item) {
            Some(at) => before.swap_remove(at),
            None => Place { item, owner: None, next: None },
        };
        self.0 = items.into_iter().map(place).collect();
    }

    /// The owner lets go of an item. Not its own: nothing happens.
    pub(crate) fn give_up(&mut self, item: &str, owner: &str) {
        let owned = |place: &&mut Place| {
            place.item == item && place.owner.as_deref() == Some(owner) && place.next.is_some()
        };
        if let Some(place) = self.0.iter_mut().find(owned) {
            place.owner = place.next.take();
        }
    }

    /// Shares out among the living, moving as little as can be. `loads` names them, in order and
    /// with 0 each; afterwards it says how many items each has, or is to have.
    pub(crate) fn share_out(&mut self, loads: &mut [(&str, usize)]) {
        let is_living = |name: &Option<String>| {
            name.as_deref().is_some_and(|name| loads.iter().any(|(member, _)| *member == name))
        };
        for place in &mut self.0 {
            place.next = place.next.take().filter(|next| is_living(&Some(next.clone())));
            if !is_living(&place.owner) {
                place.owner = place.next.take();
            }
        }
        for place in &self.0 {
            let has = place.next.as_deref().or(place.owner.as_deref());
            let load = loads.iter_mut().find(|(member, _)| Some(*member) == has);
            load.into_iter().for_each(|load| load.1 += 1);
        }
        for place in self.0.iter_mut().filter(|place| place.owner.is_none()) {
            let Some(least) = loads.iter_mut().min_by_key(|load| load.1) else { return };
            least.1 += 1;
            place.owner = Some(least.0.to_owned());
        }
        loop {
            let least = (0..loads.len()).min_by_key(|n| loads[*n].1);
            let most = (0..loads.len()).max_by_key(|n| loads[*n].1);
            let (Some(least), Some(most)) = (least, most) else { return };
            if loads[most].1 <= loads[least].1 + 1 {
                return;
            }
            self.hand_on(loads[most].0, loads[least].0);
            loads[most].1 -= 1;
            loads[least].1 += 1;
        }
    }

    /// Has one item of `from`, owned or to come, go to `to`.
    fn hand_on(&mut self, from: &str, to: &str) {
        let to_come = |place: &&mut Place| place.next.as_deref() == Some(from);
        let owned =
            |place: &&mut Place| place.next.is_none() && place.owner.as_deref() == Some(from);
        // One that is only to come moves for nothing; the last ones go first.
        let mut found = self.0.iter_mut().rev().find(to_come);
        if found.is_none() {
            found = self.0.iter_mut().rev().find(owned);
        }
        if let Some(place) = found {
            place.next = (place.owner.as_deref() != Some(to)).then(|| to.to_owned());
        }
    }

    /// What a member has to itself, and what it is to give up.
    pub(crate) fn portion(&self, member: &str) -> (Vec<String>, Vec<String>) {
        let owned = |is_kept: bool| {
            let places = self.0.iter().filter(move |place| {
                place.owner.as_deref() == Some(member) && place.next.is_none() == is_kept
            });
            places.map(|place| place.item.clone()).collect()
        };
        (owned(true), owned(false))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Plan;

    fn items(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("p{n:02}")).collect()
    }

    fn share_out(plan: &mut Plan, living: &BTreeSet<&str>) {
        let mut loads: Vec<_> = living.iter().map(|member| (*member, 0)).collect();
        plan.share_out(&mut loads);
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
        share_out(&mut plan, &living);
        assert_eq!(loads(&plan, &living), [12]);
        for (member, moved, expected) in
            [("b", 6, vec![6, 6]), ("c", 4, vec![4; 3]), ("d", 3, vec![3; 4])]
        {
            living.insert(member);
            share_out(&mut plan, &living);
            assert_eq!(plan.portion(member).0.len(), 0, "nothing before it is given up");
            assert_eq!(hand_over(&mut plan, &living), moved);
            assert_eq!(loads(&plan, &living), expected);
        }
        living.remove("a");
        share_out(&mut plan, &living);
        assert_eq!(loads(&plan, &living), [4; 3], "what the dead had goes out at once");
        assert_eq!(hand_over(&mut plan, &living), 0);
    }

    #[test]
    fn what_was_to_move_to_one_that_died_stays() {
        let mut plan = Plan::default();
        plan.set_items(items(4));
        share_out(&mut plan, &BTreeSet::from(["a"]));
        share_out(&mut plan, &BTreeSet::from(["a", "b"]));
        assert_eq!(plan.portion("a").1.len(), 2);
        share_out(&mut plan, &BTreeSet::from(["a"]));
        assert_eq!(plan.portion("a").0.len(), 4);
    }

    #[test]
    fn if_the_owner_dies_before_it_gives_up_the_next_has_it() {
        let mut plan = Plan::default();
        plan.set_items(items(4));
        share_out(&mut plan, &BTreeSet::from(["a"]));
        share_out(&mut plan, &BTreeSet::from(["a", "b"]));
        share_out(&mut plan, &BTreeSet::from(["b"]));
        assert_eq!(plan.portion("b").0.len(), 4);
        plan.set_items(items(2));
        assert_eq!(plan.portion("b").0, ["p00", "p01"]);
    }

    #[test]
    fn without_anybody_nothing_is_anybodys() {
        let mut plan = Plan::default();
        plan.set_items(items(3));
        share_out(&mut plan, &BTreeSet::new());
        share_out(&mut plan, &BTreeSet::from(["a"]));
        share_out(&mut plan, &BTreeSet::new());
        share_out(&mut plan, &BTreeSet::from(["b"]));
        assert_eq!(loads(&plan, &BTreeSet::from(["b"])), [3]);
    }
}
