//! A plain thread's sleep: a flag that only the winner of the wait word sets, and a futex under it.
//!
//! The flag lives in the slot, which is never unmapped, so a winner may still call the kernel with
//! its address after the thread has gone on, waits elsewhere, or has exited. Such a late wake is
//! spurious for whoever owns the slot by then, and [`Parker::park`] looks at the flag again.
//!
//! ```text
//!              park              notify
//!   +-------+ -----> +--------+ -------> +----------+
//!   | EMPTY |        | ASLEEP | (+ futex)| NOTIFIED |
//!   +-------+ <----- +--------+          +----------+
//!    |   ^   deadline                      ^     |
//!    |   +---------------- park -----------|-----+
//!    +-------------------- notify ---------+
//! ```
//!
//! | from     | call            | to       | who    | order             | the caller must now        |
//! |----------|-----------------|----------|--------|-------------------|----------------------------|
//! | EMPTY    | park            | ASLEEP   | thread | Acquire           | sleep in the kernel        |
//! | NOTIFIED | park            | EMPTY    | thread | Acquire           | go on: the value is there  |
//! | ASLEEP   | park, deadline  | EMPTY    | thread | Acquire           | try to end its own wait    |
//! | EMPTY    | notify          | NOTIFIED | winner | Release           | nothing                    |
//! | ASLEEP   | notify          | NOTIFIED | winner | Release           | wake the futex (it does)   |
//!
//! Pairs: (N) `notify` Release publishes the moved value to the Acquire of `park`.

use crate::prim::{AtomicU32, Ordering};
use std::fmt;
use std::marker::PhantomData;

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const ASLEEP: u32 = 2;

/// Sleeping and waking on a word, as the kernel does it.
pub(super) trait Futex {
    /// A moment in time.
    type Deadline: Copy;
    /// Sleeps while `word` holds `expected`; `false` when the deadline has passed.
    fn wait(&self, word: &AtomicU32, expected: u32, deadline: Option<Self::Deadline>) -> bool;
    /// Wakes one sleeper of `word`.
    fn wake(&self, word: &AtomicU32);
}

/// The orderings that matter, so that a test can weaken one and see its model fail.
pub(super) trait Orders {
    /// `notify`'s swap.
    const NOTIFY: Ordering = Ordering::Release;
    /// `park`'s look at the flag.
    const PARK: Ordering = Ordering::Acquire;
}

/// The orderings as they ship.
#[derive(Debug)]
pub(super) struct Shipped;

impl Orders for Shipped {}

/// One thread's flag; at most one thread parks on it at a time.
pub(super) struct Parker<O = Shipped> {
    flag: AtomicU32,
    orders: PhantomData<O>,
}

impl<O: Orders> Parker<O> {
    /// An empty flag.
    pub(super) fn new() -> Parker<O> {
        Parker { flag: AtomicU32::new(EMPTY), orders: PhantomData }
    }

    /// Forgets an old notification; for a slot that gets another owner.
    pub(super) fn reset(&self) {
        self.flag.store(EMPTY, Ordering::Relaxed);
    }

    /// Lets the one `park` of this wait return. Async-signal-safe if the futex is.
    pub(super) fn notify<F: Futex>(&self, futex: &F) {
        // (N) to the Acquire of `park`.
        if self.flag.swap(NOTIFIED, O::NOTIFY) == ASLEEP {
            futex.wake(&self.flag);
        }
    }

    /// Sleeps until notified; `false` when the deadline passed first, and the notification, if it
    /// comes, is still to be awaited.
    pub(super) fn park<F: Futex>(&self, futex: &F, deadline: Option<F::Deadline>) -> bool {
        // (N) from the Release of `notify`, in all three places.
        if self.flag.compare_exchange(EMPTY, ASLEEP, O::PARK, O::PARK) == Err(NOTIFIED) {
            self.flag.store(EMPTY, Ordering::Relaxed);
            return true;
        }
        loop {
            let in_time = futex.wait(&self.flag, ASLEEP, deadline);
            if self.flag.load(O::PARK) == NOTIFIED {
                self.flag.store(EMPTY, Ordering::Relaxed);
                return true;
            }
            if !in_time {
                let left = self.flag.compare_exchange(ASLEEP, EMPTY, O::PARK, O::PARK).is_ok();
                if !left {
                    self.flag.store(EMPTY, Ordering::Relaxed);
                }
                return !left;
            }
        }
    }
}

impl<O> fmt::Debug for Parker<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parker").field(&self.flag.load(Ordering::Relaxed)).finish()
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/parker.rs"]
mod loom_tests;
