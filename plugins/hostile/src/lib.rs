//! Breaks one limit of the server at a time, at each extension point: the word after the last `/`
//! of the first key, or the recipe's payload, says which. Other words do nothing. The server's
//! tests load it.

use std::hint::black_box;

use portunus_sdk::prelude::*;

recipes!(act, overflow, starve);

#[write_policy]
fn check(cx: &Context, writes: &[Write]) -> Result {
    let key = writes[0].key();
    deed(cx, word_of(key), key)
}

#[trigger]
fn handle(cx: &Context, events: &[Event]) -> Result {
    // A delete does nothing, so that a test can end a cycle.
    let Some(item) = events.first().and_then(Event::item) else { return Ok(()) };
    match word_of(&item.key) {
        b"cycle" => cx.put(&item.key, b""),
        word => deed(cx, word, &item.key)?,
    }
    Ok(())
}

/// Does the deed that the payload names.
#[recipe]
fn act(cx: &Context, payload: Bytes) -> Result<Bytes> {
    deed(cx, &payload.0, &cx.key("act"))?;
    Ok(payload)
}

/// Replies as many bytes as it is asked for.
#[recipe]
fn overflow(_cx: &Context, bytes: usize) -> Result<Bytes> {
    Ok(Bytes(vec![b'x'; bytes]))
}

/// Waits for a time that is always past.
#[recipe]
fn starve(cx: &Context) -> Result {
    wait_until(cx.now())
}

fn word_of(key: &[u8]) -> &[u8] {
    key.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn deed(cx: &Context, word: &[u8], key: &[u8]) -> Result {
    match word {
        b"loop" => endless_loop(),
        b"recurse" => refuse(recurse(1))?,
        b"memory" => take_memory(),
        b"reads" => read_on(cx, key),
        b"range" => refuse(cx.prefix("").count())?,
        b"writes" => write_on(cx, key),
        b"deletes" => delete_on(cx, key),
        b"random" => draw_on(cx),
        b"much-random" => drop(black_box(cx.random(u32::MAX))),
        b"metrics" => count_on(),
        b"panic" => panic_on_purpose(key),
        b"index" => refuse(black_box(&[0_u8][..])[key.len()])?,
        b"log-lines" => log_on(),
        b"log-line" => log::info("x".repeat(8 << 20)),
        b"reason" => refuse("x".repeat(4 << 20))?,
        b"big-reason" => refuse("x".repeat((1 << 20) + 1))?,
        b"big-change" => cx.put(key, vec![0; 4 << 20]),
        b"many-changes" => write_each(cx, 1_000),
        b"very-many-changes" => write_each(cx, 100_000),
        b"elsewhere" => drop(cx.get("elsewhere/k")),
        b"write-elsewhere" => cx.put("elsewhere/k", ""),
        b"no-lease" => cx.put_with_lease(key, "", i64::MAX),
        b"abort" => std::process::abort(),
        b"remember" => remember(),
        b"wait" => wait()?,
        b"fail" => refuse("it always fails")?,
        _ => {}
    }
    Ok(())
}

#[inline(never)]
fn panic_on_purpose(key: &[u8]) {
    panic!("on purpose, in {}", String::from_utf8_lossy(key))
}

fn endless_loop() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) + black_box(1) }
}

fn take_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 64 * 1024]));
    }
}

fn read_on(cx: &Context, key: &[u8]) {
    loop {
        black_box(cx.get(key));
    }
}

fn write_on(cx: &Context, key: &[u8]) {
    loop {
        cx.put(key, "");
    }
}

fn delete_on(cx: &Context, key: &[u8]) {
    loop {
        black_box(cx.delete(key));
    }
}

fn draw_on(cx: &Context) {
    loop {
        black_box(cx.random(1024));
    }
}

fn count_on() {
    for name in 0_u64.. {
        metrics::count(&format!("name_{name}"), 1);
        metrics::observe(&format!("size_{name}"), f64::NAN);
    }
}

fn log_on() {
    loop {
        log::info("");
    }
}

fn write_each(cx: &Context, keys: u32) {
    for key in 0..keys {
        cx.put(cx.key(format!("many/{key}")), "");
    }
}

/// Keeps two megabytes more in its globals with every call.
fn remember() {
    std::mem::forget(black_box(vec![1_u8; 2 << 20]));
}
