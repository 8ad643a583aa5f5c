//! How a worker goes to sleep without missing work, and without spinning while it has none.
//!
//! | from    | call    | to       | who         | the caller must now                        |
//! |---------|---------|----------|-------------|--------------------------------------------|
//! | RUNNING | prepare | SLEEPING | the worker  | fence, look at every queue again           |
//! | SLEEPING| cancel  | RUNNING  | the worker  | run what it found                          |
//! | SLEEPING| notify  | NOTIFIED | any thread  | ring the bell                              |
//! | RUNNING | notify  | RUNNING  | any thread  | nothing: it looks before it sleeps         |
//! | NOTIFIED| notify  | NOTIFIED | any thread  | nothing: somebody rang                     |
//! | NOTIFIED| cancel  | RUNNING  | the worker  | run; it was woken                          |
//!
//! SUMMONED is NOTIFIED by someone who has stealable work and has counted the worker as searching.
//!
//! The race, and why no wake-up is lost (Dekker's pattern):
//!
//! ```text
//!   worker                                poster
//!   W1  state := SLEEPING                 P1  push work
//!   W2  heavy fence                       P2  light fence
//!   W3  look at the queues                P3  look at state
//!   W4  sleep while state is SLEEPING     P4  SLEEPING -> NOTIFIED, ring
//! ```
//!
//! The fences forbid that W3 misses P1 while P3 misses W1. If P3 sees SLEEPING, P4 changes the word
//! that W4's sleep compares, or rings the eventfd that it polls, so the sleep does not begin or
//! ends. Whatever changes in between, a poster's `notify` is one compare-and-swap: one ring a sleep.
//!
//! Pairs: the two fences; `notify`'s Release publishes the work to `cancel`'s Acquire.

use crate::prim::{AtomicU32, Ordering};

/// The worker runs, or looks for work.
pub(super) const RUNNING: u32 = 0;
/// The worker sleeps, or is about to.
pub(super) const SLEEPING: u32 = 1;
/// The worker was told to get up: there is something for it.
pub(super) const NOTIFIED: u32 = 2;
/// The worker was told to get up and look for work anywhere; it already counts as searching.
pub(super) const SUMMONED: u32 = 3;

/// One worker's sleep word.
#[derive(Debug)]
pub(super) struct Sleep {
    state: AtomicU32,
}

impl Sleep {
    pub(super) fn new() -> Sleep {
        Sleep { state: AtomicU32::new(RUNNING) }
    }

    /// The word itself, for the system call that sleeps on it.
    #[cfg(not(loom))]
    pub(super) fn word(&self) -> &AtomicU32 {
        &self.state
    }

    /// W1. The caller fences and looks at every queue next.
    pub(super) fn prepare(&self) {
        self.state.store(SLEEPING, Ordering::Relaxed);
    }

    /// The worker is up again; returns what it was told: SLEEPING (nothing), NOTIFIED, SUMMONED.
    pub(super) fn cancel(&self) -> u32 {
        // Acquire pairs with the Release in `notify`.
        self.state.swap(RUNNING, Ordering::Acquire)
    }

    /// Whether nobody has told the worker to get up since `prepare`.
    pub(super) fn is_sleeping(&self) -> bool {
        self.state.load(Ordering::Relaxed) == SLEEPING
    }

    /// P3 and P4, after the poster's fence; true: the caller must ring. `what` is NOTIFIED or
    /// SUMMONED.
    #[inline]
    pub(super) fn notify(&self, what: u32) -> bool {
        self.is_sleeping()
            && self
                .state
                // Release pairs with the Acquire in `cancel`.
                .compare_exchange(SLEEPING, what, Ordering::Release, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/worker_sleep.rs"]
mod loom_tests;
