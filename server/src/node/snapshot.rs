//! The whole state on its way to another member: the store's rows and records in chunks, written
//! while entries go on being applied, and gathered on the other side into a store beside the live
//! one and a state that replaces the live one in one step.
//!
//! A chunk is a list of parts: a tag byte, then for a row its key and value, for a record its
//! revision and encoded form, each length-prefixed; one part says where the records end.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint};

use super::past;
use crate::machine::{self, State, What};
use crate::mvcc::History;
use crate::raft::{CHUNK_BYTES_MAX, Installer, LogId, SnapshotSource, Staged, Stager};
use crate::storage::{self, Installed, Record, Store};
use crate::types::Revision;

const ROW: u8 = 1;
const RECORD: u8 = 2;
const HEAD: u8 = 3;
/// A chunk is closed when it has this much; one more part may make it larger.
const CHUNK_BYTES: usize = CHUNK_BYTES_MAX / 2;

/// Reads a store snapshot chunk by chunk.
pub struct Source {
    snapshot: Arc<storage::Snapshot>,
    rows: std::vec::IntoIter<(Bytes, Bytes)>,
    /// Where the next chunk's records begin; `None` at the end.
    from: Option<Revision>,
    closed: bool,
}

impl Source {
    pub fn new(store: &Store) -> Result<Self, storage::Error> {
        let snapshot = Arc::new(store.snapshot()?);
        let rows = snapshot.rows()?.into_iter();
        Ok(Self { snapshot, rows, from: Some(Revision::default()), closed: false })
    }
}

impl SnapshotSource for Source {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        while out.len() < CHUNK_BYTES {
            let Some((key, value)) = self.rows.next() else { break };
            out.put_u8(ROW);
            put(&mut out, &key);
            put(&mut out, &value);
        }
        if let Some(from) = self.from.filter(|_| out.len() < CHUNK_BYTES) {
            self.from = None;
            for record in self.snapshot.records_from(from) {
                let (at, record) = record.map_err(io::Error::other)?;
                if out.len() >= CHUNK_BYTES {
                    self.from = Some(at);
                    break;
                }
                out.put_u8(RECORD);
                out.put_slice(&at.to_bytes());
                put(&mut out, &record.encode());
            }
        }
        let ended = self.rows.as_slice().is_empty() && self.from.is_none();
        if ended && !self.closed {
            self.closed = true;
            out.put_u8(HEAD);
            out.put_slice(&self.snapshot.head().to_bytes());
        }
        Ok((!out.is_empty()).then(|| out.freeze()))
    }
}

/// Opens places beside the live store where snapshots are gathered.
pub struct StoreStager(pub Arc<Store>);

impl Stager for StoreStager {
    fn begin(&self, last: Option<LogId>) -> io::Result<Box<dyn Installer>> {
        let installer = self.0.installer().map_err(io::Error::other)?;
        let index = last.map_or(0, |last| last.index);
        Ok(Box::new(Gathering { installer, index, rows: vec![], records: vec![], head: None }))
    }
}

/// A gathered snapshot: a complete store, and the state that is in it.
pub struct Complete {
    pub installed: Installed,
    pub state: State,
    pub history: History,
}

struct Gathering {
    installer: storage::Installer,
    index: u64,
    rows: Vec<(Bytes, Bytes)>,
    records: Vec<(Revision, What)>,
    head: Option<Revision>,
}

impl Installer for Gathering {
    fn chunk(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while bytes.has_remaining() {
            match bytes.get_u8() {
                ROW => {
                    let (key, value) = (get(&mut bytes)?, get(&mut bytes)?);
                    self.installer.row(&key, value.clone());
                    self.rows.push((key, value));
                }
                RECORD => {
                    let at = revision(&mut bytes)?;
                    let record = Record::decode(&get(&mut bytes)?, at).map_err(io::Error::other)?;
                    self.installer.record(at, &record).map_err(io::Error::other)?;
                    self.records.push((at, past::what(record)));
                }
                HEAD => self.head = Some(revision(&mut bytes)?),
                other => return Err(damaged(&format!("unknown part {other}"))),
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Staged> {
        let head = self.head.ok_or_else(|| damaged("it has no end"))?;
        let (state, history) = machine::load(self.rows, self.records).map_err(io::Error::other)?;
        let installed = self.installer.finish(self.index, head).map_err(io::Error::other)?;
        Ok(Staged::new(Complete { installed, state, history }))
    }
}

fn put(out: &mut BytesMut, bytes: &[u8]) {
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}

fn get(bytes: &mut Bytes) -> io::Result<Bytes> {
    let len = decode_varint(bytes).map_err(io::Error::other)?;
    match usize::try_from(len) {
        Ok(len) if len <= bytes.len() => Ok(bytes.split_to(len)),
        _ => Err(damaged("a part ends early")),
    }
}

fn revision(bytes: &mut Bytes) -> io::Result<Revision> {
    let len = Revision::default().to_bytes().len();
    let at = (bytes.len() >= len).then(|| bytes.split_to(len));
    at.and_then(|at| Revision::from_bytes(&at)).ok_or_else(|| damaged("a revision ends early"))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("snapshot is damaged: {what}"))
}
