//! Where the endpoints come from: written down, or looked up in DNS and again when none of them
//! answers any more.

use crate::srv::{Names, SrvError};
use crate::tls::{Target, TargetError};

/// The source of endpoints.
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Source {
    Fixed(Vec<String>),
    Srv {
        names: Names,
        domain: String,
        /// Ends the service's name; may be empty.
        name: String,
    },
}

/// Why there are no endpoints.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Srv(#[from] SrvError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("no endpoint is named: give --endpoints or --discovery-srv")]
    Nobody,
}

impl Source {
    /// Whether looking again can bring others.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Srv { .. })
    }

    /// The endpoints as they are now, each once.
    ///
    /// # Errors
    /// There are none, or one is no URL.
    pub async fn targets(&self) -> Result<Vec<Target>, SourceError> {
        let urls = match self {
            Self::Fixed(urls) => urls.clone(),
            Self::Srv { names, domain, name } => names.client_urls(domain, name).await?,
        };
        let mut targets: Vec<Target> = Vec::new();
        for url in &urls {
            let target = url.parse()?;
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        match targets.is_empty() {
            true => Err(SourceError::Nobody),
            false => Ok(targets),
        }
    }
}
