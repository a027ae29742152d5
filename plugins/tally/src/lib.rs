//! Keeps a row for each event it is told of, and their number. A row that is there already says
//! that an event was told twice, and is marked. The server's tests compare rows and events.

use portunus_sdk::prelude::*;

#[trigger]
fn tally(cx: &Context, batch: &Batch) -> Result {
    let mut count = cx.get_json::<u64>("tally/count")?.unwrap_or(0);
    if let Some(missed) = batch.missed() {
        cx.put(format!("tally/missed/{}-{}", missed.first, missed.last), "");
    }
    for event in batch {
        let (revision, key) = match event {
            Event::Put(put) if put.item.value == b"fail" => refuse("told to fail")?,
            Event::Put(put) => (put.item.mod_revision, &put.item.key),
            Event::Delete(delete) => (delete.mod_revision, &delete.key),
        };
        let row = format!("tally/row/{revision:012}/{}", String::from_utf8_lossy(key));
        let mark = if cx.get(&row).is_some() { "twice" } else { "once" };
        cx.put(row, mark);
        count += 1;
    }
    if cx.config("echo").unwrap_or(false) {
        cx.put(cx.key("echo"), count.to_string());
    }
    cx.put_json("tally/count", &count)
}
