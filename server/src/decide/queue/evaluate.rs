//! Whether a queue's condition holds, and what it waits for.

use bytes::Bytes;
use portunus_proto::portunus::v1::{QueueItem, QueueReadiness};
use prost::Message;

use super::condition::{self, Condition};
use super::keys::{self, Queue};
use crate::decide::writer::Writer;
use crate::decide::{QueueRefusal, Refusal};
use crate::effect::{Binding, Mode, Point};
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId};

/// The outcome, and why it is no.
#[derive(Debug, Default)]
pub struct Verdict {
    pub holds: bool,
    pub waits_for: Vec<String>,
    /// When to look again, whatever changes.
    pub until_ms: Option<u64>,
}

/// How many items may leave.
#[derive(Debug)]
pub struct Allowance {
    /// `None` is any number.
    pub items: Option<u64>,
    pub verdict: Verdict,
}

/// Counts a range and notes that it was.
pub fn count(writer: &mut Writer<'_>, range: &KeyRange) -> u64 {
    if let Some(reads) = writer.reads() {
        reads.note_range(range);
    }
    writer.head.items().count(range) as u64
}

pub fn number(writer: &mut Writer<'_>, key: &Bytes) -> Option<u64> {
    std::str::from_utf8(writer.get(key)?.value()).ok()?.parse().ok()
}

/// The queue's condition; a text with a mistake, put before the name was a queue, refuses.
pub fn condition_of(writer: &mut Writer<'_>, queue: Queue<'_>) -> Result<Condition, Refusal> {
    let key = queue.condition();
    let Some(item) = writer.get(&key) else { return Ok(Condition::All(Vec::new())) };
    condition::parse(item.value()).map_err(|mistake| {
        Refusal::Queue(QueueRefusal::Text {
            key: String::from_utf8_lossy(&key).into_owned(),
            at: mistake.at,
            what: mistake.what,
        })
    })
}

/// What may leave the tidied queue now. Of a condition on size as many as were ready when it was
/// met, and whatever was delivered before.
pub fn allowance(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    said: Option<&QueueReadiness>,
    now_ms: u64,
) -> Result<Allowance, Refusal> {
    let condition = condition_of(writer, queue)?;
    let mut said = said.cloned();
    if let Some(plugin) = condition.plugin() {
        let Some(binding) = condition_binding(writer.head, queue.name(), plugin) else {
            return Err(Refusal::Queue(QueueRefusal::NoCondition {
                queue: String::from_utf8_lossy(queue.name()).into_owned(),
                plugin: plugin.to_owned(),
            }));
        };
        // A disabled one holds nothing up.
        if binding.mode == Mode::Disabled {
            said = Some(QueueReadiness {
                plugin: plugin.to_owned(),
                ready: true,
                ..QueueReadiness::default()
            });
        }
    }
    let said = said.as_ref();
    let mut asking = Asking { writer, now_ms, size: Size::Never, said };
    let verdict = asking.evaluate(&condition);
    let Some(size) = condition.size().filter(|_| !verdict.holds) else {
        let items = if verdict.holds { None } else { Some(0) };
        return Ok(Allowance { items, verdict });
    };
    let writer = asking.writer;
    let ready = count(writer, &queue.ready());
    let open = open_batch(writer, queue);
    let again = first(writer, queue).is_some_and(|item| item.attempts > 0);
    let known = if open > 0 || again { Size::Passed } else { Size::Ready(ready) };
    let verdict = Asking { writer, now_ms, size: known, said }.evaluate(&condition);
    let items = match verdict.holds {
        false => 0,
        true if open > 0 => open,
        true if again => 1,
        true if ready >= size => fresh(writer, queue),
        true => 0,
    };
    Ok(Allowance { items: Some(items), verdict })
}

/// The plugin that a queue's condition names, if it can be read.
pub fn plugin_of(state: &State, name: &[u8]) -> Option<String> {
    let text = state.get(&Queue::named(name).ok()?.condition())?;
    condition::parse(text.value()).ok()?.plugin().map(str::to_owned)
}

/// The binding that a queue's condition means by a plugin's name: the one with the longest prefix
/// of the queue's name.
pub fn condition_binding<'a>(state: &'a State, queue: &[u8], plugin: &str) -> Option<&'a Binding> {
    let record = state.registry().plugins.get(plugin)?;
    let bindings = record.current.bindings.iter().filter(|binding| {
        binding.point == Point::QueueCondition && queue.starts_with(&binding.prefix)
    });
    bindings.max_by_key(|binding| binding.prefix.len())
}

/// The key of a ready item, whatever its priority: one look for each priority in use.
pub fn ready_key(state: &State, queue: Queue<'_>, id: u64) -> Option<Bytes> {
    let ready = queue.ready();
    let mut from = ready.clone();
    loop {
        let rank = queue.rank(state.items().range(&from).next()?.key())?;
        let key = queue.ready_key(keys::PRIORITY_MAX.checked_sub(rank)?, id);
        if state.get(&key).is_some() {
            return Some(key);
        }
        if rank >= keys::PRIORITY_MAX {
            return None;
        }
        from = KeyRange { start: queue.ready_from(rank + 1), end: ready.end.clone() };
    }
}

/// Items that may still leave because they were ready when the size was met: of this condition, not
/// of one that stood there before.
pub fn open_batch(writer: &mut Writer<'_>, queue: Queue<'_>) -> u64 {
    let condition = writer.get(&queue.condition()).map(Item::mod_revision);
    let noted = writer.get(&queue.batch()).and_then(|item| {
        let (rest, of) = std::str::from_utf8(item.value()).ok()?.split_once(' ')?;
        Some((rest.parse().ok()?, of.parse::<i64>().ok()?))
    });
    noted.filter(|(_, of)| Some(*of) == condition).map_or(0, |(rest, _)| rest)
}

