//! An answer on its way: who waits for it, and what must be safe before it may leave.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::ask::{Ask, Said};
use super::error::{Error, Failure};
use crate::auth::Caller;
use crate::decide::Refusal;

/// What a caller gets back.
pub type Delivery = Result<Executed, Bounce>;

/// A request that was executed, or refused by a decision.
#[derive(Debug)]
pub struct Executed {
    pub result: Result<Said, Refusal>,
    /// A member that has applied this log index sees what the answer saw.
    pub index: u64,
}

/// A request that came back without an answer.
#[derive(Debug)]
pub enum Bounce {
    /// Provably not executed; the request is handed back so that it can go elsewhere.
    NotExecuted(Box<Ask>, Failure),
    /// It may or may not have been executed.
    Unknown(Failure),
}

impl From<Bounce> for Error {
    fn from(bounce: Bounce) -> Self {
        match bounce {
            Bounce::NotExecuted(_, failure) | Bounce::Unknown(failure) => Error::Failed(failure),
        }
    }
}

/// A question and the way back to whoever asked.
#[derive(Debug)]
pub struct Call {
    pub ask: Ask,
    /// On whose behalf.
    pub who: Caller,
    /// Its place among those that wait; 0 until it does.
    pub order: u64,
    caller: oneshot::Sender<Delivery>,
    /// Made when somebody wants to know whether the call is still somewhere.
    life: Option<Arc<()>>,
    /// What its caller asks next.
    next: Option<Box<Next>>,
}

/// A question that follows from the answer to another, and is put where that one is decided: its
/// caller need not hear the first answer to ask it.
pub struct Next {
    /// What is asked once this was said, if anything is.
    pub ask: fn(&Ask, &Said) -> Option<Ask>,
    /// Where the first answer goes then. What the second question comes to goes to the caller.
    pub first: oneshot::Sender<Delivery>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next")
    }
}

impl Call {
    /// A question of the server's own.
    pub fn new(ask: Ask) -> (Self, oneshot::Receiver<Delivery>) {
        let (caller, answer) = oneshot::channel();
        (Self { ask, who: Caller::Server, order: 0, caller, life: None, next: None }, answer)
    }

    /// The same question on somebody's behalf.
    pub fn by(self, who: Caller) -> Self {
        Self { who, ..self }
    }

    /// The same question, and another that may follow from its answer.
    pub fn then(self, next: Next) -> Self {
        Self { next: Some(Box::new(next)), ..self }
    }

    /// What is asked next, now that this was decided; this call's answer goes where it is to go
    /// then.
    pub fn follow_up(&mut self, decided: &Result<Said, Refusal>) -> Option<Self> {
        let Next { ask, first } = *self.next.take()?;
        let ask = ask(&self.ask, decided.as_ref().ok()?)?;
        let caller = std::mem::replace(&mut self.caller, first);
        Some(Self { ask, who: self.who.clone(), order: 0, caller, life: None, next: None })
    }

    /// True when nobody waits any more (the client went away or its deadline passed). Such a call
    /// need not be decided; nobody was promised anything.
    pub fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    /// Ends with the call.
    pub fn life(&mut self) -> Weak<()> {
        Arc::downgrade(self.life.get_or_insert_default())
    }

    /// A caller that went away meanwhile has its answer in the log; nothing is lost by the send.
    pub fn answer(self, result: Result<Said, Refusal>, index: u64) {
        let _ = self.caller.send(Ok(Executed { result, index }));
    }

    /// Hands the question back: it had no effect.
    pub fn bounce(self, failure: Failure) {
        let _ = self.caller.send(Err(Bounce::NotExecuted(Box::new(self.ask), failure)));
    }

    /// Gives up on the question: it may have had an effect.
    pub fn lose(self, failure: Failure) {
        let _ = self.caller.send(Err(Bounce::Unknown(failure)));
    }
}

/// A decision that was made and waits until it may leave.
#[derive(Debug)]
pub struct Decided {
    pub call: Call,
    pub result: Result<Said, Refusal>,
    /// It changed nothing, so being applied proves nothing about it: a read-index round that
    /// begins after the decision must say that this leader still led.
    pub confirm: bool,
}
