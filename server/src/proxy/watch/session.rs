//! One client's watch stream, without waiting: requests and letters go in, answers come out.
//!
//! Watches begin one after the other: clients expect their confirmations in the order in which
//! they asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use portunus_proto::etcdserverpb::watch_request::RequestUnion;
use portunus_proto::etcdserverpb::{
    ResponseHeader, WatchCreateRequest, WatchRequest, WatchResponse,
};
use tonic::Status;

use super::board::Board;
use super::fragment;
use super::group::Command;
use super::mailbox::Mailbox;
use super::member::Member;
use super::news::{Batch, Letter, Refusal, Seat};
use super::share::{Bearer, Share};
use crate::proxy::metrics;
use crate::types::KeyRange;

/// The id of an answer that is about no single watch.
const NO_WATCH: i64 = -1;
const REASON_DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";
const REASON_EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const REASON_COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

/// The watches of one stream. Dropping it ends them.
pub struct Session {
    board: Arc<Board>,
    bearer: Bearer,
    mailbox: Arc<Mailbox>,
    watches: HashMap<Seat, Watch>,
    ids: HashMap<i64, Seat>,
    next_id: i64,
    ready: VecDeque<WatchResponse>,
    /// The watch that is to begin before anything else is asked.
    beginning: Option<Seat>,
    progress: Progress,
    last: ResponseHeader,
}

struct Watch {
    id: i64,
    share: Arc<Share>,
    fragment: bool,
    progress_notify: bool,
}

/// A client's question how far its watches are.
#[derive(Default)]
struct Progress {
    /// Those that have not said it yet.
    owed: HashSet<Seat>,
    reached: Option<ResponseHeader>,
    /// It was asked again meanwhile.
    again: bool,
}

impl Session {
    pub fn new(board: Arc<Board>, bearer: Bearer) -> Self {
        Self {
            board,
            bearer,
            mailbox: Mailbox::new(),
            watches: HashMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            ready: VecDeque::new(),
            beginning: None,
            progress: Progress::default(),
            last: ResponseHeader::default(),
        }
    }

    pub fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// An answer that is to be sent.
    pub fn pop(&mut self) -> Option<WatchResponse> {
        self.ready.pop_front()
    }

    /// Whether the next request may be taken.
    pub fn listens(&self) -> bool {
        self.beginning.is_none()
    }

    /// A request without content is passed over, as members do.
    pub fn take(&mut self, request: WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(&create),
            Some(RequestUnion::CancelRequest(cancel)) => self.cancel(cancel.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => self.ask_progress(),
            None => {}
        }
    }

    fn create(&mut self, asked: &WatchCreateRequest) {
        if asked.start_revision < 0 {
            return self.refuse(REASON_COMPACTED);
        }
        let range = KeyRange::from_wire(asked.key.clone(), asked.range_end.clone());
        if !asked.key.is_empty() && range.is_empty() {
            return self.refuse(REASON_EMPTY_RANGE);
        }
        let Some(id) = self.choose_id(asked.watch_id) else {
            return self.refuse(REASON_DUPLICATE);
        };
        let seat = self.board.seat();
        let share = Share::new(asked, &self.bearer);
        let watch = Watch {
            id,
            share: share.clone(),
            fragment: asked.fragment,
            progress_notify: asked.progress_notify,
        };
        self.watches.insert(seat, watch);
        self.ids.insert(id, seat);
        self.beginning = Some(seat);
        metrics::CLIENT_WATCHES.inc();
        self.join(seat, asked.start_revision, false);
    }

    fn join(&self, seat: Seat, from: i64, created: bool) {
        let Some(watch) = self.watches.get(&seat) else { return };
        let member = Member {
            seat,
            mailbox: self.mailbox.clone(),
            from,
            created,
            progress_notify: watch.progress_notify,
        };
        self.board.tell(&watch.share, Command::Join(member));
    }

