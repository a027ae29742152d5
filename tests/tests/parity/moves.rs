//! A deployment moves from a real etcd to this server and back, with its revisions, history,
//! leases, compactions, users and what these may do. At each stop everything is as it was at the
//! one before.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{TryStreamExt, stream};
use portunus_proto::authpb::{Permission, permission::Type};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::snapshots::{hash_kv, restored, revision, save, save_as};
use portunus_tests::{Rpc, Token, eventually, login, refusal};
use tonic::Code;

use crate::auth::moves::{ROOT, assert_guarded, people};
use crate::etcd::Etcd;
use crate::picture::{Picture, is_same};

/// How many keys are moved; 100000 is for a release.
const KEYS: &str = "MOVE_KEYS";
const KEYS_DEFAULT: usize = 20_000;
/// Puts in one transaction.
const BATCH: usize = 100;
/// Transactions under way at once, so that they share what their logs write.
const AT_ONCE: usize = 8;
const LEASES: i64 = 20;
/// Users who may read a part of the keys each.
const TEAMS: usize = 40;
/// As quick as it gets: what is tested is not the hash.
const CHEAP: &str = "--bcrypt-cost=4";

fn keys() -> usize {
    std::env::var(KEYS).ok().and_then(|keys| keys.parse().ok()).unwrap_or(KEYS_DEFAULT)
}

/// Where the deployment is at the moment, seen by root.
struct Stop<'a> {
    name: &'a str,
    url: &'a str,
    rpc: Rpc,
    root: Token,
    since: Instant,
}

impl<'a> Stop<'a> {
    async fn at(name: &'a str, url: &'a str) -> Result<Self> {
        let mut rpc = Rpc::connect(url).await?;
        let root = login(&mut rpc, "root", "toor").await.context(name.to_owned())?;
        Ok(Self { name, url, rpc, root, since: Instant::now() })
    }

    async fn picture(&mut self) -> Result<Picture> {
        let picture = Picture::of(&mut self.rpc, &self.root).await?;
        let (keys, events) = (picture.keys(), picture.events());
        println!("{}: {keys} keys, {events} events, {:?}", self.name, self.since.elapsed());
        Ok(picture)
    }

    /// What is here is what was there, and who may do what is the same too.
    async fn assert_is(&mut self, before: &Picture) -> Result<()> {
        before.assert_is(self.name, &self.picture().await?);
        self.assert_teams().await?;
        // Writes, so it comes last.
        assert_guarded(self.name, self.url).await
    }

    fn save(&self, dir: &Path) -> Result<std::path::PathBuf> {
        let file = save_as(self.url, dir, &[format!("--user={ROOT}")])?;
        println!("{}: {} bytes saved", self.name, std::fs::metadata(&file)?.len());
        Ok(file)
    }

    /// Some of the users get in by their passwords, read what is theirs, and do nothing else.
    async fn assert_teams(&self) -> Result<()> {
        let mut rpc = self.rpc.clone();
        for n in [0, TEAMS / 2, TEAMS - 1] {
            let (name, mine, others) = (team(n), span(n), span((n + 1) % TEAMS));
            let own = login(&mut rpc, &name, &format!("{name}'s")).await.context(name.clone())?;
            let read = rpc.kv.range(own.with(mine.clone())).await?.into_inner();
            let all = rpc.kv.range(self.root.with(mine.clone())).await?.into_inner();
            ensure!(read.kvs == all.kvs && read.count > 0, "{name}: {} keys", read.count);
            let put = pb::PutRequest { key: mine.key, ..Default::default() };
            let refused = [
                refusal(rpc.kv.range(own.with(others)).await),
                refusal(rpc.kv.put(own.with(put)).await),
            ];
            let denied = (Code::PermissionDenied, "etcdserver: permission denied".to_owned());
            ensure!(refused == [denied.clone(), denied], "{name} at {}: {refused:?}", self.name);
        }
        Ok(())
    }

