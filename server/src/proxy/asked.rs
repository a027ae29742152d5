//! A request on its way through the endpoints: whether more than one of them may see it.

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body_util::Full;
use tonic::body::Body;

/// What is asked.
pub enum Asked {
    /// Nothing comes of it twice, so whoever answers will do.
    Again { head: Box<Parts>, body: Bytes },
    /// Is asked again only as long as no member has seen it; `None` once it has left.
    Once(Option<Box<Request<Body>>>),
}

impl Asked {
    pub fn again(head: Parts, body: Bytes) -> Self {
        Self::Again { head: Box::new(head), body }
    }

    pub fn once(request: Request<Body>) -> Self {
        Self::Once(Some(Box::new(request)))
    }

    /// The request to send now.
    pub fn take(&mut self) -> Option<Request<Body>> {
        match self {
            Self::Again { head, body } => {
                let body = Body::new(Full::new(body.clone()));
                Some(Request::from_parts((**head).clone(), body))
            }
            Self::Once(request) => request.take().map(|request| *request),
        }
    }

    /// Gives back what did not leave.
    pub fn put_back(&mut self, request: Box<Request<Body>>) {
        if let Self::Once(place) = self {
            *place = Some(request);
        }
    }

    pub fn repeats(&self) -> bool {
        matches!(self, Self::Again { .. })
    }
}
