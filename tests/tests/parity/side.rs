//! One of the two servers, asked.

use std::future::Future;
use std::time::Duration;

use portunus_proto::etcdserverpb as pb;
use portunus_tests::Rpc;
use tonic::{Response, Status};

use crate::call::{Call, Whom};
use crate::{render, watching};

/// Reached only when an answer is missing; far more than the longest conversation takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Side {
    pub rpc: Rpc,
}

/// What was answered, as text.
async fn shown<T>(
    answer: impl Future<Output = Result<Response<T>, Status>>,
    show: impl FnOnce(&T) -> String,
) -> String {
    match answer.await {
        Ok(answer) => show(answer.get_ref()),
        Err(status) => render::refused(&status),
    }
}

impl Side {
    pub async fn connect(url: &str) -> Self {
        Self { rpc: Rpc::connect(url).await.unwrap() }
    }

    pub async fn run(&mut self, call: &Call) -> String {
        let answer = tokio::time::timeout(PATIENCE, self.ask(call)).await;
        answer.unwrap_or_else(|_| "no answer".to_owned())
    }

    async fn ask(&mut self, call: &Call) -> String {
        let Rpc { kv, cluster, maintenance, auth, .. } = &mut self.rpc;
        match call.clone() {
            Call::Range(range) => shown(kv.range(range), render::range).await,
            Call::Put(put) => shown(kv.put(put), render::put).await,
            Call::Delete(delete) => shown(kv.delete_range(delete), render::delete).await,
            Call::Txn(txn) => shown(kv.txn(txn), render::txn).await,
            Call::Compact(compact) => {
                shown(kv.compact(compact), |answer| render::header(&answer.header)).await
            }
            Call::Alarm(alarm) => shown(maintenance.alarm(alarm), alarms).await,
            Call::Members { linearizable } => {
                let request = pb::MemberListRequest { linearizable };
                shown(cluster.member_list(request), members).await
            }
            Call::Status => shown(maintenance.status(pb::StatusRequest {}), status).await,
            Call::Hash => {
                shown(maintenance.hash(pb::HashRequest {}), |a| render::header(&a.header)).await
            }
            Call::HashKv(revision) => {
                shown(maintenance.hash_kv(pb::HashKvRequest { revision }), |answer| {
                    format!(
                        "{} hash {:x} compacted {}",
                        render::header(&answer.header),
                        answer.hash,
                        answer.compact_revision
                    )
                })
                .await
            }
            Call::Defragment => {
                shown(maintenance.defragment(pb::DefragmentRequest {}), |answer| {
                    render::header(&answer.header)
                })
                .await
            }
            Call::MoveLeader(target_id) => {
                shown(maintenance.move_leader(pb::MoveLeaderRequest { target_id }), |answer| {
                    render::header(&answer.header)
                })
                .await
            }
            Call::AuthStatus => {
                shown(auth.auth_status(pb::AuthStatusRequest {}), |answer| {
                    format!("{} {}", render::header(&answer.header), answer.enabled)
                })
                .await
            }
            Call::Watch(creates) => watching::watch(&mut self.rpc, creates).await,
            Call::Progress(creates) => watching::progress(&mut self.rpc, creates).await,
            change @ (Call::AddMember { .. }
            | Call::AddOwnUrl { .. }
            | Call::RemoveMember(_)
            | Call::UpdateMember(..)
            | Call::PromoteMember(_)) => self.change_members(change).await,
            lease => self.run_lease(lease).await,
        }
    }

    /// Whether it was done, and how many members of which kind there are then.
    async fn change_members(&mut self, call: Call) -> String {
        let request = pb::MemberListRequest { linearizable: true };
        let answer = self.rpc.cluster.member_list(request).await;
        let listed = answer.map(|answer| answer.into_inner().members).unwrap_or_default();
        let own = listed.iter().find(|member| !member.is_learner).cloned().unwrap_or_default();
        let id = |whom| match whom {
            Whom::Itself => own.id,
            Whom::Learner => listed.iter().find(|m| m.is_learner).map_or(2, |m| m.id),
            Whom::Nobody => 1,
        };
        let owned = |urls: Vec<&str>| urls.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let add = |peer_urls, is_learner| pb::MemberAddRequest { peer_urls, is_learner };
        let cluster = &mut self.rpc.cluster;
        let shape = |head: &_, members: &[pb::Member]| {
            let learners = members.iter().filter(|member| member.is_learner).count();
            format!("{} {} with {learners}", render::header(head), members.len())
        };
        match call {
            Call::AddMember { urls, learner } => {
                shown(cluster.member_add(add(owned(urls), learner)), |answer| {
                    let urls = answer.member.as_ref().map(|member| member.peer_urls.clone());
                    format!("{} {urls:?}", shape(&answer.header, &answer.members))
                })
                .await
            }
            Call::AddOwnUrl { learner } => {
                let urls = own.peer_urls.clone();
                shown(cluster.member_add(add(urls, learner)), |a| shape(&a.header, &a.members))
                    .await
            }
            Call::RemoveMember(whom) => {
                let request = pb::MemberRemoveRequest { id: id(whom) };
                shown(cluster.member_remove(request), |a| shape(&a.header, &a.members)).await
            }
            Call::UpdateMember(whom, urls) => {
                let request = pb::MemberUpdateRequest { id: id(whom), peer_urls: owned(urls) };
                shown(cluster.member_update(request), |a| shape(&a.header, &a.members)).await
            }
            Call::PromoteMember(whom) => {
                let request = pb::MemberPromoteRequest { id: id(whom) };
                shown(cluster.member_promote(request), |a| shape(&a.header, &a.members)).await
            }
            other => unreachable!("{other:?} changes no members"),
        }
    }

