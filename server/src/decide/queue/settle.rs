//! Setting a queue's texts, by its service or by anybody's put, and refusing mistakes in them.

use bytes::Bytes;
use portunus_proto::portunus::v1::QueueConfigureRequest;

use super::condition;
use super::config::{self, Mistake};
use super::keys::Queue;
use crate::decide::writer::Writer;
use crate::decide::{QueueRefusal, Refusal};
use crate::types::{KeyRange, LeaseId};

fn refused(key: &Bytes, mistake: Mistake) -> Refusal {
    let key = String::from_utf8_lossy(key).into_owned();
    Refusal::Queue(QueueRefusal::Text { key, at: mistake.at, what: mistake.what })
}

fn check(key: &Bytes, value: &[u8]) -> Result<(), Refusal> {
    let checked = match key.ends_with(b"/condition") {
        true => condition::parse(value).map(drop),
        false => config::parse(value).map(drop),
    };
    checked.map_err(|mistake| refused(key, mistake))
}

/// Refuses a put of a queue's condition or settings with a mistake. Keys of such names elsewhere
/// are nobody's business: a name is a queue once something was put in or it was configured.
pub fn check_put(writer: &mut Writer<'_>, key: &Bytes, value: &[u8]) -> Result<(), Refusal> {
    let name = key.strip_suffix(b"/condition").or_else(|| key.strip_suffix(b"/config"));
    let Some(queue) = name.and_then(|name| Queue::named(name).ok()) else { return Ok(()) };
    match writer.get(&queue.seq()) {
        Some(_) => check(key, value),
        None => Ok(()),
    }
}

pub fn configure(writer: &mut Writer<'_>, request: &QueueConfigureRequest) -> Result<(), Refusal> {
    let queue = Queue::named(&request.queue)?;
    let texts = [(queue.config(), &request.config), (queue.condition(), &request.condition)];
    for (key, text) in &texts {
        check(key, text.as_deref().unwrap_or_default().as_bytes())?;
    }
    for (key, text) in texts {
        match text.as_deref() {
            None => {}
            Some("") => drop(writer.delete(&KeyRange::single(key))),
            Some(text) => drop(writer.put(&key, text.as_bytes(), LeaseId::NONE).is_some()),
        }
    }
    if writer.get(&queue.seq()).is_none() {
        writer.put(&queue.seq(), b"0", LeaseId::NONE);
    }
    Ok(())
}
