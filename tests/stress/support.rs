//! What the stress tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kcoro::Runtime;

use super::scale::scaled;
use super::watchdog::watchdog_with;

/// `release` rounds in an optimised build, a hundredth of them otherwise; fewer in slow gates.
pub fn rounds(release: u64) -> u64 {
    scaled(if cfg!(debug_assertions) { release / 100 } else { release } as usize) as u64
}

/// A runtime, and a watchdog that says what its coroutines wait for if the test hangs.
pub fn watched(name: &'static str, workers: usize) -> (Runtime, impl Drop) {
    let rt = Runtime::builder().workers(workers).name(name).build().unwrap();
    let observer = rt.observer();
    let dog = watchdog_with(name, move || eprintln!("{}", observer.dump(Duration::from_secs(2))));
    (rt, dog)
}

/// Counts those that are alive.
#[derive(Debug)]
pub struct Counted(Arc<AtomicU64>);

impl Counted {
    pub fn new(alive: &Arc<AtomicU64>) -> Counted {
        alive.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Numbers that differ from round to round and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