    async fn run_lease(&mut self, call: Call) -> String {
        let lease = &mut self.rpc.lease;
        match call {
            Call::Grant(grant) => {
                // An id the server draws is its own affair.
                let drawn = grant.id == 0;
                shown(lease.lease_grant(grant), |answer| {
                    let id = if drawn { i64::from(answer.id > 0) } else { answer.id };
                    let head = render::header(&answer.header);
                    format!("{head} {id} ttl {} {:?}", answer.ttl, answer.error)
                })
                .await
            }
            Call::Revoke(id) => {
                let request = pb::LeaseRevokeRequest { id };
                shown(lease.lease_revoke(request), |answer| render::header(&answer.header)).await
            }
            Call::KeepAlive(ids) => self.keep_alive(ids).await,
            Call::TimeToLive(request) => {
                shown(lease.lease_time_to_live(request), |answer| {
                    let head = render::header(&answer.header);
                    let pb::LeaseTimeToLiveResponse { id, ttl, granted_ttl, .. } = answer;
                    // etcd lists them as its map gives them out, we in order.
                    let mut keys = answer.keys.clone();
                    keys.sort_unstable();
                    format!("{head} {id} {} of {granted_ttl} {keys:?}", about(*ttl, *granted_ttl))
                })
                .await
            }
            Call::Leases => {
                // etcd orders by what the leader believes is left, which says nothing in a test
                // that grants all at once.
                shown(lease.lease_leases(pb::LeaseLeasesRequest {}), |answer| {
                    let mut ids: Vec<i64> = answer.leases.iter().map(|lease| lease.id).collect();
                    ids.sort_unstable();
                    format!("{} {ids:?}", render::header(&answer.header))
                })
                .await
            }
            other => unreachable!("{other:?} is no call about leases"),
        }
    }

    async fn keep_alive(&mut self, ids: Vec<i64>) -> String {
        let count = ids.len();
        let asked = ids.into_iter().map(|id| pb::LeaseKeepAliveRequest { id });
        let requests = futures::StreamExt::chain(
            futures::stream::iter(asked.collect::<Vec<_>>()),
            futures::stream::pending(),
        );
        let mut answers = match self.rpc.lease.lease_keep_alive(requests).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return render::refused(&status),
        };
        let mut seen = Vec::new();
        for _ in 0..count {
            match answers.message().await {
                Ok(Some(answer)) => {
                    let head = render::header(&answer.header);
                    seen.push(format!("{head} {} ttl {}", answer.id, answer.ttl));
                }
                Ok(None) => seen.push("ended".to_owned()),
                Err(status) => seen.push(render::refused(&status)),
            }
        }
        format!("{seen:?}")
    }
}

/// A remaining time differs by what the two tests took.
fn about(left: i64, granted: i64) -> &'static str {
    match left {
        -1 => "gone",
        left if left <= granted && left + 30 >= granted => "nearly all",
        _ => "less",
    }
}

/// Without the header, which etcd 3.4 leaves out.
fn alarms(answer: &pb::AlarmResponse) -> String {
    let alarms: Vec<i32> = answer.alarms.iter().map(|alarm| alarm.alarm).collect();
    format!("{alarms:?}")
}

fn members(answer: &pb::MemberListResponse) -> String {
    let shape = |member: &pb::Member| {
        let urls = (member.peer_urls.len(), member.client_urls.len());
        format!("{} id={} {urls:?} {}", member.name, member.id != 0, member.is_learner)
    };
    let mut members: Vec<String> = answer.members.iter().map(shape).collect();
    // Their order is that of their ids, which are each server's own.
    members.sort_unstable();
    format!("{} {members:?}", render::header(&answer.header))
}

/// Sizes and log indexes are each server's own; that they are there is not.
fn status(answer: &pb::StatusResponse) -> String {
    let leads = answer.header.as_ref().is_some_and(|header| header.member_id == answer.leader);
    let index = answer.raft_index > 0 && answer.raft_applied_index > 0 && answer.raft_term > 0;
    let sizes = answer.db_size > 0 && answer.db_size_in_use > 0;
    let head = render::header(&answer.header);
    // They name the member that raised the alarm.
    let known = |error: &String| match error {
        error if error.contains("NOSPACE") => "no space",
        error if error.contains("CORRUPT") => "corrupt",
        _ => "other",
    };
    let errors: Vec<&str> = answer.errors.iter().map(known).collect();
    format!("{head} leads={leads} index={index} sizes={sizes} {errors:?} {}", answer.is_learner)
}
