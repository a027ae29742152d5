//! The Lock service of `portunus.v1`.

use std::pin::Pin;

use futures::{Stream, stream};
use portunus_proto::portunus::v1::lock_notice::Notice;
use portunus_proto::portunus::v1::lock_server::Lock;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAcquireResponse, LockDescribeRequest, LockDescribeResponse,
    LockFollowRequest, LockNotice, LockReleaseRequest, LockReleaseResponse, LockRevocationRequest,
    LockRevocationResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_at;
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::node::{LockNews, Node};
use crate::types::LeaseId;

/// Serves our Lock service.
pub struct LocksService {
    pub node: Node,
    pub ending: Ending,
}

type Notices = Pin<Box<dyn Stream<Item = Result<LockNotice, Status>> + Send>>;

#[async_trait]
impl Lock for LocksService {
    async fn acquire(
        &self,
        request: Request<LockAcquireRequest>,
    ) -> Result<Response<LockAcquireResponse>, Status> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let mut ended = None;
        let stop = async { ended = Some(end.await) };
        let acquired = node.acquire(request.into_inner(), stop).await;
        if let Some(status) = ended {
            return Err(status);
        }
        let acquired = acquired.map_err(status::of)?;
        let acquired = acquired.ok_or_else(status::not_held_in_time)?;
        let header = Some(header_at(acquired.revision, &self.node));
        Ok(Response::new(LockAcquireResponse { header, held: acquired.places }))
    }

    async fn release(
        &self,
        request: Request<LockReleaseRequest>,
    ) -> Result<Response<LockReleaseResponse>, Status> {
        let node = acting(&self.node, &request);
        let released = node.release(request.into_inner()).await;
        let (revision, released) = released.map_err(status::of)?;
        let header = Some(header_at(revision, &self.node));
        Ok(Response::new(LockReleaseResponse { header, released }))
    }

    async fn describe(
        &self,
        request: Request<LockDescribeRequest>,
    ) -> Result<Response<LockDescribeResponse>, Status> {
        let node = acting(&self.node, &request);
        let name = request.into_inner().name;
        node.check_prefix(&[&name[..], b"/"].concat()).await.map_err(status::of)?;
        let described = node.describe_lock(name).await;
        let (revision, described) = described.map_err(status::of)?;
        let header = Some(header_at(revision, &self.node));
        Ok(Response::new(LockDescribeResponse { header, ..described }))
    }

    async fn request_revocation(
        &self,
        request: Request<LockRevocationRequest>,
    ) -> Result<Response<LockRevocationResponse>, Status> {
        let node = acting(&self.node, &request);
        let asked = node.request_revocation(request.into_inner()).await;
        let (revision, asked) = asked.map_err(status::of)?;
        let header = Some(header_at(revision, &self.node));
        Ok(Response::new(LockRevocationResponse { header, asked }))
    }

    type FollowStream = Notices;

    async fn follow(
        &self,
        request: Request<LockFollowRequest>,
    ) -> Result<Response<Notices>, Status> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let LockFollowRequest { name, lease } = request.into_inner();
        node.check_prefix(&[&name[..], b"/"].concat()).await.map_err(status::of)?;
        let course = node.follow_lock(name, LeaseId(lease)).await.map_err(status::of)?;
        let node = node.clone();
        let notices = stream::unfold(Some(course), move |course| {
            let node = node.clone();
            async move {
                let mut course = course?;
                let (revision, news) = match course.next().await {
                    Ok(news) => news,
                    Err(failure) => return Some((Err(status::of_failure(failure)), None)),
                };
                let (notice, goes_on) = match news {
                    LockNews::Held(standing) => (Notice::Held(standing), true),
                    LockNews::Asked(reason) => (Notice::Revocation(reason), true),
                    LockNews::Lost => (Notice::Lost(true), false),
                };
                let header = Some(header_at(revision, &node));
                let notice = LockNotice { header, notice: Some(notice) };
                Some((Ok(notice), goes_on.then_some(course)))
            }
        });
        Ok(Response::new(Box::pin(end.cut(notices))))
    }
}
