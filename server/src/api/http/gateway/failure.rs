//! Errors as grpc-gateway v2 writes them: a `google.rpc.Status` without what is empty, and the
//! HTTP code that belongs to its code.

use http::{Response, StatusCode};
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::api::http::reply;

/// The client closed the request, as nginx and grpc-gateway say it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// An answer to a call that failed.
pub fn answer(status: &Status) -> Response<Body> {
    reply::json(http_code(status.code()), body(status).to_string())
}

/// The same within a stream, or in place of one.
pub fn in_stream(status: &Status) -> Value {
    json!({ "error": body(status) })
}

pub fn instead_of_stream(status: &Status) -> Response<Body> {
    reply::json(http_code(status.code()), format!("{}\n", in_stream(status)))
}

fn body(status: &Status) -> Value {
    json!({ "code": status.code() as i32, "message": status.message() })
}

pub fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => {
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).expect("a code of three digits")
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
