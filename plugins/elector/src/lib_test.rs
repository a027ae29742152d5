//! One leader at a time, whoever comes, goes, dies or is appointed.

use std::time::Duration;

use portunus_sdk::testing::{Call, Client, Cluster, Plugin};

use super::{Args, Leader, RECIPES, succession};

fn deployed() -> (Cluster, Client) {
    let cluster = Cluster::new();
    let plugin = Plugin::new("elector").under("e/");
    cluster.deploy(plugin.recipes(RECIPES).trigger(succession));
    let client = cluster.anonymous();
    (cluster, client)
}

fn stand(client: &Client, who: &str, lease: i64) -> String {
    let stand = Args { topic: "t".into(), who: who.into(), lease, ..Args::default() };
    client.call("elector", "stand", &stand).reply().expect("stands")
}

fn of(client: &Client, function: &str, who: &str) -> Call {
    client.call(
        "elector",
        function,
        &Args { topic: "t".into(), who: who.into(), ..Args::default() },
    )
}

fn leader(client: &Client) -> Leader {
    let ask = Args { topic: "t".into(), not: 0, ..Args::default() };
    client.call("elector", "leader", &ask).reply().expect("somebody leads")
}

#[test]
fn the_first_leads_and_the_next_when_it_resigns() {
    let (cluster, client) = deployed();
    let lease = cluster.grant_lease(Duration::from_secs(60));
    assert_eq!(stand(&client, "z", lease), "z");
    assert_eq!(stand(&client, "a", lease), "z");
    let first: i64 = of(&client, "lead", "z").reply().expect("leads");
    let waiting = of(&client, "lead", "a");
    assert!(waiting.is_parked());
    assert_eq!(of(&client, "resign", "z").reply(), Ok(true));
    cluster.settle();
    let second: i64 = waiting.reply().expect("leads");
    assert!(second > first);
    assert_eq!(leader(&client), Leader { who: "a".into(), token: second });
    assert_eq!(of(&client, "resign", "a").reply(), Ok(true));
    let ask = Args { topic: "t".into(), not: 0, ..Args::default() };
    assert!(client.call("elector", "leader", &ask).is_parked(), "nobody stands");
}

#[test]
fn a_leader_that_dies_is_followed_by_the_next_in_line() {
    let (cluster, client) = deployed();
    let [dying, living] = [5, 60].map(|ttl| cluster.grant_lease(Duration::from_secs(ttl)));
    stand(&client, "a", dying);
    stand(&client, "b", living);
    let known = leader(&client).token;
    let ask = Args { topic: "t".into(), not: known, ..Args::default() };
    let observing = client.call("elector", "leader", &ask);
    assert!(observing.is_parked());
    cluster.advance(Duration::from_secs(6));
    cluster.settle();
    let next: Leader = observing.reply().expect("told");
    assert_eq!(next.who, "b");
    assert!(next.token > known);
}

#[test]
fn an_operator_appoints_a_candidate() {
    let (cluster, client) = deployed();
    let [living, dying] = [60, 5].map(|ttl| cluster.grant_lease(Duration::from_secs(ttl)));
    stand(&client, "a", living);
    stand(&client, "b", living);
    stand(&client, "c", dying);
    let before = leader(&client).token;
    assert_eq!(of(&client, "appoint", "c").reply(), Ok(()));
    let now = leader(&client);
    assert_eq!(now.who, "c");
    assert!(now.token > before, "a deposed leader is told apart");
    assert!(of(&client, "lead", "a").is_parked());
    cluster.advance(Duration::from_secs(6));
    cluster.settle();
    assert_eq!(leader(&client).who, "a", "the line as it was");
    let why = of(&client, "appoint", "x").reply::<()>().expect_err("a stranger").to_string();
    assert!(why.contains("x does not stand for t"), "{why}");
}

#[test]
fn a_candidate_has_a_lease_and_names_have_no_slash() {
    let (_, client) = deployed();
    for (topic, who, lease) in [("t", "a", 0), ("t/u", "a", 1), ("t", "", 1)] {
        let stand = Args { topic: topic.into(), who: who.into(), lease, ..Args::default() };
        assert!(client.call("elector", "stand", &stand).reply::<String>().is_err());
    }
}
