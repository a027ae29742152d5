//! etcd's Election service on one member.

use anyhow::{Context, Result};
use etcd_client::{ProclaimOptions, ResignOptions};
use portunus_proto::v3electionpb as pb;
use portunus_tests::refusal;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::fixture::{Single, lease, stand};

fn unknown(text: &str) -> (Code, String) {
    (Code::Unknown, text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_etcds_texts_without_a_code() -> Result<()> {
    let mut single = Single::start().await?;
    let election = &mut single.election;
    let name = || pb::LeaderRequest { name: "name".into() };
    let nobody = |key: &'static str| {
        Some(pb::LeaderKey { name: "name".into(), key: key.into(), rev: 3, lease: 5 })
    };
    assert_eq!(refusal(election.leader(name()).await), unknown("election: no leader"));
    let missing = unknown("\"leader\" field must be provided");
    assert_eq!(refusal(election.proclaim(pb::ProclaimRequest::default()).await), missing);
    assert_eq!(refusal(election.resign(pb::ResignRequest::default()).await), missing);
    let campaign = pb::CampaignRequest { name: "name".into(), lease: 99, value: "v".into() };
    let no_lease = unknown("etcdserver: requested lease not found");
    assert_eq!(refusal(election.campaign(campaign).await), no_lease);
    let proclaim = pb::ProclaimRequest { leader: nobody("name/5"), value: "v".into() };
    assert_eq!(refusal(election.proclaim(proclaim).await), unknown("election: not leader"));
    let no_key = unknown("etcdserver: key is not provided");
    let resign = pb::ResignRequest { leader: nobody("") };
    assert_eq!(refusal(election.resign(resign).await), no_key);
    let resign = pb::ResignRequest { leader: nobody("name/5") };
    assert!(election.resign(resign).await.is_ok(), "as etcd, whoever does not lead may resign");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_follow_each_other_and_an_observer_sees_them() -> Result<()> {
    let mut single = Single::start().await?;
    let mut seen = single.client.observe("seat").await?;
    let (first, second) = (lease(&single.client).await?, lease(&single.client).await?);
    let elected = single.client.campaign("seat", "one", first).await?;
    let leader = elected.leader().context("a leader")?.clone();
    let next = seen.next().await.context("a leader")??;
    assert_eq!(next.kv().context("its key")?.value(), b"one");

    let mut other = single.member.client().await?;
    let waiting = tokio::spawn(async move { other.campaign("seat", "two", second).await });
    stand(&single.client, "seat", 2).await;
    let now = single.client.leader("seat").await?;
    assert_eq!(now.kv().context("a leader")?.value(), b"one", "the second waits");

    let options = ProclaimOptions::new().with_leader(leader.clone());
    single.client.proclaim("one again", Some(options.clone())).await?;
    let next = seen.next().await.context("a proclamation")??;
    assert_eq!(next.kv().context("its key")?.value(), b"one again");

    single.client.resign(Some(ResignOptions::new().with_leader(leader))).await?;
    let elected = waiting.await??;
    assert_eq!(elected.leader().context("a leader")?.lease(), second);
    let next = seen.next().await.context("the next leader")??;
    assert_eq!(next.kv().context("its key")?.value(), b"two");
    let late = single.client.proclaim("late", Some(options)).await.unwrap_err();
    assert!(late.to_string().contains("election: not leader"), "{late}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_again_with_another_value_proclaims_it() -> Result<()> {
    let mut single = Single::start().await?;
    let lease = lease(&single.client).await?;
    let first = single.client.campaign("seat", "one", lease).await?;
    let again = single.client.campaign("seat", "two", lease).await?;
    assert_eq!(first.leader().map(|l| l.rev()), again.leader().map(|l| l.rev()));
    let now = single.client.leader("seat").await?;
    assert_eq!(now.kv().context("a leader")?.value(), b"two");
    Ok(())
}