    /// Puts the first `count` keys.
    async fn put_all(&self, round: usize, count: usize) -> Result<()> {
        let numbers: Vec<usize> = (0..count).collect();
        let txns = numbers.chunks(BATCH).map(|batch| {
            let puts = batch.iter().map(|n| {
                let lease = if n % 7 == 0 { 1 + (*n as i64 % LEASES) } else { 0 };
                let put = pb::PutRequest {
                    key: key(*n).into(),
                    value: format!("{round}-{n}").into(),
                    lease,
                    ..Default::default()
                };
                pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) }
            });
            Ok(pb::TxnRequest { success: puts.collect(), ..Default::default() })
        });
        let put = |txn| {
            let (mut kv, request) = (self.rpc.kv.clone(), self.root.with(txn));
            async move { kv.txn(request).await.map(drop).context("a transaction") }
        };
        stream::iter(txns).try_for_each_concurrent(AT_ONCE, put).await
    }

    async fn delete(&mut self, from: &str, to: &str) -> Result<i64> {
        let request = pb::DeleteRangeRequest {
            key: from.to_owned().into(),
            range_end: to.to_owned().into(),
            prev_kv: false,
        };
        let deleted = self.rpc.kv.delete_range(self.root.with(request)).await?.into_inner();
        ensure!(deleted.deleted > 0, "nothing from {from} to {to}");
        Ok(deleted.header.context("header")?.revision)
    }

    /// A history with leases, overwritten and deleted keys, a compaction, and more after it.
    async fn live(&mut self, round: usize) -> Result<()> {
        let begun = Instant::now();
        for id in 1..=LEASES {
            let grant = pb::LeaseGrantRequest { ttl: 100_000 + id, id };
            if round == 0 {
                self.rpc.lease.lease_grant(self.root.with(grant)).await?;
            }
        }
        // One more for each round, which ends with it and takes its key along.
        let short = LEASES + 1 + round as i64;
        let grant = pb::LeaseGrantRequest { ttl: 100_000, id: short };
        self.rpc.lease.lease_grant(self.root.with(grant)).await?;
        let leased = pb::PutRequest { key: "leased".into(), lease: short, ..Default::default() };
        self.rpc.kv.put(self.root.with(leased)).await?;
        self.put_all(round, keys()).await?;
        let (gone, back) = ("key/00000500", "key/00000600");
        self.delete(gone, back).await?;
        self.put_all(round + 1, keys()).await?;
        let mark = self.delete("key/00000700", "key/00000710").await?;
        let compaction = pb::CompactionRequest { revision: mark, physical: true };
        self.rpc.kv.compact(self.root.with(compaction)).await?;
        self.put_all(round + 2, keys() / 10).await?;
        self.delete(gone, back).await?;
        let revoke = pb::LeaseRevokeRequest { id: short };
        self.rpc.lease.lease_revoke(self.root.with(revoke)).await?;
        let put = pb::PutRequest { key: gone.into(), value: "again".into(), ..Default::default() };
        self.rpc.kv.put(self.root.with(put)).await?;
        println!("{}: lived for {:?}", self.name, begun.elapsed());
        Ok(())
    }
}

fn key(n: usize) -> String {
    format!("key/{n:08}")
}

fn team(n: usize) -> String {
    format!("team-{n:02}")
}

/// The keys of a team.
fn span(n: usize) -> pb::RangeRequest {
    let from = |n: usize| key(n * keys() / TEAMS).into();
    pb::RangeRequest { key: from(n), range_end: from(n + 1), ..Default::default() }
}

/// A user and a role for each team, while everybody may still make them.
async fn teams(rpc: &mut Rpc) -> Result<()> {
    for n in 0..TEAMS {
        let (name, pb::RangeRequest { key, range_end, .. }) = (team(n), span(n));
        let password = format!("{name}'s");
        let add = pb::AuthUserAddRequest { name: name.clone(), password, ..Default::default() };
        rpc.auth.user_add(add).await?;
        rpc.auth.role_add(pb::AuthRoleAddRequest { name: name.clone() }).await?;
        let perm = Permission { perm_type: Type::Read.into(), key, range_end };
        let allow = pb::AuthRoleGrantPermissionRequest { name: name.clone(), perm: Some(perm) };
        rpc.auth.role_grant_permission(allow).await?;
        let grant = pb::AuthUserGrantRoleRequest { user: name.clone(), role: name };
        rpc.auth.user_grant_role(grant).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_moves_here_and_back_with_its_history() -> Result<()> {
    let Some(etcd) = Etcd::start(&[CHEAP]).await else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let mut rpc = Rpc::connect(&etcd.client_url).await?;
    teams(&mut rpc).await?;
    people(&mut rpc).await?;
    let mut stop = Stop::at("etcd", &etcd.client_url).await?;
    stop.live(0).await?;
    stop.assert_teams().await?;
    let file = stop.save(dir.path())?;
    let at_etcd = stop.picture().await?;
    ensure!(at_etcd.keys() > keys() - 2 * BATCH && at_etcd.events() > keys() / 10);
    drop(etcd);

    let mut member = restored(&file, dir.path(), 1, &[])?.remove(0);
    member.start()?;
    let mut stop = Stop::at("from etcd to us", &member.client_url).await?;
    stop.assert_is(&at_etcd).await?;
    // What is written here afterwards goes back too.
    stop.live(2).await?;
    let file = stop.save(dir.path())?;
    let ours = stop.picture().await?;
    ensure!(ours.hash.compact_revision > at_etcd.hash.compact_revision);
    member.kill()?;

    let etcd = Etcd::restored(&file, &[CHEAP]).await.context("it was there before")?;
    let mut stop = Stop::at("from us to etcd", &etcd.client_url).await?;
    stop.assert_is(&ours).await?;
    stop.live(4).await?;
    let again = dir.path().join("again");
    std::fs::create_dir(&again)?;
    let file = stop.save(&again)?;
    let at_etcd = stop.picture().await?;
    drop(etcd);
    let mut member = restored(&file, &again, 1, &[])?.remove(0);
    member.start()?;
    Stop::at("and here again", &member.client_url).await?.assert_is(&at_etcd).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_etcd_moves_too() -> Result<()> {
    let Some(etcd) = Etcd::start(&[]).await else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let file = save(&etcd.client_url, dir.path())?;
    assert_eq!(revision(&file)?, 0, "etcd writes none before the first put");
    let mut member = restored(&file, dir.path(), 1, &[])?.remove(0);
    member.start()?;
    let mut rpc = Rpc::connect(&etcd.client_url).await?;
    let expected = Picture::of(&mut rpc, &Token::none()).await?;
    eventually("the same hash", || async {
        let found = hash_kv(&member.client_url, 0).await?;
        ensure!(is_same(&found, &expected.hash), "{found:?}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}
