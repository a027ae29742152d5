//! The names and keys in the messages of our own lock service.

use portunus_proto::portunus::v1::lock_notice::Notice;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAcquireResponse, LockDescribeRequest, LockDescribeResponse,
    LockFollowRequest, LockNotice, LockReleaseRequest, LockRevocationRequest,
};
use tonic::Status;

use super::space::Namespace;
use super::table::{Enter, Leave};

impl Enter for LockAcquireRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.names.iter_mut().for_each(|name| *name = space.enter(name));
        Ok(())
    }
}

impl Leave for LockAcquireResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.held.iter_mut().try_for_each(|place| {
            space.leave_any(&mut place.name)?;
            space.leave_any(&mut place.key)
        })
    }
}

impl Enter for LockReleaseRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.names.iter_mut().for_each(|name| *name = space.enter(name));
        Ok(())
    }
}

impl Enter for LockDescribeRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.name = space.enter(&self.name);
        Ok(())
    }
}

impl Leave for LockDescribeResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.line.iter_mut().try_for_each(|standing| space.leave_any(&mut standing.key))
    }
}

impl Enter for LockRevocationRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.name = space.enter(&self.name);
        Ok(())
    }
}

impl Enter for LockFollowRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.name = space.enter(&self.name);
        Ok(())
    }
}

impl Leave for LockNotice {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        match &mut self.notice {
            Some(Notice::Held(standing)) => space.leave_any(&mut standing.key),
            Some(Notice::Revocation(_) | Notice::Lost(_)) | None => Ok(()),
        }
    }
}
