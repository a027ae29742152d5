//! How a first start learns who the first members are: from its flags, from DNS, or at an etcd
//! where they sign on. Reads and checks; finding them is another module's.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Error;
use crate::config::build::{get, text};
use crate::config::parse;
use crate::config::read::Values;

/// Where the first members are named. etcd takes one of them at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// In `--initial-cluster`, or nowhere: then this member is alone.
    Listed,
    /// In SRV records of this domain; `service` is what follows the service's name, or empty.
    Srv { domain: String, service: String },
    /// At another cluster.
    Registry(Discovery),
}

/// An etcd where the first members sign on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    pub token: String,
    /// URLs, or hosts and ports.
    pub endpoints: Vec<String>,
    pub dial_timeout: Duration,
    pub request_timeout: Duration,
    pub keepalive_time: Duration,
    pub keepalive_timeout: Duration,
    pub insecure_transport: bool,
    pub insecure_skip_verify: bool,
    pub identity: Option<(PathBuf, PathBuf)>,
    pub cacert: Option<PathBuf>,
    /// Name and password.
    pub user: Option<(String, String)>,
}

impl Discovery {
    /// Whether an endpoint without a scheme is one of https.
    pub fn is_secure(&self) -> bool {
        let named = self.identity.is_some() || self.cacert.is_some() || self.insecure_skip_verify;
        named || !self.insecure_transport
    }
}

impl Bootstrap {
    pub(super) fn read(values: &Values) -> Result<Self, Error> {
        let given = |name| !text(values, name).is_empty();
        let srv = given("discovery-srv");
        let (token, endpoints) = (given("discovery-token"), given("discovery-endpoints"));
        let listed = values.is_given("initial-cluster");
        let ways = [listed, srv, token || endpoints].iter().filter(|way| **way).count();
        if ways > 1 {
            return contradiction(
                "multiple discovery or bootstrap flags are set. Choose one of \
                 \"initial-cluster\", \"discovery\", \"discovery-endpoints\" or \"discovery-srv\"",
            );
        }
        if token != endpoints {
            return contradiction("both --discovery-token and --discovery-endpoints must be set");
        }
        if srv {
            let own = |name| text(values, name).to_owned();
            return Ok(Self::Srv {
                domain: own("discovery-srv"),
                service: own("discovery-srv-name"),
            });
        }
        if !token {
            return Ok(Self::Listed);
        }
        if text(values, "initial-cluster-state") == "existing" {
            return contradiction(
                "discovery URL should not be set when joining existing initial cluster",
            );
        }
        Discovery::read(values).map(Self::Registry)
    }
}

impl Discovery {
    fn read(values: &Values) -> Result<Self, Error> {
        let path = |name| Some(text(values, name)).filter(|path| !path.is_empty());
        let identity = match (path("discovery-cert"), path("discovery-key")) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((PathBuf::from(cert), PathBuf::from(key))),
            _ => return contradiction("--discovery-cert and --discovery-key must both be set"),
        };
        let user = match (text(values, "discovery-user"), text(values, "discovery-password")) {
            ("", _) => None,
            (name, "") => match name.split_once(':') {
                Some((name, password)) => Some((name.to_owned(), password.to_owned())),
                None => return contradiction("--discovery-user needs --discovery-password"),
            },
            (name, password) => Some((name.to_owned(), password.to_owned())),
        };
        Ok(Self {
            token: text(values, "discovery-token").to_owned(),
            endpoints: parse::list(text(values, "discovery-endpoints")),
            dial_timeout: get(values, "discovery-dial-timeout", parse::duration)?,
            request_timeout: get(values, "discovery-request-timeout", parse::duration)?,
            keepalive_time: get(values, "discovery-keepalive-time", parse::duration)?,
            keepalive_timeout: get(values, "discovery-keepalive-timeout", parse::duration)?,
            insecure_transport: get(values, "discovery-insecure-transport", parse::boolean)?,
            insecure_skip_verify: get(
                values,
                "discovery-insecure-skip-tls-verify",
                parse::boolean,
            )?,
            identity,
            cacert: path("discovery-cacert").map(PathBuf::from),
            user,
        })
    }
}

fn contradiction<T>(text: &str) -> Result<T, Error> {
    Err(Error::Contradiction(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Bootstrap;
    use crate::config::Config;
    use crate::config::read::{Request, read};

    fn bootstrap(arguments: &[&str]) -> Result<Bootstrap, String> {
        let arguments = arguments.iter().map(Into::into);
        let Ok(Request::Serve(values)) = read(arguments, []) else { panic!("no flags") };
        Config::from_values(&values).map(|c| c.bootstrap).map_err(|error| error.to_string())
    }

    const TOKEN: &str = "--discovery-token=t";
    const ENDPOINTS: &str = "--discovery-endpoints=a:1,https://b:2";

    #[test]
    fn one_way_is_taken() {
        assert_eq!(bootstrap(&[]), Ok(Bootstrap::Listed));
        let srv = bootstrap(&["--discovery-srv=example.test", "--discovery-srv-name=blue"]);
        let (domain, service) = ("example.test".to_owned(), "blue".to_owned());
        assert_eq!(srv, Ok(Bootstrap::Srv { domain, service }));
        let flags = [TOKEN, ENDPOINTS, "--discovery-user=me:secret"];
        let Ok(Bootstrap::Registry(found)) = bootstrap(&flags) else { panic!("a registry") };
        assert_eq!(
            (found.token.as_str(), &found.endpoints[..]),
            ("t", &["a:1".to_owned(), "https://b:2".to_owned()][..])
        );
        assert_eq!(found.user, Some(("me".to_owned(), "secret".to_owned())));
        assert!(!found.is_secure());
        let flags = [TOKEN, ENDPOINTS, "--discovery-cacert=ca.pem"];
        let Ok(Bootstrap::Registry(found)) = bootstrap(&flags) else { panic!("a registry") };
        assert!(found.is_secure());
    }

    #[test]
    fn two_ways_and_halves_are_refused() {
        let multiple = "multiple discovery or bootstrap flags are set. Choose one of \
                        \"initial-cluster\", \"discovery\", \"discovery-endpoints\" or \
                        \"discovery-srv\"";
        let listed = "--initial-cluster=default=http://localhost:2380";
        for flags in [
            &["--discovery-srv=d", listed][..],
            &[TOKEN, ENDPOINTS, listed],
            &[TOKEN, ENDPOINTS, "--discovery-srv=d"],
        ] {
            assert_eq!(bootstrap(flags), Err(multiple.to_owned()));
        }
        for flag in [TOKEN, ENDPOINTS] {
            let said = "both --discovery-token and --discovery-endpoints must be set";
            assert_eq!(bootstrap(&[flag]), Err(said.to_owned()));
        }
        let said = bootstrap(&[TOKEN, ENDPOINTS, "--initial-cluster-state=existing"]);
        let refused = "discovery URL should not be set when joining existing initial cluster";
        assert_eq!(said, Err(refused.to_owned()));
        let said = bootstrap(&[TOKEN, ENDPOINTS, "--discovery-user=me"]);
        assert_eq!(said, Err("--discovery-user needs --discovery-password".to_owned()));
        let said = bootstrap(&[TOKEN, ENDPOINTS, "--discovery-key=k"]);
        assert!(said.unwrap_err().contains("--discovery-cert"));
    }
}
