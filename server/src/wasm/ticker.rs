//! The thread that moves the engine's epoch on, which makes running guest code look at its time.
//! It sleeps for good while nothing runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::bounds::TICK;

/// Ticks without a call before the thread parks, so that steady traffic never wakes it.
const IDLE_TICKS: u32 = 200;

pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Held while guest code runs.
pub(super) struct Running<'a>(&'a Shared);

impl Ticker {
    pub(super) fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("wasm-ticker".to_owned())
            .spawn(move || tick(&of_thread, &engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn running(&self) -> Running<'_> {
        // Pairs with the look at `running` in `tick` after `parked` is set: one of the two sees
        // the other, so no call runs without ticks.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // Its only failure would be a panic, which the hook has already reported.
            let _ = thread.join();
        }
    }
}

fn tick(shared: &Shared, engine: &wasmtime::Engine) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle < IDLE_TICKS {
            std::thread::sleep(TICK);
            engine.increment_epoch();
            continue;
        }
        shared.parked.store(true, Ordering::SeqCst);
        while shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.parked.store(false, Ordering::SeqCst);
        idle = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test waits by the real clock")]

    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::Ticker;

    fn until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < deadline, "{what} does not come");
            std::thread::sleep(super::TICK);
        }
    }

    #[test]
    fn the_ticker_parks_when_nothing_runs_and_a_call_wakes_it() {
        let ticker = Ticker::start(wasmtime::Engine::default()).expect("a thread starts");
        let parked = || ticker.shared.parked.load(Ordering::SeqCst);
        until("parking", parked);
        let running = ticker.running();
        until("ticking", || !parked());
        drop(running);
        until("parking again", parked);
    }

    #[test]
    fn dropping_the_ticker_ends_its_thread() {
        let ticker = Ticker::start(wasmtime::Engine::default()).expect("a thread starts");
        let shared = std::sync::Arc::downgrade(&ticker.shared);
        drop(ticker);
        assert!(shared.upgrade().is_none());
    }
}
