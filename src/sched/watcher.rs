//! The thread that watches descriptors for coroutines that no worker runs.
//!
//! A coroutine driven by hand may be resumed on any thread, so its interest cannot stay with one.
//! The thread starts when the first of them waits, sleeps in the kernel, and ends some seconds after
//! the last wait.
//!
//! # Invariants
//!
//! 1. Whenever a wait is in the table, `runs` is set and the thread will look at its poller.
//! 2. The table is not locked while the thread sleeps.
//!
//! # Who calls this, and what it may call
//!
//! [`wait_ready`](super::io::wait_ready). Nothing here suspends.

#![forbid(unsafe_code)]

use std::os::fd::RawFd;
use std::sync::LazyLock;

use super::io::{Descriptors, Interest};
use crate::prim::Mutex;
use crate::sys::Errno;
use crate::token::{Claim, SlotRef, Wait};

/// Nanoseconds without a wait after which the thread ends.
const LINGER: u64 = 5_000_000_000;

struct Watch {
    descriptors: Descriptors,
    runs: bool,
}

static WATCH: LazyLock<Mutex<Watch>> =
    LazyLock::new(|| Mutex::new(Watch { descriptors: Descriptors::new(), runs: false }));

/// Registers a wait. `Ok(false)`: the descriptor is of a kind that never blocks.
///
/// # Errors
///
/// The kernel's: the descriptor cannot be watched, or there is no thread to be had.
pub(super) fn register(fd: RawFd, interest: Interest, wait: &Wait) -> Result<bool, Errno> {
    let mut watch = WATCH.lock();
    let registered = watch.descriptors.register(fd, interest, wait)?;
    if registered && !watch.runs {
        let thread = std::thread::Builder::new().name("kcoro-watcher".into());
        if let Err(error) = thread.spawn(run) {
            watch.descriptors.withdraw(fd, wait.slot(), wait.generation());
            return Err(Errno::of(error));
        }
        watch.runs = true;
    }
    Ok(registered)
}

/// Takes a wait out that has ended otherwise.
pub(super) fn withdraw(fd: RawFd, slot: SlotRef, generation: u32) {
    WATCH.lock().descriptors.withdraw(fd, slot, generation);
}

fn run() {
    let mut lingered = false;
    loop {
        let poller = {
            let mut watch = WATCH.lock();
            let idle = !watch.descriptors.is_active();
            match watch.descriptors.poller() {
                Some(poller) if !(idle && lingered) => (poller, idle),
                _ => {
                    watch.runs = false;
                    return;
                }
            }
        };
        let (poller, idle) = poller;
        let mut ready = Vec::new();
        poller.wait(idle.then_some(LINGER), |event| ready.push(event));
        lingered = idle && ready.is_empty();
        let claims = WATCH.lock().descriptors.report(ready);
        claims.into_iter().for_each(Claim::wake);
    }
}
