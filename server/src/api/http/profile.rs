//! `/debug/pprof/`: profiles under the paths at which Go programs, etcd among them, have theirs.
//! What is about goroutines has no counterpart.

use std::time::Duration;

use http::header::{CONTENT_DISPOSITION, HeaderValue};
use http::{Response, StatusCode};
use tonic::body::Body;

use super::reply;
use super::surface::Query;
use crate::profiles::{self, Error};

const PREFIX: &str = "/debug/pprof/";
const INDEX: &str = "/debug/pprof/\n\n\
    profile?seconds=30  where CPU time goes in the next seconds\n\
    heap                living allocations by who made them\n\
    cmdline             the command line, its words ended by zero bytes\n\n\
    Read with: go tool pprof http://HOST:PORT/debug/pprof/profile\n";

const SECONDS_DEFAULT: u64 = 30;
/// Longer ones would grow without telling more.
const SECONDS_MAX: u64 = 600;

/// The name behind the prefix, for a path that is one of these.
pub fn name(path: &str) -> Option<&str> {
    match path {
        "/debug/pprof" => Some(""),
        _ => path.strip_prefix(PREFIX),
    }
}

/// Answers for the profile `name`.
pub async fn answer(name: &str, query: &Query<'_>) -> Response<Body> {
    let profile = match name {
        "" => return reply::plain(StatusCode::OK, INDEX),
        "cmdline" => return reply::plain(StatusCode::OK, command_line()),
        "heap" => profiles::heap().await,
        "profile" => match seconds(query) {
            Ok(span) => profiles::cpu(span).await,
            Err(text) => return reply::error(StatusCode::BAD_REQUEST, &text),
        },
        _ => return reply::error(StatusCode::NOT_FOUND, "Unknown profile"),
    };
    match profile {
        Ok(profile) => attached(name, profile),
        Err(error) => {
            let status = match error {
                Error::NoSamples => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            reply::error(status, &error.to_string())
        }
    }
}

fn attached(name: &str, profile: Vec<u8>) -> Response<Body> {
    let kind = HeaderValue::from_static("application/octet-stream");
    let mut answer = reply::content(StatusCode::OK, kind, profile);
    if let Ok(as_file) = format!("attachment; filename=\"{name}\"").try_into() {
        answer.headers_mut().insert(CONTENT_DISPOSITION, as_file);
    }
    answer
}

fn seconds(query: &Query<'_>) -> Result<Duration, String> {
    let Some(given) = query.all("seconds").next() else {
        return Ok(Duration::from_secs(SECONDS_DEFAULT));
    };
    match given.parse() {
        Ok(seconds @ 1..=SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("invalid seconds {given:?}: give 1 to {SECONDS_MAX}")),
    }
}

fn command_line() -> Vec<u8> {
    let words: Vec<_> = std::env::args_os().map(|word| word.into_encoded_bytes()).collect();
    words.join(&0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Query, name, seconds};

    #[test]
    fn a_profile_takes_seconds_within_bounds() {
        let of = |text| seconds(&Query::of(text));
        assert_eq!(of(""), Ok(Duration::from_secs(30)));
        assert_eq!(of("seconds=1"), Ok(Duration::from_secs(1)));
        for wrong in ["seconds=0", "seconds=601", "seconds=x", "seconds="] {
            assert!(of(wrong).unwrap_err().ends_with("give 1 to 600"), "{wrong}");
        }
    }

    #[test]
    fn profiles_have_names_behind_their_prefix() {
        assert_eq!(name("/debug/pprof/heap"), Some("heap"));
        assert_eq!((name("/debug/pprof"), name("/debug/pprof/")), (Some(""), Some("")));
        assert_eq!((name("/debug"), name("/debug/pprofs")), (None, None));
    }
}
