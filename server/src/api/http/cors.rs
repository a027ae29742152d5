//! Which web pages may call this member (`--cors`). The headers go with every answer, as etcd's.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    HeaderMap, HeaderValue, ORIGIN,
};

const METHODS: HeaderValue = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("accept, content-type, authorization");
const ANY: &str = "*";

/// The origins that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors(Vec<String>);

impl Default for Cors {
    /// Everyone, as etcd's default.
    fn default() -> Self {
        Self(vec![ANY.to_owned()])
    }
}

impl Cors {
    /// No origin at all allows every origin, as in etcd.
    pub fn new(origins: Vec<String>) -> Self {
        if origins.is_empty() { Self::default() } else { Self(origins) }
    }

    /// What an answer must carry for a request with these headers.
    pub fn allow(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.0.iter().any(|origin| origin == ANY) {
            return Some(HeaderValue::from_static(ANY));
        }
        let origin = request.get(ORIGIN)?;
        self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    pub fn mark(allowed: Option<HeaderValue>, answer: &mut HeaderMap) {
        if let Some(origin) = allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{HeaderValue, ORIGIN};

    use super::Cors;

    #[test]
    fn a_listed_origin_is_named_and_another_gets_nothing() {
        let cors = Cors::new(vec!["http://a".to_owned(), "http://b".to_owned()]);
        let from = |origin: &'static str| {
            cors.allow(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]))
        };
        assert_eq!(from("http://b"), Some(HeaderValue::from_static("http://b")));
        assert_eq!(from("http://c"), None);
        assert_eq!(cors.allow(&HeaderMap::new()), None);
        assert_eq!(Cors::new(vec![]).allow(&HeaderMap::new()), Some(HeaderValue::from_static("*")));
    }
}
