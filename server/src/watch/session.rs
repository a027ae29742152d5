//! The watchers of one stream, as a machine without waiting: requests go in, answers come out,
//! and [`Session::work`] does what can be done at once. The stream around it does the waiting.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::board::{Course, Query};
use super::history::{HistoryError, Scan, Scanned};
use super::hub::Shared;
use super::index::Wants;
use super::mailbox::{Contents, Delivery, Mailbox};
use super::message::{
    Create, Ended, NO_WATCHER, REASON_COMPACTED, REASON_DUPLICATE, REASON_EMPTY_RANGE, Response,
};
use super::ring::ReadLimit;
use super::watcher::{Place, Watcher};
use crate::types::KeyRange;

/// Watchers brought up by one look at the ring or one read of the history: bounds what a step
/// gathers.
const CATCH_UP_WATCHERS: usize = 64;
/// One look at the ring; it is taken under the publisher's lock, some 10 ns for each revision.
const CATCH_UP_LIMIT: ReadLimit = ReadLimit { revisions: 256, bytes: 2 * 1024 * 1024 };
/// Bytes of one read of the history, so that a stream neither holds a thread nor memory for long.
const SCAN_BYTES: usize = 1024 * 1024;
/// A list of deliveries larger than this is given back after a burst, not kept for the next.
const SPARE_DELIVERIES: usize = 1024;

/// What is left to do after [`Session::work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Call it again: there is more than one step's work.
    More,
    /// Nothing before the mailbox is rung, the timer turns or a scan is done.
    Idle,
}

/// Revisions to bring watchers up with, and what was compacted when they were read.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    revisions: &'a [Arc<super::event::Committed>],
    compacted: i64,
}

#[derive(Debug)]
pub(super) struct Session {
    shared: Arc<Shared>,
    number: usize,
    mailbox: Arc<Mailbox>,
    /// By slots of our own, which nobody can choose so that they collide.
    watchers: FxHashMap<u64, Watcher>,
    slots: HashMap<i64, u64>,
    next_slot: u64,
    next_id: i64,
    /// Slots that are behind and not in a scan.
    behind: VecDeque<u64>,
    /// Slots that are behind the ring, with the revision up to which the history is to be read.
    scannable: VecDeque<(u64, i64)>,
    scanning: bool,
    ready: VecDeque<Response>,
    progress_asked: bool,
    progress_due: bool,
    spare: Vec<Delivery>,
    dirty: Vec<u64>,
    ended: Option<Ended>,
}

