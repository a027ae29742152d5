//! What waiting calls cost: `cargo run --release -p portunus-tests --example waiting_calls --
//! [CALLS]` parks that many recipe calls (10,000 unless told) on one member and prints the CPU that
//! the server uses while nothing they read changes, beside an idle server's, and the memory of each.
//! Then it measures how long after a put the answer of a woken call arrives, beside a watch event
//! of the same put. The program under test is the one beside the example's folder, so build it
//! first: `cargo build --release -p portunus`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_client::EventType;
use portunus_proto::portunus::v1::recipe_client::RecipeClient;
use portunus_proto::portunus::v1::{CallRequest, Point, StatusRequest};

use portunus_tests::{Member, Plugins, binding, eventually_within, plugin, usage};
use tokio::task::JoinSet;

const PROBE: &str = env!("PLUGIN_PROBE");
/// Calls of one connection: servers bound the streams of each.
const PER_CONNECTION: usize = 100;
const PATIENCE: Duration = Duration::from_secs(120);
const SPAN: Duration = Duration::from_secs(10);
const ROUNDS: usize = 300;

#[tokio::main]
async fn main() -> Result<()> {
    let calls: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut plugins = Plugins::connect(&member.client_url).await?;
    let bindings = vec![binding(Point::Recipe, "p/")];
    plugins.deploy(vec![plugin("probe", PROBE, bindings)?]).await?;
    delays(&member, &mut plugins).await?;
    let idle = usage(&member, SPAN).await?;
    let mut waiting = JoinSet::new();
    for begin in (0..calls).step_by(PER_CONNECTION) {
        let recipes = RecipeClient::connect(member.client_url.clone()).await?;
        for _ in begin..calls.min(begin + PER_CONNECTION) {
            let mut recipes = recipes.clone();
            waiting.spawn(async move { recipes.call(hold()).await });
        }
    }
    until_parked(&plugins, calls as u64).await;
    let used = usage(&member, SPAN).await?;
    let each = used.rss_anon_bytes.saturating_sub(idle.rss_anon_bytes) / calls as u64;
    let (idle, cpu) = (idle.cpu, used.cpu);
    println!("CPU of {SPAN:?}: idle {idle:?}, with {calls} waiting calls {cpu:?}");
    println!("memory of a waiting call, with its share of a connection: {each} bytes");
    let begun = Instant::now();
    member.client().await?.put("p/gate", "open", None).await?;
    while let Some(done) = waiting.join_next().await {
        ensure!(done??.into_inner().payload == "open", "another answer");
    }
    println!("all {calls} answered {:?} after the put they waited for", begun.elapsed());
    Ok(())
}

fn hold() -> CallRequest {
    CallRequest { plugin: "probe".into(), function: "hold".into(), payload: Default::default() }
}

/// The delays from a put to its watch event, and to the answer of the call that it wakes.
async fn delays(member: &Member, plugins: &mut Plugins) -> Result<()> {
    let mut client = member.client().await?;
    let mut watcher = member.client().await?;
    let mut events = watcher.watch("p/gate", None).await?;
    let created = events.message().await?.context("the watch is there")?;
    ensure!(created.created(), "{created:?}");
    let (mut told, mut woken) = (Vec::new(), Vec::new());
    let mut recipes = RecipeClient::connect(member.client_url.clone()).await?;
    for _ in 0..ROUNDS {
        let call = tokio::spawn({
            let mut recipes = recipes.clone();
            async move { (recipes.call(hold()).await, Instant::now()) }
        });
        until_parked(plugins, 1).await;
        let begun = Instant::now();
        let (put, event) = tokio::join!(client.put("p/gate", "open", None), async {
            let message = events.message().await;
            (message, Instant::now())
        });
        put?;
        let (message, at) = event;
        let message = message?.context("the watch goes on")?;
        ensure!(message.events()[0].event_type() == EventType::Put, "another event");
        told.push(at - begun);
        let (answer, at) = call.await?;
        answer?;
        woken.push(at - begun);
        client.delete("p/gate", None).await?;
        let _deleted = events.message().await?;
    }
    // One more of each is not measured: the call on the open gate does not wait.
    client.put("p/gate", "open", None).await?;
    recipes.call(hold()).await?;
    client.delete("p/gate", None).await?;
    told.sort();
    woken.sort();
    let at = |sorted: &[Duration], percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    for percent in [50, 99] {
        let (told, woken) = (at(&told, percent), at(&woken, percent));
        let ratio = woken.as_secs_f64() / told.as_secs_f64();
        println!(
            "p{percent} after the put: watch event {told:?}, woken call {woken:?} ({ratio:.2})"
        );
    }
    Ok(())
}

async fn until_parked(plugins: &Plugins, calls: u64) {
    eventually_within(PATIENCE, "the calls wait", || {
        let mut client = plugins.client.clone();
        async move {
            let status = client.status(StatusRequest { name: "probe".into() }).await?.into_inner();
            let parked: u64 = status.bindings.iter().map(|binding| binding.parked).sum();
            ensure!(parked == calls, "{parked} of {calls} wait");
            Ok(())
        }
    })
    .await;
}
