//! Members that come, go and die, and their portions of the work.

use std::time::Duration;

use portunus_sdk::testing::{Call, Client, Cluster, Plugin};

use super::{Args, Member, Portion, RECIPES, bereaved};

fn deployed() -> (Cluster, Client) {
    let cluster = Cluster::new();
    let plugin = Plugin::new("membership").under("g/");
    cluster.deploy(plugin.recipes(RECIPES).trigger(bereaved));
    let client = cluster.anonymous();
    (cluster, client)
}

fn join(client: &Client, member: &str, lease: i64) {
    let join = Args {
        group: "x".into(),
        member: member.into(),
        lease,
        data: "here".into(),
        ..Args::default()
    };
    client.call("membership", "join", &join).reply::<()>().expect("joined");
}

fn share(client: &Client, items: &[&str]) {
    let items = items.iter().map(|item| (*item).to_owned()).collect();
    let share = Args { group: "x".into(), items, ..Args::default() };
    client.call("membership", "share", &share).reply::<()>().expect("shared");
}

fn mine(client: &Client, member: &str, seen: i64) -> Call {
    client.call(
        "membership",
        "mine",
        &Args { group: "x".into(), member: member.into(), seen, ..Args::default() },
    )
}

fn portion(client: &Client, member: &str) -> Portion {
    mine(client, member, 0).reply().expect("a portion")
}

#[test]
fn members_are_there_while_their_leases_are() {
    let (cluster, client) = deployed();
    let [dying, living] = [5, 60].map(|ttl| cluster.grant_lease(Duration::from_secs(ttl)));
    join(&client, "a", dying);
    join(&client, "b", living);
    let named = Args { group: "x".into(), ..Args::default() };
    let members = || -> Vec<Member> {
        client.call("membership", "members", &named).reply().expect("members")
    };
    let names: Vec<_> = members().into_iter().map(|it| (it.member, it.data)).collect();
    assert_eq!(names, [("a".into(), "here".into()), ("b".into(), "here".to_owned())]);
    cluster.advance(Duration::from_secs(6));
    assert_eq!(members().len(), 1);
    let leave = Args { group: "x".into(), member: "b".into(), ..Args::default() };
    assert_eq!(client.call("membership", "leave", &leave).reply(), Ok(true));
    assert!(members().is_empty());
}

#[test]
fn an_item_is_given_up_before_another_has_it() {
    let (cluster, client) = deployed();
    let lease = cluster.grant_lease(Duration::from_secs(60));
    join(&client, "a", lease);
    share(&client, &["p0", "p1"]);
    let before = portion(&client, "a");
    assert_eq!(before.own, ["p0", "p1"]);
    let waiting = mine(&client, "a", before.version);
    join(&client, "b", lease);
    cluster.settle();
    let asked: Portion = waiting.reply().expect("asked to give one up");
    assert_eq!((&asked.own[..], &asked.give_up[..]), (&["p0".into()][..], &["p1".to_owned()][..]));
    let b = portion(&client, "b");
    assert!(b.own.is_empty());
    let waiting = mine(&client, "b", b.version);
    let wrong =
        Args { group: "x".into(), member: "b".into(), items: vec!["p1".into()], ..Args::default() };
    client.call("membership", "gave_up", &wrong).reply::<()>().expect("changes nothing");
    assert!(waiting.is_parked() && !waiting.is_woken());
    let gave =
        Args { group: "x".into(), member: "a".into(), items: vec!["p1".into()], ..Args::default() };
    client.call("membership", "gave_up", &gave).reply::<()>().expect("given up");
    cluster.settle();
    assert_eq!(waiting.reply::<Portion>().expect("an item").own, ["p1"]);
    assert_eq!(portion(&client, "a").own, ["p0"]);
}

#[test]
fn what_the_dead_had_is_shared_out_by_the_trigger() {
    let (cluster, client) = deployed();
    let [dying, living] = [5, 60].map(|ttl| cluster.grant_lease(Duration::from_secs(ttl)));
    share(&client, &["p0", "p1", "p2", "p3"]);
    join(&client, "a", dying);
    join(&client, "b", living);
    let b = portion(&client, "b");
    let waiting = mine(&client, "b", b.version);
    cluster.advance(Duration::from_secs(6));
    assert!(waiting.is_parked());
    cluster.settle();
    assert_eq!(waiting.reply::<Portion>().expect("all").own.len(), 4);
    assert!(mine(&client, "a", 0).reply::<Portion>().is_err(), "the dead own nothing");
    assert_eq!(client.prefix("g/portions/x/").len(), 1);
}

#[test]
fn others_changes_do_not_wake_a_member() {
    let (cluster, client) = deployed();
    let lease = cluster.grant_lease(Duration::from_secs(60));
    join(&client, "a", lease);
    share(&client, &["p0"]);
    let waiting = mine(&client, "a", portion(&client, "a").version);
    join(&client, "b", lease);
    join(&client, "c", lease);
    assert!(waiting.is_parked() && !waiting.is_woken());
}

#[test]
fn what_makes_no_sense_is_told() {
    let (_, client) = deployed();
    for (group, member, lease) in [("x", "a", 0), ("x/y", "a", 1), ("x", "", 1)] {
        let join = Args {
            group: group.into(),
            member: member.into(),
            lease,
            data: String::new(),
            ..Args::default()
        };
        assert!(client.call("membership", "join", &join).reply::<()>().is_err());
    }
    let why = mine(&client, "a", 0).reply::<Portion>().expect_err("a stranger").to_string();
    assert!(why.contains("a is not in x: join first"), "{why}");
}
