//! Certificates that are their own authority, as `openssl req -x509` makes them. Who trusts such an
//! authority trusts its holder, in Go and so in etcd; rustls takes no authority for a peer, and says
//! so in the refusal that comes here.

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What the holder of a certificate is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Client,
    Server,
}

/// Takes back the refusal of a certificate that is itself one of `roots`, by its name and its key,
/// and holds now, for this purpose. Of everything else the refusal stays.
pub fn unless_trusted_itself(
    refused: Error,
    certificate: &CertificateDer<'_>,
    roots: &RootCertStore,
    purpose: Purpose,
    now: UnixTime,
) -> Result<(), Error> {
    let mut own = RootCertStore::empty();
    if own.add(certificate.clone().into_owned()).is_err() {
        return Err(refused);
    }
    if !own.roots.iter().all(|itself| roots.roots.contains(itself)) {
        return Err(refused);
    }
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Err(refused) };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if seconds < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if seconds > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    let Ok(usage) = parsed.extended_key_usage() else { return Err(refused) };
    let fits = usage.is_none_or(|usage| {
        let named = match purpose {
            Purpose::Client => usage.value.client_auth,
            Purpose::Server => usage.value.server_auth,
        };
        usage.value.any || named
    });
    if fits { Ok(()) } else { Err(CertificateError::InvalidPurpose.into()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };
    use rustls::pki_types::{CertificateDer, UnixTime};
    use rustls::{CertificateError, Error, RootCertStore};

    use super::{Purpose, unless_trusted_itself};

    /// 2026-01-01.
    const NOW_SECONDS: u64 = 1_767_225_600;

    fn own_authority(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2022, 1, 1);
        params.not_after = date_time_ymd(2032, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signed").der().clone()
    }

    fn judged(shown: &CertificateDer<'_>, trusted: &CertificateDer<'_>) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone().into_owned()).expect("an authority");
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW_SECONDS));
        let refused = CertificateError::UnknownIssuer.into();
        unless_trusted_itself(refused, shown, &roots, Purpose::Client, now)
    }

    #[test]
    fn a_trusted_authority_is_trusted_itself_while_it_holds_and_as_what_it_may_be() {
        let own = own_authority(|_| {});
        assert_eq!(judged(&own, &own), Ok(()));
        // The same name is nothing without the key.
        let other = own_authority(|_| {});
        assert_eq!(judged(&other, &own), Err(CertificateError::UnknownIssuer.into()));
        let over = own_authority(|params| params.not_after = date_time_ymd(2025, 1, 1));
        assert_eq!(judged(&over, &over), Err(CertificateError::Expired.into()));
        let early = own_authority(|params| params.not_before = date_time_ymd(2027, 1, 1));
        assert_eq!(judged(&early, &early), Err(CertificateError::NotValidYet.into()));
        let usages = |usage| own_authority(|params| params.extended_key_usages = vec![usage]);
        let server = usages(ExtendedKeyUsagePurpose::ServerAuth);
        assert_eq!(judged(&server, &server), Err(CertificateError::InvalidPurpose.into()));
        let client = usages(ExtendedKeyUsagePurpose::ClientAuth);
        assert_eq!(judged(&client, &client), Ok(()));
    }

    #[test]
    fn what_is_no_certificate_stays_refused() {
        let own = own_authority(|_| {});
        let nonsense = CertificateDer::from(vec![1, 2, 3]);
        assert_eq!(judged(&nonsense, &own), Err(CertificateError::UnknownIssuer.into()));
    }
}
