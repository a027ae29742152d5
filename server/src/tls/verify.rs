//! What certificates must prove beyond their chain: an allowed name or host, and not to be revoked.
//! And, for who asks for it, a verifier that believes everything.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use super::authority::{Purpose, unless_trusted_itself};
use super::certificate::Facts;
use super::files::{LoadError, revoked};

/// Names and hosts of which a certificate must have one, and numbers of which it must have none.
#[derive(Debug, Default)]
pub struct Demands {
    names: Vec<String>,
    hosts: Vec<ServerName<'static>>,
    revoked: HashSet<Vec<u8>>,
}

/// A certificate whose number is on the revocation list; etcd's text.
#[derive(Debug, thiserror::Error)]
#[error("transport: certificate serial {} revoked", hex(.0))]
pub struct Revoked(Vec<u8>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Demands {
    pub fn new(names: &[String], hosts: &[String], crl: Option<&Path>) -> Result<Self, LoadError> {
        let host = |host: &String| {
            ServerName::try_from(host.clone()).map_err(|_| LoadError::Host(host.clone()))
        };
        Ok(Self {
            names: names.to_vec(),
            hosts: hosts.iter().map(host).collect::<Result<_, _>>()?,
            revoked: crl.map(revoked).transpose()?.unwrap_or_default(),
        })
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        if !self.is_allowed(end_entity)? {
            // The other side hears of a bad certificate, as from etcd.
            return Err(CertificateError::NotValidForName.into());
        }
        if self.revoked.is_empty() {
            return Ok(());
        }
        for certificate in std::iter::once(end_entity).chain(intermediates) {
            let facts = Facts::of(certificate).ok_or(CertificateError::BadEncoding)?;
            if self.revoked.contains(&facts.serial) {
                let revoked = OtherError(Arc::new(Revoked(facts.serial)));
                return Err(CertificateError::Other(revoked).into());
            }
        }
        Ok(())
    }

    fn is_allowed(&self, end_entity: &CertificateDer<'_>) -> Result<bool, Error> {
        if !self.names.is_empty() {
            let facts = Facts::of(end_entity).ok_or(CertificateError::BadEncoding)?;
            return Ok(self.names.contains(&facts.common_name));
        }
        if self.hosts.is_empty() {
            return Ok(true);
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        Ok(self.hosts.iter().any(|host| verify_server_name(&parsed, host).is_ok()))
    }
}

/// Of clients.
#[derive(Debug)]
pub struct ClientCheck {
    chain: Arc<dyn ClientCertVerifier>,
    roots: Arc<RootCertStore>,
    demands: Demands,
}

impl ClientCheck {
    pub fn new(
        roots: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        demands: Demands,
    ) -> Result<Arc<Self>, LoadError> {
        let chain = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let chain = chain.build().map_err(|error| LoadError::Setup(error.to_string()))?;
        Ok(Arc::new(Self { chain, roots, demands }))
    }
}

impl ClientCertVerifier for ClientCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Err(refused) = self.chain.verify_client_cert(end_entity, intermediates, now) {
            unless_trusted_itself(refused, end_entity, &self.roots, Purpose::Client, now)?;
        }
        self.demands.check(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Of servers.
#[derive(Debug)]
pub struct ServerCheck {
    /// `None` believes everything.
    chain: Option<(Arc<WebPkiServerVerifier>, Arc<RootCertStore>)>,
    demands: Demands,
    provider: Arc<CryptoProvider>,
}

impl ServerCheck {
    /// `roots` is `None` to believe everything.
    pub fn new(
        roots: Option<Arc<RootCertStore>>,
        provider: &Arc<CryptoProvider>,
        demands: Demands,
    ) -> Result<Arc<Self>, LoadError> {
        let chain = roots.map(|roots| {
            let chain =
                WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
            let chain = chain.build().map_err(|error| LoadError::Setup(error.to_string()))?;
            Ok::<_, LoadError>((chain, roots))
        });
        Ok(Arc::new(Self { chain: chain.transpose()?, demands, provider: provider.clone() }))
    }
}

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some((chain, roots)) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if let Err(refused) = verified {
            unless_trusted_itself(refused, end_entity, roots, Purpose::Server, now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        self.demands.check(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
