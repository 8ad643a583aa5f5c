//! The word between a future's waker and the one who polls it: one remembered notification, and
//! the ticket of the poller while it waits.
//!
//! | from     | call     | to       | who        | order ok / fail   | the caller must now         |
//! |----------|----------|----------|------------|-------------------|-----------------------------|
//! | EMPTY    | announce | ticket   | the poller | Release / Acquire | park                        |
//! | NOTIFIED | announce | EMPTY    | the poller | AcqRel            | retract its wait, poll again |
//! | EMPTY    | notify   | NOTIFIED | any waker  | AcqRel            | nothing                     |
//! | ticket   | notify   | NOTIFIED | any waker  | AcqRel            | claim the ticket, wake      |
//! | NOTIFIED | notify   | NOTIFIED | any waker  | AcqRel            | nothing                     |
//! | NOTIFIED | consume  | EMPTY    | the poller | Acquire           | poll again                  |
//!
//! The ticket leaves the word once, so the wait is claimed once. A poller that is unwound leaves a
//! ticket behind, which is stale from then on.
//!
//! Pairs: (N) `notify` publishes what made the future ready to the `announce` or `consume` that
//! takes the mark. (T) `announce` publishes the wait to the `notify` that finds the ticket.

use crate::prim::{AtomicU64, Ordering};

const EMPTY: u64 = 0;

/// No ticket: generations end before they are all ones.
const NOTIFIED: u64 = u64::MAX;

/// See the table above.
#[derive(Debug)]
pub(super) struct Signal {
    word: AtomicU64,
}

impl Signal {
    pub(super) fn new() -> Signal {
        Signal { word: AtomicU64::new(EMPTY) }
    }

    /// Leaves the ticket of a wait that has begun; false: there was a notification, now taken.
    pub(super) fn announce(&self, ticket: u64) -> bool {
        debug_assert!(ticket != EMPTY && ticket != NOTIFIED);
        // (T) to `notify`.
        let waits = self.word.compare_exchange(EMPTY, ticket, Ordering::Release, Ordering::Acquire);
        if waits.is_err() {
            self.consume();
        }
        waits.is_ok()
    }

    /// Takes the notification that ended the wait.
    pub(super) fn consume(&self) {
        // (N) from `notify`.
        self.word.swap(EMPTY, Ordering::Acquire);
    }

    /// Leaves a notification; the ticket that the caller must claim and wake, if one waits.
    pub(super) fn notify(&self) -> Option<u64> {
        self.notify_with(Ordering::AcqRel)
    }

    /// [`notify`](Signal::notify) with an ordering that a test may weaken.
    #[inline(always)]
    pub(super) fn notify_with(&self, order: Ordering) -> Option<u64> {
        // (N) to the poller; (T) from `announce`.
        match self.word.swap(NOTIFIED, order) {
            EMPTY | NOTIFIED => None,
            ticket => Some(ticket),
        }
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/signal.rs"]
mod loom_tests;
