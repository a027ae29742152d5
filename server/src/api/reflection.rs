//! gRPC reflection, so that generic clients can list and call what this server offers. It names
//! only the services of the client port; the descriptors hold the peer protocol too.

use portunus_proto::FILE_DESCRIPTOR_SET;
use tonic_reflection::server::{Builder, Error, v1, v1alpha};

/// The current reflection protocol.
pub fn newer(
    services: &[&str],
) -> Result<v1::ServerReflectionServer<impl v1::ServerReflection>, Error> {
    builder(services).build_v1()
}

/// The protocol before it, which many tools still speak.
pub fn older(
    services: &[&str],
) -> Result<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>, Error> {
    builder(services).build_v1alpha()
}

fn builder<'b>(services: &[&str]) -> Builder<'b> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    services.iter().fold(builder, |builder, service| builder.with_service_name(*service))
}