impl Session {
    pub(super) fn open(shared: Arc<Shared>) -> Self {
        let (number, mailbox) = shared.board.lock().open();
        Self {
            shared,
            number,
            mailbox,
            watchers: FxHashMap::default(),
            slots: HashMap::new(),
            next_slot: 0,
            next_id: 0,
            behind: VecDeque::new(),
            scannable: VecDeque::new(),
            scanning: false,
            ready: VecDeque::new(),
            progress_asked: false,
            progress_due: false,
            spare: Vec::new(),
            dirty: Vec::new(),
            ended: None,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn watchers(&self) -> usize {
        self.watchers.len()
    }

    pub(super) fn create(&mut self, create: Create) {
        if create.start_revision < 0 {
            return self.refuse(REASON_COMPACTED.into());
        }
        let key = if create.key.is_empty() { Bytes::from_static(&[0]) } else { create.key };
        let range = KeyRange::from_wire(key, create.range_end);
        if range.is_empty() {
            return self.refuse(REASON_EMPTY_RANGE.into());
        }
        let Some(id) = self.choose_id(create.watch_id) else {
            return self.refuse(REASON_DUPLICATE.into());
        };
        let wants =
            Wants { no_put: create.no_put, no_delete: create.no_delete, prev_kv: create.prev_kv };
        let slot = self.next_slot;
        self.next_slot += 1;
        let mut board = self.shared.board.lock();
        let (applied, start) = (board.applied, create.start_revision);
        self.ready.push_back(Response::created(id, applied));
        if start != 0 && start < board.compacted {
            let gone = Response::compacted(id, board.compacted);
            return self.ready.push_back(gone);
        }
        board.watchers += 1;
        let place = if start == 0 || start > applied {
            let from = if start == 0 { applied + 1 } else { start };
            board.go_live(self.number, Query { slot, next: from, range: &range, wants }, from);
            Place::Live { from }
        } else {
            self.behind.push_back(slot);
            Place::Behind { next: start }
        };
        drop(board);
        let mut watcher = Watcher::new(id, range, wants, place);
        watcher.fragment = create.fragment;
        watcher.progress_notify = create.progress_notify;
        self.slots.insert(id, slot);
        self.watchers.insert(slot, watcher);
    }

    /// `None` when the client's choice is taken.
    fn choose_id(&mut self, wanted: i64) -> Option<i64> {
        if wanted != 0 {
            return (!self.slots.contains_key(&wanted)).then_some(wanted);
        }
        while self.slots.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    /// Answers a create request that is refused, in its place among the answers.
    pub(super) fn refuse(&mut self, reason: Cow<'static, str>) {
        let applied = self.shared.board.lock().applied;
        self.ready.push_back(Response::refused(applied, reason));
    }

    /// An unknown id is passed over in silence.
    pub(super) fn cancel(&mut self, watch_id: i64) {
        let Some(slot) = self.slots.get(&watch_id).copied() else { return };
        self.remove(slot);
        let applied = self.shared.board.lock().applied;
        self.ready.push_back(Response::canceled(watch_id, applied));
    }

    fn remove(&mut self, slot: u64) -> Option<Watcher> {
        let watcher = self.watchers.remove(&slot)?;
        self.slots.remove(&watcher.id);
        self.shared.board.lock().forget(self.number, slot);
        Some(watcher)
    }

    /// Asks for one answer when all watchers have all events.
    pub(super) fn request_progress(&mut self) {
        self.progress_asked = true;
    }

    /// The progress interval is over.
    pub(super) fn tick(&mut self) {
        self.progress_due = true;
    }

    pub(super) fn wants_ticks(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.progress_notify)
    }

    pub(super) fn pop(&mut self) -> Option<Response> {
        self.ready.pop_front()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// One step: takes what the publisher left, then brings some watchers up from the ring.
    pub(super) fn work(&mut self) -> Work {
        self.drain();
        if self.behind.is_empty() {
            return Work::Idle;
        }
        self.catch_up();
        Work::More
    }

    fn drain(&mut self) {
        let spare = std::mem::take(&mut self.spare);
        if self.progress_asked || self.progress_due {
            // Under the publisher's lock: everything up to `applied` is in what is taken.
            let board = self.shared.board.lock();
            let applied = board.applied;
            let contents = self.mailbox.take(spare);
            drop(board);
            self.unpack(contents);
            self.report_progress(applied);
        } else {
            let contents = self.mailbox.take(spare);
            self.unpack(contents);
        }
    }

    fn unpack(&mut self, contents: Contents) {
        let Contents { mut deliveries, behind, ended, .. } = contents;
        let bytes_max = self.shared.options.response_bytes_max;
        for Delivery { slot, revision, event } in deliveries.drain(..) {
            let Some(watcher) = self.watchers.get_mut(&slot) else { continue };
            if watcher.push(revision, event, bytes_max, &mut self.ready) {
                self.dirty.push(slot);
            }
        }
        for slot in self.dirty.drain(..) {
            if let Some(watcher) = self.watchers.get_mut(&slot) {
                watcher.finish(bytes_max, &mut self.ready);
            }
        }
        for notice in behind {
            if let Some(watcher) = self.watchers.get_mut(&notice.slot) {
                watcher.place = Place::Behind { next: watcher.resume(notice.next) };
                self.behind.push_back(notice.slot);
            }
        }
        if deliveries.capacity() <= SPARE_DELIVERIES {
            self.spare = deliveries;
        }
        self.ended = self.ended.take().or(ended);
    }

    /// `applied` is a revision up to which every live watcher's events are in `ready` or sent.
    fn report_progress(&mut self, applied: i64) {
        if std::mem::take(&mut self.progress_due) {
            let mut told: Vec<i64> = Vec::new();
            for watcher in self.watchers.values_mut().filter(|watcher| watcher.progress_notify) {
                if watcher.idle && watcher.synced_at(applied) {
                    told.push(watcher.id);
                }
                watcher.idle = true;
            }
            told.sort_unstable();
            self.ready.extend(told.into_iter().map(|id| Response::progress(id, applied)));
        }
        if self.watchers.is_empty() {
            self.progress_asked = false;
        }
        if self.progress_asked && self.watchers.values().all(|watcher| watcher.synced_at(applied)) {
            self.progress_asked = false;
            self.ready.push_back(Response::progress(NO_WATCHER, applied));
        }
    }

    fn catch_up(&mut self) {
        let Self { behind, watchers, .. } = self;
        let some = behind.len().min(CATCH_UP_WATCHERS);
        let slots: Vec<u64> = behind.drain(..some).collect();
        let queries: Vec<Query<'_>> = slots
            .iter()
            .filter_map(|slot| watchers.get(slot).and_then(|watcher| watcher.query(*slot)))
            .collect();
        let asked: Vec<u64> = queries.iter().map(|query| query.slot).collect();
        let mut board = self.shared.board.lock();
        let (courses, chunk) = board.catch_up(self.number, &queries, CATCH_UP_LIMIT);
        let chunk = Chunk { revisions: &chunk, compacted: board.compacted };
        drop(board);
        for (slot, course) in asked.into_iter().zip(courses) {
            match course {
                Course::Live { from } => self.advance(slot, chunk, Place::Live { from }),
                Course::Continue { next } => {
                    self.advance(slot, chunk, Place::Behind { next });
                    self.behind.push_back(slot);
                }
                Course::History { to } => self.scannable.push_back((slot, to)),
                Course::Compacted { at } => self.lose(slot, at),
            }
        }
    }

    fn advance(&mut self, slot: u64, chunk: Chunk<'_>, place: Place) {
        let bytes_max = self.shared.options.response_bytes_max;
        if let Some(watcher) = self.watchers.get_mut(&slot) {
            watcher.take_from(chunk.revisions, chunk.compacted, bytes_max, &mut self.ready);
            watcher.place = place;
        }
    }

    fn lose(&mut self, slot: u64, compacted: i64) {
        if let Some(watcher) = self.remove(slot) {
            self.ready.push_back(Response::compacted(watcher.id, compacted));
        }
    }

    /// The next read of the history, when there is one to make and none under way. Its result
    /// comes back through [`Session::scanned`].
    pub(super) fn scan(&mut self) -> Option<Scan> {
        if self.scanning || self.scannable.is_empty() {
            return None;
        }
        let some = self.scannable.len().min(CATCH_UP_WATCHERS);
        let mut scan = Scan {
            from: i64::MAX,
            to: i64::MAX,
            members: Vec::new(),
            ranges: Vec::new(),
            wants: Vec::new(),
            bytes_max: SCAN_BYTES,
        };
        for (slot, to) in self.scannable.drain(..some) {
            let Some(watcher) = self.watchers.get(&slot) else { continue };
            let Place::Behind { next } = watcher.place else { continue };
            scan.from = scan.from.min(next);
            scan.to = scan.to.min(to);
            scan.members.push(slot);
            scan.ranges.push(watcher.range.clone());
            scan.wants.push(watcher.wants);
        }
        self.scanning = !scan.members.is_empty();
        self.scanning.then_some(scan)
    }

    pub(super) fn scanned(&mut self, scanned: Scanned) {
        self.scanning = false;
        let Scanned { members, from, found } = scanned;
        let compacted = self.shared.board.lock().compacted;
        let (chunk, next, gone) = match found {
            Ok((chunk, next)) => (chunk, next, compacted),
            Err(HistoryError::Compacted(at)) => (Vec::new(), 0, compacted.max(at).max(from + 1)),
            Err(HistoryError::Failed(text)) => {
                self.ended.get_or_insert(Ended::History(text));
                return;
            }
        };
        for slot in members {
            let Some(place) = self.watchers.get(&slot).map(|watcher| watcher.place) else {
                continue;
            };
            match place {
                // Records may have been removed under the scan's feet.
                Place::Behind { next: own } if own < gone => self.lose(slot, gone),
                Place::Behind { next: own } => {
                    let chunk = Chunk { revisions: &chunk, compacted };
                    self.advance(slot, chunk, Place::Behind { next: own.max(next) });
                    self.behind.push_back(slot);
                }
                Place::Live { .. } => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.board.lock().close(self.number, self.watchers.len());
    }
}
