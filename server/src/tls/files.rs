//! Reads certificates, keys and revocation lists from files. Errors name the file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::certificate::Facts;

/// Why TLS cannot be set up from these files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("open {}: {why}", path.display())]
    Read { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    Content { path: PathBuf, why: String },
    #[error("the private key in {} does not match the certificate in {}", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("{0:?} is neither a host name nor an address")]
    Host(String),
    #[error("tls cannot be set up: {0}")]
    Setup(String),
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|error| LoadError::Read {
        path: path.to_owned(),
        // As the system says it, without the number that Rust adds.
        why: match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        },
    })
}

fn content(path: &Path, why: impl ToString) -> LoadError {
    LoadError::Content { path: path.to_owned(), why: why.to_string() }
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let text = read(path)?;
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(content(path, "holds no certificate in PEM form")),
        Ok(all) => Ok(all),
        Err(error) => Err(content(path, format!("not PEM: {error}"))),
    }
}

/// The common name of the file's first certificate; empty when it has none.
pub fn common_name(cert: &Path) -> Result<String, LoadError> {
    let chain = certificates(cert)?;
    let facts = chain.first().and_then(Facts::of);
    facts.map(|facts| facts.common_name).ok_or_else(|| content(cert, "holds no certificate"))
}

/// A certificate with its chain and key, which belong together.
pub fn certified_key(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, LoadError> {
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => content(key, "holds no private key in PEM form"),
        error => content(key, format!("not PEM: {error}")),
    })?;
    match CertifiedKey::from_der(chain, private, provider) {
        Ok(certified) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(LoadError::Mismatch { cert: cert.to_owned(), key: key.to_owned() })
        }
        Err(rustls::Error::InvalidCertificate(error)) => Err(content(cert, error)),
        Err(error) => Err(content(key, format!("the key cannot be used: {error}"))),
    }
}

/// Whose certificates are believed: those of the file, or the system's.
pub fn roots(path: Option<&Path>) -> Result<Arc<RootCertStore>, LoadError> {
    let mut roots = RootCertStore::empty();
    match path {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| content(path, error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = "the system has no certificate authorities: name one in a file";
                return Err(LoadError::Setup(why.to_owned()));
            }
        }
    }
    Ok(Arc::new(roots))
}

/// The serial numbers that a revocation list (DER, or PEM) names.
pub fn revoked(path: &Path) -> Result<HashSet<Vec<u8>>, LoadError> {
    let bytes = read(path)?;
    let der = match CertificateRevocationListDer::from_pem_slice(&bytes) {
        Ok(der) => der.to_vec(),
        Err(_) => bytes,
    };
    let (_, list) = CertificateRevocationList::from_der(&der)
        .map_err(|error| content(path, format!("not a revocation list: {error}")))?;
    Ok(list
        .iter_revoked_certificates()
        .map(|revoked| revoked.user_certificate.to_bytes_be())
        .collect())
}
