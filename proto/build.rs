//! Compiles every .proto file beside it, without a system protoc. The descriptors are embedded as
//! they are for reflection; the code is generated from a patched copy, see [`patch`].

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Messages the server keeps encoded: fields of these types become `bytes` where listed below.
/// On the wire a message field and a bytes field are the same.
const ENCODED_FIELDS: [(&str, &[&str]); 5] = [
    ("etcdserverpb.RangeResponse", &["kvs"]),
    ("etcdserverpb.PutResponse", &["prev_kv"]),
    ("etcdserverpb.DeleteRangeResponse", &["prev_kvs"]),
    ("etcdserverpb.WatchResponse", &["events"]),
    ("mvccpb.Event", &["kv", "prev_kv"]),
];

/// Names whose snake case would be unreadable (`peer_ur_ls`). Names are not on the wire.
const RENAMED_FIELDS: [(&str, &str); 2] =
    [("peerURLs", "peer_urls"), ("clientURLs", "client_urls")];

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");

    let files = proto_files(&root)?;
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let mut set = protox::compile(&files, [&root]).context("compile the .proto files")?;
    fs::write(out.join("portunus.fds"), set.encode_to_vec())?;

    patch(&mut set)?;
    tonic_prost_build::configure()
        .bytes(".")
        .build_client(true)
        .build_server(true)
        .compile_fds(set)
        .context("generate code from the descriptors")
}

/// Every .proto file below the crate's folders, in a stable order. A changed folder is seen too,
/// so that a new file needs no mention here.
fn proto_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("src") && !path.ends_with("target") {
            println!("cargo::rerun-if-changed={}", path.display());
            for file in fs::read_dir(&path)? {
                files.push(file?.path());
            }
        } else {
            files.push(path);
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    Ok(files)
}

/// Turns the fields of [`ENCODED_FIELDS`] into bytes and applies [`RENAMED_FIELDS`].
fn patch(set: &mut FileDescriptorSet) -> Result<()> {
    let mut patched = 0;
    for file in &mut set.file {
        let package = file.package().to_owned();
        for message in &mut file.message_type {
            rename_fields(message);
            let full_name = format!("{package}.{}", message.name());
            for (name, fields) in ENCODED_FIELDS {
                if name == full_name {
                    patched += encode_fields(message, fields);
                }
            }
        }
    }
    let expected: usize = ENCODED_FIELDS.iter().map(|(_, fields)| fields.len()).sum();
    ensure!(patched == expected, "{patched} of {expected} fields patched: a name has changed");
    Ok(())
}

fn encode_fields(message: &mut DescriptorProto, names: &[&str]) -> usize {
    let mut patched = 0;
    for field in &mut message.field {
        if names.contains(&field.name()) && field.r#type() == Type::Message {
            field.set_type(Type::Bytes);
            field.type_name = None;
            patched += 1;
        }
    }
    patched
}

fn rename_fields(message: &mut DescriptorProto) {
    for field in &mut message.field {
        for (from, to) in RENAMED_FIELDS {
            if field.name() == from {
                field.name = Some(to.to_owned());
            }
        }
    }
}
