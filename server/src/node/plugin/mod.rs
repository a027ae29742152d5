//! What plugins are asked and what they answer: the bindings in force, a plugin's view of a
//! transaction in the making, the hearing of policies, recipes and triggers, and the evaluation of
//! jobs one after the other. Runs on the lane's threads; nothing here changes the head.

mod bindings;
mod evaluation;
mod events;
mod hearing;
mod job;
mod line_view;
mod locks;
mod overlay;
mod queues;
mod view;

pub use bindings::{Bindings, Named};
pub use evaluation::Evaluation;
pub use events::{Handled, TriggerBatch};
pub use hearing::{Ended, Hearing, Matter, Said};
pub use job::{Finding, Job, Judged, Verdicts};
pub use queues::condition_word;
