//! Tells what it is told, at each extension point, by writing it down under its prefix. The
//! server's tests load it and compare.

use portunus_sdk::prelude::*;

recipes!(context, dice, add, hold, hold_until, reject, garbage);

/// Refuses values that say so, and keeps a row for every other write.
#[write_policy]
fn note(cx: &Context, writes: &[Write]) -> Result {
    for (n, write) in writes.iter().enumerate() {
        let text = match write {
            Write::Put(put) if put.value == b"refuse" => refuse(write.key_text())?,
            Write::Put(put) => format!(
                "{} puts {}={} on {} over {}",
                cx.caller().unwrap_or("nobody"),
                text(&put.key),
                text(&put.value),
                put.lease,
                row(put.previous.as_ref())
            ),
            Write::Delete(delete) => {
                format!("deletes {} over {}", text(&delete.key), row(Some(&delete.previous)))
            }
        };
        cx.put(cx.key(format!("note/{n}")), text);
    }
    metrics::count("noted", writes.len() as u64);
    Ok(())
}

/// Appends each event to a log, and fails on values that say so.
#[trigger]
fn follow(cx: &Context, batch: &Batch) -> Result {
    let mut lines = Vec::new();
    if let Some(missed) = batch.missed() {
        lines.push(format!("missed {} to {}", missed.first, missed.last));
    }
    for event in batch {
        lines.push(match event {
            Event::Put(put) if put.item.value == b"fail" => refuse("told to fail")?,
            Event::Put(put) => {
                format!("put {} over {}", row(Some(&put.item)), row(put.previous.as_ref()))
            }
            Event::Delete(delete) => format!(
                "delete {} at {} over {}",
                text(&delete.key),
                delete.mod_revision,
                row(delete.previous.as_ref())
            ),
        });
    }
    cx.put(cx.key("log"), lines.join("\n"));
    Ok(())
}

/// What a recipe knows of its call.
#[recipe]
fn context(cx: &Context) -> Result<Bytes> {
    log::warn("asked for the context");
    let prefix = text(cx.binding_prefix());
    let setting: String = cx.config("setting").unwrap_or_default();
    let caller = cx.caller().unwrap_or("nobody");
    let now = cx.now().as_millis();
    Ok(Bytes(format!("{} {prefix} {caller} {setting} {now}", cx.name()).into_bytes()))
}

/// As many random bytes as its payload has.
#[recipe]
fn dice(cx: &Context, payload: Bytes) -> Result<Bytes> {
    Ok(Bytes(cx.random(payload.0.len() as u32)))
}

/// Adds the payload to a counter, and reads back what it wrote.
#[recipe]
fn add(cx: &Context, by: i64) -> Result<i64> {
    let key = cx.key("total");
    let total = cx.get_json::<i64>(&key)?.unwrap_or(0) + by;
    cx.put_json(&key, &total)?;
    metrics::observe("added", by as f64);
    Ok(cx.get_json(&key)?.unwrap_or_default())
}

/// Waits for a key.
#[recipe]
fn hold(cx: &Context) -> Result<Bytes> {
    cx.get(cx.key("gate")).map_or_else(wait, |item| Ok(Bytes(item.value)))
}

/// Waits for a key, but not beyond its payload.
#[recipe]
fn hold_until(cx: &Context, millis: u64) -> Result<Bytes> {
    match cx.get(cx.key("gate")) {
        Some(item) => Ok(Bytes(item.value)),
        None => wait_until(Time::from_millis(millis)),
    }
}

/// Writes, and then says no.
#[recipe]
fn reject(cx: &Context) -> Result {
    cx.put(cx.key("rejected"), "x");
    refuse("as it always does")
}

/// Finds fault with any payload.
#[recipe]
fn garbage(_cx: &Context, payload: Bytes) -> Result {
    invalid(format!("{} bytes of garbage", payload.0.len()))
}

fn row(item: Option<&Item>) -> String {
    item.map_or_else(
        || "nothing".to_owned(),
        |item| {
            format!(
                "{}={}@{}/{}/{}",
                text(&item.key),
                text(&item.value),
                item.create_revision,
                item.mod_revision,
                item.version
            )
        },
    )
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
