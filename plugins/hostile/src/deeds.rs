//! The deeds, by name.

use std::hint::black_box;

use portunus_sdk::prelude::*;

/// Does what the last part of `key` names. What it returns is refused or replied.
pub fn commit(cx: &Context, key: &[u8]) -> Option<String> {
    match key.rsplit(|byte| *byte == b'/').next().unwrap_or_default() {
        b"loop" => endless_loop(),
        b"recurse" => return Some(recurse(1).to_string()),
        b"memory" => take_memory(),
        b"reads" => read_on(cx),
        b"clock" => ask_the_time_on(cx),
        b"range" => return Some(cx.range::<&str>(..).count().to_string()),
        b"secret" => drop(cx.get("secret/a")),
        b"panic" => panic_on_purpose(key),
        b"index" => return Some(key[key.len() + 7].to_string()),
        b"abort" => std::process::abort(),
        b"log-lines" => log_on(),
        b"log-line" => log::info("x".repeat(8 << 20)),
        b"big-answer" => return Some("x".repeat((1 << 20) + 1)),
        b"huge-answer" => return Some("x".repeat(4 << 20)),
        b"writes" => write_on(cx),
        b"deletes" => delete_on(cx),
        b"clear" => return Some(cx.delete_range::<&str>(..).to_string()),
        b"big-writes" => write_much(cx),
        b"huge-write" => cx.put(cx.key("k"), vec![0; 4 << 20]),
        b"no-key" => cx.put("", "v"),
        b"random" => drop(cx.random(1025)),
        b"metric-names" => name_metrics(),
        b"metric-name" => metrics::count("hits{plugin=\"other\"}", 1),
        b"metric-storm" => count_on(),
        b"remember" => remember(),
        _ => {}
    }
    None
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

fn read_on(cx: &Context) {
    loop {
        black_box(cx.get(cx.key("a")));
    }
}

fn ask_the_time_on(cx: &Context) {
    loop {
        black_box(cx.now());
    }
}

fn log_on() {
    loop {
        log::info("");
    }
}

fn write_on(cx: &Context) {
    loop {
        cx.put(cx.key("k"), "v");
    }
}

fn delete_on(cx: &Context) {
    loop {
        black_box(cx.delete(cx.key("k")));
    }
}

fn write_much(cx: &Context) {
    loop {
        cx.put(cx.key("k"), vec![0; 100_000]);
    }
}

fn name_metrics() {
    for n in 0_u32.. {
        metrics::count(&format!("name_{n}"), 1);
    }
}

fn count_on() {
    loop {
        metrics::observe("one_name", 1.0);
    }
}

/// Keeps two megabytes more in its globals with every call.
fn remember() {
    std::mem::forget(black_box(vec![1_u8; 2 << 20]));
}
