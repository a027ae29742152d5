//! Certificates that a member makes for itself (`--auto-tls`, `--peer-auto-tls`). Who uses one
//! trusts nobody in particular: it hides what is said and proves nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use super::files::LoadError;

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfSigned {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// The certificate in `dir`, made for `hosts` (names or addresses) when there is none. It holds for
/// `years` of 365 days from `now`, in milliseconds since 1970. One that is there is used as it is.
///
/// # Errors
/// It cannot be made or written.
pub fn self_signed(
    dir: &Path,
    hosts: &[String],
    years: u32,
    now: u64,
) -> Result<SelfSigned, LoadError> {
    let files = SelfSigned { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") };
    if files.cert_file.exists() && files.key_file.exists() {
        return Ok(files);
    }
    let failed = |error: rcgen::Error| LoadError::Setup(error.to_string());
    let begin = OffsetDateTime::from_unix_timestamp((now / 1000) as i64);
    let begin = begin.map_err(|error| LoadError::Setup(error.to_string()))?;
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "etcd");
    params.not_before = begin;
    params.not_after = begin + Duration::days(365) * years;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    tracing::warn!(
        "certificate-validity-bound-not-after" = %params.not_after,
        "automatically generate certificates"
    );
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let unwritable = |path: &Path, error: std::io::Error| LoadError::Read {
        path: path.to_owned(),
        why: error.to_string(),
    };
    fs::create_dir_all(dir).map_err(|error| unwritable(dir, error))?;
    let all = [(&files.key_file, key.serialize_pem()), (&files.cert_file, certificate.pem())];
    for (path, text) in all {
        write(path, &text).map_err(|error| unwritable(path, error))?;
        tracing::info!(path = %path.display(), "created a file of a generated certificate");
    }
    Ok(files)
}

/// Whole or not at all, and for this user alone.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("tmp");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)
}
