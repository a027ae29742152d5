//! What the lane works on, and what it hands to the sequencer.

use bytes::Bytes;

use crate::decide::{Refusal, Request, Write};
use crate::effect::BindingId;
use crate::node::answer::Call;
use crate::node::reign::Leading;
use crate::view::ReadSet;

/// A call that plugins have a say in.
#[derive(Debug)]
pub struct Job {
    pub call: Call,
    /// When it came, as a number: jobs of a binding run in this order, those that must run again
    /// before those that came later.
    pub order: u64,
    /// How often it was overtaken by writes that its binding's other calls did not make.
    pub tries: u32,
}

/// What a job's plugins come to.
#[derive(Debug)]
pub enum Finding {
    /// These writes belong to the transaction, and this is the recipe's reply.
    Commit {
        added: Vec<Write>,
        payload: Bytes,
        /// What is decided on, where it is more than was asked: with what plugins said of it.
        request: Option<Box<Request>>,
    },
    Refuse(Refusal),
    /// A trigger could not handle its events.
    Failed(String),
    /// The recipe waits until something it read changes, or until this time in unix milliseconds.
    Wait(Option<u64>),
}

/// A job with its finding and what that rests on.
#[derive(Debug)]
pub struct Judged {
    pub job: Job,
    pub finding: Finding,
    pub reads: ReadSet,
    /// The foreseen revisions of earlier jobs of the batch whose writes it has seen.
    pub under: Vec<i64>,
    /// The revision it was judged at, foreseen for all but the first of a batch.
    pub before: i64,
    /// The revision foreseen after it; the same when it writes nothing.
    pub after: i64,
    /// The keys it writes.
    pub wrote: Vec<Bytes>,
}

/// Jobs of one binding, judged one after the other, each on the head as the one before leaves it.
#[derive(Debug)]
pub struct Verdicts {
    pub binding: BindingId,
    /// The reign whose head it was: with another, the head may hold what never came to be.
    pub reign: Leading,
    /// The revision of that head.
    pub base: i64,
    pub judged: Vec<Judged>,
}
