//! A saga ends well, or is undone in reverse by whoever is there.

use std::time::Duration;

use portunus_sdk::testing::{Call, Client, Cluster, Failure, Plugin};

use super::{Args, RECIPES, Work, bereaved};

fn deployed() -> (Cluster, Client) {
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("saga").under("s/").recipes(RECIPES).trigger(bereaved));
    let client = cluster.anonymous();
    (cluster, client)
}

fn lease(cluster: &Cluster, seconds: u64) -> i64 {
    cluster.grant_lease(Duration::from_secs(seconds))
}

fn of(client: &Client, function: &str, lease: i64) -> Result<(), Failure> {
    client.call("saga", function, &Args { saga: "trip".into(), lease, ..Args::default() }).reply()
}

fn step(client: &Client, lease: i64, name: &str) -> Result<usize, Failure> {
    let undo = format!("cancel {name}");
    let step = Args { saga: "trip".into(), lease, name: name.into(), undo };
    client.call("saga", "step", &step).reply()
}

fn recover(client: &Client, lease: i64) -> Call {
    client.call("saga", "recover", &Args { lease, ..Args::default() })
}

fn undone(client: &Client, lease: i64, name: &str) -> Result<usize, Failure> {
    let undone = Args { saga: "trip".into(), name: name.into(), lease, ..Args::default() };
    client.call("saga", "undone", &undone).reply()
}

fn outcome(client: &Client) -> Call {
    client.call("saga", "outcome", &Args { saga: "trip".into(), ..Args::default() })
}

fn work(name: &str) -> Work {
    Work { saga: "trip".into(), name: name.into(), undo: format!("cancel {name}") }
}

#[test]
fn a_saga_that_commits_is_not_undone_when_its_coordinator_goes() {
    let (cluster, client) = deployed();
    let owner = lease(&cluster, 5);
    of(&client, "begin", owner).expect("begun");
    assert_eq!(step(&client, owner, "hotel"), Ok(1));
    let asked = outcome(&client);
    assert!(asked.is_parked());
    of(&client, "commit", owner).expect("committed");
    of(&client, "commit", owner).expect("a lost reply");
    cluster.advance(Duration::from_secs(6));
    cluster.settle();
    assert_eq!(asked.reply(), Ok("committed".to_owned()));
    let other = lease(&cluster, 60);
    assert!(recover(&client, other).is_parked());
    assert!(of(&client, "begin", other).is_err(), "it has ended");
}

#[test]
fn when_the_coordinator_dies_its_steps_are_undone_in_reverse() {
    let (cluster, client) = deployed();
    let [owner, other] = [lease(&cluster, 5), lease(&cluster, 60)];
    of(&client, "begin", owner).expect("begun");
    assert_eq!(step(&client, owner, "hotel"), Ok(1));
    assert_eq!(step(&client, owner, "hotel"), Ok(1), "told twice");
    assert_eq!(step(&client, owner, "flight"), Ok(2));
    let waiting = recover(&client, other);
    assert!(waiting.is_parked());
    cluster.advance(Duration::from_secs(6));
    cluster.settle();
    assert_eq!(waiting.reply(), Ok(work("flight")));
    assert!(step(&client, owner, "car").is_err(), "the deposed go no further");
    assert_eq!(undone(&client, other, "flight"), Ok(1));
    assert_eq!(undone(&client, other, "flight"), Ok(1), "a lost reply");
    assert_eq!(recover(&client, other).reply(), Ok(work("hotel")));
    assert_eq!(undone(&client, other, "hotel"), Ok(0));
    assert_eq!(outcome(&client).reply(), Ok("undone".to_owned()));
    assert_eq!(client.prefix("s/").len(), 1, "its outcome is all that is left");
}

#[test]
fn who_undoes_may_die_as_well() {
    let (cluster, client) = deployed();
    let [owner, first, second] = [lease(&cluster, 60), lease(&cluster, 5), lease(&cluster, 60)];
    of(&client, "begin", owner).expect("begun");
    assert_eq!(step(&client, owner, "hotel"), Ok(1));
    of(&client, "abort", owner).expect("aborted");
    assert_eq!(recover(&client, first).reply(), Ok(work("hotel")));
    let waiting = recover(&client, second);
    assert!(waiting.is_parked(), "one at a time");
    assert!(undone(&client, second, "hotel").is_err());
    cluster.advance(Duration::from_secs(6));
    cluster.settle();
    assert_eq!(waiting.reply(), Ok(work("hotel")));
    assert_eq!(undone(&client, second, "hotel"), Ok(0));
}

#[test]
fn one_coordinates_and_what_took_no_step_is_undone_at_once() {
    let (cluster, client) = deployed();
    let [owner, other] = [lease(&cluster, 60), lease(&cluster, 60)];
    of(&client, "begin", owner).expect("begun");
    of(&client, "begin", owner).expect("a lost reply");
    let why = of(&client, "begin", other).expect_err("another's").to_string();
    assert!(why.contains("trip is under way"), "{why}");
    assert!(of(&client, "commit", other).is_err());
    of(&client, "abort", owner).expect("aborted");
    assert_eq!(outcome(&client).reply(), Ok("undone".to_owned()));
}
