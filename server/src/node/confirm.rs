//! Read-index rounds, shared by everything that waits for one: linearizable reads on any member,
//! and the leader's answers that wrote nothing. A round serves only those who were there before it
//! began, and its result is never used twice.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::answer::Decided;
use super::error::Failure;
use super::metrics;
use super::reign::Leading;
use super::sequencer::Submission;
use super::shared::Shared;

/// What waits for the next round.
enum Waiting {
    Read(oneshot::Sender<Result<u64, Failure>>),
    Answers { decided: Vec<Decided>, index: u64, reign: Leading },
}

/// Where to wait for a round.
pub struct Confirm {
    waiting: mpsc::UnboundedSender<Waiting>,
}

/// The other end of [`Confirm`]; run by one task.
pub struct Rounds {
    waiting: mpsc::UnboundedReceiver<Waiting>,
}

/// How many waiters one round takes at most; the rest have the next one.
const ROUND_WAITERS_MAX: usize = 8192;

impl Confirm {
    pub fn new() -> (Self, Rounds) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { waiting: sender }, Rounds { waiting: receiver })
    }

    /// The log index that a linearizable read which starts now must see applied.
    pub async fn read_index(&self) -> Result<u64, Failure> {
        let (tell, told) = oneshot::channel();
        self.waiting.send(Waiting::Read(tell)).map_err(|_| Failure::Stopped)?;
        told.await.map_err(|_| Failure::Stopped)?
    }

    /// Lets answers leave that saw the state at `index` and were given in `reign`, once a round
    /// says that the reign lasted until after they were given.
    pub fn submit(&self, decided: Vec<Decided>, index: u64, reign: Leading) {
        if decided.is_empty() {
            return;
        }
        if let Err(back) = self.waiting.send(Waiting::Answers { decided, index, reign })
            && let Waiting::Answers { decided, .. } = back.0
        {
            decided.into_iter().for_each(|decided| decided.call.lose(Failure::Stopped));
        }
    }
}

impl Rounds {
    /// Runs until the node is dropped.
    pub async fn run(mut self, shared: Arc<Shared>) {
        let mut waiting = Vec::new();
        while self.waiting.recv_many(&mut waiting, ROUND_WAITERS_MAX).await > 0 {
            let round = shared.read_index_round().await;
            metrics::READ_INDEXES_FAILED.inc_by(u64::from(round.is_err()));
            for waiter in waiting.drain(..) {
                match waiter {
                    // A reader that went away needs nothing.
                    Waiting::Read(tell) => drop(tell.send(round)),
                    Waiting::Answers { decided, index, reign } => {
                        release(&shared, decided, index, reign, round.is_ok());
                    }
                }
            }
        }
    }
}

/// Answers leave if the leader that gave them was still leading; otherwise they are decided again,
/// here or, when they bounce, by whoever leads now.
fn release(shared: &Shared, decided: Vec<Decided>, index: u64, reign: Leading, led: bool) {
    if led && shared.reign() == Some(reign) {
        decided.into_iter().for_each(|decided| decided.call.answer(decided.result, index));
        return;
    }
    for Decided { call, .. } in decided {
        if let Err(full) = shared.queue.try_send(Submission::Call(call)) {
            bounce(full.into_inner());
        }
    }
}

fn bounce(submission: Submission) {
    if let Submission::Call(call) = submission {
        call.bounce(Failure::TooManyRequests);
    }
}