pub fn set_batch(writer: &mut Writer<'_>, queue: Queue<'_>, rest: u64) {
    match writer.get(&queue.condition()).map(Item::mod_revision) {
        Some(of) if rest > 0 => {
            let text = format!("{rest} {of}");
            writer.put(&queue.batch(), text.as_bytes(), LeaseId::NONE);
        }
        _ => drop(writer.delete(&KeyRange::single(queue.batch()))),
    }
}

fn first(writer: &Writer<'_>, queue: Queue<'_>) -> Option<QueueItem> {
    let item = writer.head.items().range(&queue.ready()).next()?;
    QueueItem::decode(item.value()).ok()
}

/// Ready items that were never delivered. Walks all of them, once for each time the size is met.
fn fresh(writer: &Writer<'_>, queue: Queue<'_>) -> u64 {
    let ready = writer.head.items().range(&queue.ready());
    let is_fresh = |item: &QueueItem| item.attempts == 0;
    ready.filter_map(|item| QueueItem::decode(item.value()).ok()).filter(is_fresh).count() as u64
}

/// What a size is held against.
#[derive(Clone, Copy)]
enum Size {
    Never,
    Ready(u64),
    /// What is next has passed already.
    Passed,
}

struct Asking<'a, 'w> {
    writer: &'a mut Writer<'w>,
    now_ms: u64,
    size: Size,
    /// What the plugin of the condition said, if it was asked.
    said: Option<&'a QueueReadiness>,
}

impl Asking<'_, '_> {
    fn evaluate(&mut self, condition: &Condition) -> Verdict {
        match condition {
            Condition::All(parts) => self.all(parts),
            Condition::Any(parts) => self.any(parts),
            Condition::Size(size) => {
                let (holds, ready) = match self.size {
                    Size::Never => (false, 0),
                    Size::Ready(ready) => (ready >= *size, ready),
                    Size::Passed => (true, 0),
                };
                verdict(holds, || format!("size>={size}: {ready} are ready"))
            }
            Condition::After(names) => self.after(names),
            Condition::Key { key, value } => self.key(key, value.as_deref()),
            Condition::Time(when) => {
                let until = when.next(self.now_ms);
                let shown = || format!("time: next at unix {}", until / 1000);
                let verdict = verdict(when.holds(self.now_ms), shown);
                Verdict { until_ms: (!verdict.holds).then_some(until), ..verdict }
            }
            Condition::Plugin(name) => {
                let said = self.said.filter(|said| said.plugin == *name);
                let note = said.map(|said| &said.note[..]).filter(|note| !note.is_empty());
                let shown = || match note {
                    Some(note) => format!("plugin {name}, {note}"),
                    None => format!("plugin {name}"),
                };
                verdict(said.is_some_and(|said| said.ready), shown)
            }
        }
    }

    fn all(&mut self, parts: &[Condition]) -> Verdict {
        let mut all = Verdict { holds: true, ..Verdict::default() };
        for part in parts {
            let part = self.evaluate(part);
            if !part.holds {
                all.holds = false;
                all.waits_for.extend(part.waits_for);
                all.until_ms = sooner(all.until_ms, part.until_ms);
            }
        }
        all
    }

    fn any(&mut self, parts: &[Condition]) -> Verdict {
        let mut any = Verdict::default();
        for part in parts {
            let part = self.evaluate(part);
            if part.holds {
                return part;
            }
            any.waits_for.extend(part.waits_for);
            any.until_ms = sooner(any.until_ms, part.until_ms);
        }
        any.waits_for = vec![format!("any of: {}", any.waits_for.join("; "))];
        any
    }

    fn after(&mut self, names: &[String]) -> Verdict {
        let mut all = Verdict { holds: true, ..Verdict::default() };
        for name in names {
            let left = match self.is_queue(name) {
                Some(queue) => self.left_in(queue),
                None if self.writer.get(&Bytes::from(name.clone())).is_some() => None,
                None => Some(format!("after {name}: there is no such key or queue")),
            };
            all.holds &= left.is_none();
            all.waits_for.extend(left);
        }
        all
    }

    fn is_queue<'n>(&mut self, name: &'n str) -> Option<Queue<'n>> {
        let queue = Queue::named(name.as_bytes()).ok()?;
        number(self.writer, &queue.seq()).filter(|seq| *seq > 0).map(|_| queue)
    }

    fn left_in(&mut self, queue: Queue<'_>) -> Option<String> {
        let ranges = [queue.ready(), queue.delayed(), queue.taken(), queue.dead()];
        let [ready, delayed, taken, dead] = ranges.map(|range| count(self.writer, &range));
        (ready + delayed + taken + dead > 0).then(|| {
            let name = String::from_utf8_lossy(queue.name()).into_owned();
            format!("after {name}: {ready} ready, {delayed} delayed, {taken} taken, {dead} dead")
        })
    }

    fn key(&mut self, key: &str, value: Option<&str>) -> Verdict {
        let found = self.writer.get(&Bytes::from(key.to_owned()));
        match (found, value) {
            (None, _) => verdict(false, || format!("key {key}: it is not there")),
            (Some(_), None) => verdict(true, String::new),
            (Some(item), Some(value)) => {
                let holds = item.value() == value.as_bytes();
                verdict(holds, || format!("key {key}: it is not {value}"))
            }
        }
    }
}

fn verdict(holds: bool, waits_for: impl FnOnce() -> String) -> Verdict {
    let waits_for = if holds { Vec::new() } else { vec![waits_for()] };
    Verdict { holds, waits_for, until_ms: None }
}

/// The earlier of two times, where there are any.
pub fn sooner(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}
