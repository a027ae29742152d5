//! What a write policy may look like, and its answer.

use std::fmt::Display;

use crate::bindings::host::portunus::plugin::types;
use crate::{Context, Verdict, Write};

impl Verdict {
    /// Refuses the whole transaction; `reason` reaches its caller.
    pub fn refuse(reason: impl Into<String>) -> Self {
        Verdict::Refuse(reason.into())
    }
}

/// What a write policy may return: `Verdict`, or `Result<(), E>` or `Result<Verdict, E>` with an
/// `E` that can be displayed, whose text is the reason of a refusal.
#[diagnostic::on_unimplemented(
    message = "a write policy cannot return `{Self}`",
    label = "this is no verdict",
    note = "write `fn policy(cx: &Context, writes: &[Write]) -> Verdict`, or return `Result` or \
            `Result<Verdict>`, whose error refuses"
)]
pub trait IntoVerdict {
    /// The verdict.
    fn into_verdict(self) -> Verdict;
}

impl IntoVerdict for Verdict {
    fn into_verdict(self) -> Verdict {
        self
    }
}

impl<E: Display> IntoVerdict for Result<(), E> {
    fn into_verdict(self) -> Verdict {
        self.map(|()| Verdict::Allow).into_verdict()
    }
}

impl<E: Display> IntoVerdict for Result<Verdict, E> {
    fn into_verdict(self) -> Verdict {
        self.unwrap_or_else(|reason| Verdict::refuse(reason.to_string()))
    }
}

/// Serves one call. The bound says what the function has to look like.
pub fn check<F, R>(policy: F, context: types::Context, writes: &[Write]) -> Verdict
where
    F: Fn(&Context, &[Write]) -> R,
    R: IntoVerdict,
{
    crate::rt::init();
    policy(&Context::of(context), writes).into_verdict()
}
