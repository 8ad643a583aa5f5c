//! What the channel tests share: a watchdog, values that count their drops, tasks to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kcoro::coroutine::Task;

/// Runs `test` on a thread of its own and ends the process if that hangs.
pub fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _done = done;
        test();
    });
    let slow = std::env::var_os("KCORO_TEST_SCALE").is_some();
    if ended.recv_timeout(Duration::from_secs(if slow { 400 } else { 120 }))
        == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
    {
        eprintln!("watchdog: {:?} hangs", std::thread::current().name());
        std::process::abort();
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// How many of some values exist, and how many were dropped.
#[derive(Clone, Default, Debug)]
pub struct Census(Arc<(AtomicUsize, AtomicUsize)>);

impl Census {
    pub fn value(&self, number: usize) -> Counted {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        Counted { number, census: self.clone() }
    }

    pub fn dropped(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    pub fn alive(&self) -> usize {
        self.0.0.load(Ordering::Relaxed) - self.dropped()
    }
}

/// A value whose drop is counted, once.
#[derive(Debug)]
pub struct Counted {
    pub number: usize,
    census: Census,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Resumes `tasks` in turn until all have finished.
pub fn drive(tasks: &[Task]) {
    while !tasks.iter().all(Task::is_finished) {
        for task in tasks.iter().filter(|task| !task.is_finished()) {
            task.resume().unwrap();
        }
    }
}

#[path = "../scale/mod.rs"]
mod scale;
#[allow(unused_imports, reason = "not every program that shares this file has long loops")]
pub use scale::scaled;