    fn choose_id(&mut self, wanted: i64) -> Option<i64> {
        if wanted != 0 {
            return (!self.ids.contains_key(&wanted)).then_some(wanted);
        }
        while self.ids.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    fn refuse(&mut self, reason: &str) {
        self.ready.push_back(WatchResponse {
            header: Some(self.last),
            watch_id: NO_WATCH,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..Default::default()
        });
    }

    /// An unknown id is passed over in silence.
    fn cancel(&mut self, id: i64) {
        let Some(seat) = self.ids.get(&id).copied() else { return };
        if let Some(watch) = self.remove(seat) {
            self.board.tell(&watch.share, Command::Leave(seat));
        }
        let header = Some(self.last);
        let canceled = WatchResponse { header, watch_id: id, canceled: true, ..Default::default() };
        self.ready.push_back(canceled);
        self.told_progress();
    }

    fn remove(&mut self, seat: Seat) -> Option<Watch> {
        let watch = self.watches.remove(&seat)?;
        metrics::CLIENT_WATCHES.dec();
        self.ids.remove(&watch.id);
        self.progress.owed.remove(&seat);
        if self.beginning == Some(seat) {
            self.beginning = None;
        }
        Some(watch)
    }

    /// Not answered when there is no watch, as members do.
    fn ask_progress(&mut self) {
        if !self.progress.owed.is_empty() {
            self.progress.again = true;
            return;
        }
        self.progress.owed = self.watches.keys().copied().collect();
        for (seat, watch) in &self.watches {
            self.board.tell(&watch.share, Command::Report(*seat));
        }
    }

    fn told_progress(&mut self) {
        if !self.progress.owed.is_empty() {
            return;
        }
        let Some(header) = self.progress.reached.take() else { return };
        let header = Some(header);
        self.ready.push_back(WatchResponse { header, watch_id: NO_WATCH, ..Default::default() });
        if std::mem::take(&mut self.progress.again) {
            self.ask_progress();
        }
    }

    /// Takes what the mailbox held.
    ///
    /// # Errors
    /// The stream ends with this.
    pub fn read(&mut self, letter: Letter) -> Result<(), Status> {
        match letter {
            Letter::Created { seat, header } => self.begin(seat, header),
            Letter::Events { seat, batch, from } => self.events(seat, &batch, from),
            Letter::Progress { seat, header } => self.answer(seat, header, |answer| answer),
            Letter::Reached { seat, header } => {
                if self.progress.owed.remove(&seat) {
                    let reached = self.progress.reached.get_or_insert(header);
                    if header.revision < reached.revision {
                        *reached = header;
                    }
                    self.told_progress();
                }
            }
            Letter::Refused { seat, refusal } => self.refused(seat, refusal),
            Letter::Lagging { seat, from } => {
                self.join(seat, from, true);
                if self.progress.owed.contains(&seat)
                    && let Some(watch) = self.watches.get(&seat)
                {
                    self.board.tell(&watch.share, Command::Report(seat));
                }
            }
            Letter::Ended(status) => return Err(status),
        }
        Ok(())
    }

    fn begin(&mut self, seat: Seat, header: ResponseHeader) {
        if self.beginning == Some(seat) {
            self.beginning = None;
        }
        self.answer(seat, header, |answer| WatchResponse { created: true, ..answer });
    }

    /// What is about a watch that the client has given up is not told.
    fn answer(
        &mut self,
        seat: Seat,
        header: ResponseHeader,
        fill: impl FnOnce(WatchResponse) -> WatchResponse,
    ) {
        self.last = header;
        let Some(watch) = self.watches.get(&seat) else { return };
        let answer =
            WatchResponse { header: Some(header), watch_id: watch.id, ..Default::default() };
        self.ready.push_back(fill(answer));
    }

    fn events(&mut self, seat: Seat, batch: &Batch, from: i64) {
        let Some(watch) = self.watches.get(&seat) else { return };
        let events = batch.events.iter().filter(|(revision, _)| *revision >= from);
        let events: Vec<_> = events.map(|(_, event)| event.clone()).collect();
        let pieces = match watch.fragment {
            true => fragment::pieces(events),
            false => vec![events],
        };
        let last = pieces.len() - 1;
        for (place, events) in pieces.into_iter().enumerate() {
            let fragment = place < last;
            self.answer(seat, batch.header, |answer| WatchResponse { events, fragment, ..answer });
        }
    }

    fn refused(&mut self, seat: Seat, refusal: Refusal) {
        let Some(watch) = self.remove(seat) else { return };
        self.ready.push_back(WatchResponse {
            header: Some(refusal.header),
            watch_id: if refusal.at_once { NO_WATCH } else { watch.id },
            created: refusal.at_once,
            canceled: true,
            compact_revision: refusal.compact_revision,
            cancel_reason: refusal.reason,
            ..Default::default()
        });
        self.told_progress();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (seat, watch) in self.watches.drain() {
            metrics::CLIENT_WATCHES.dec();
            self.board.tell(&watch.share, Command::Leave(seat));
        }
    }
}
