//! Breaks one limit of the server at a time: the word after the last `/` of the first key says
//! which. Keys that name none are allowed. The server's tests load it.

use std::hint::black_box;

use portunus_sdk::prelude::*;

#[write_policy]
fn hostile(_cx: &Context, writes: &[Write]) -> Verdict {
    let key = writes[0].key();
    match key.rsplit(|byte| *byte == b'/').next().unwrap_or_default() {
        b"loop" => endless_loop(),
        b"recurse" => Verdict::refuse(recurse(1).to_string()),
        b"memory" => take_memory(),
        b"reads" => read_on(key),
        b"range" => Verdict::refuse(store::prefix("", u32::MAX).len().to_string()),
        b"panic" => panic_on_purpose(key),
        b"index" => Verdict::refuse(writes[writes.len() + 7].key_text()),
        b"log-lines" => log_on(),
        b"log-line" => log_at_once(),
        b"reason" => Verdict::refuse("x".repeat(4 << 20)),
        b"big-reason" => Verdict::refuse("x".repeat((1 << 20) + 1)),
        b"big-change" => Verdict::allow_with([Change::put("k", vec![0; 4 << 20])]),
        b"many-changes" => Verdict::allow_with((0..1000).map(|_| Change::delete("k"))),
        b"very-many-changes" => Verdict::allow_with((0..100_000).map(|_| Change::delete("k"))),
        b"abort" => std::process::abort(),
        b"remember" => remember(),
        _ => Verdict::Allow,
    }
}

#[inline(never)]
fn panic_on_purpose(key: &[u8]) -> Verdict {
    panic!("on purpose, in {}", String::from_utf8_lossy(key))
}

fn endless_loop() -> Verdict {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) + black_box(1) }
}

fn take_memory() -> Verdict {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 64 * 1024]));
    }
}

fn read_on(key: &[u8]) -> Verdict {
    loop {
        black_box(store::get(key));
    }
}

fn log_on() -> Verdict {
    loop {
        log::info("");
    }
}

fn log_at_once() -> Verdict {
    log::info("x".repeat(8 << 20));
    Verdict::Allow
}

/// Keeps two megabytes more in its globals with every call.
fn remember() -> Verdict {
    std::mem::forget(black_box(vec![1_u8; 2 << 20]));
    Verdict::Allow
}
