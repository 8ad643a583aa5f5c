//! What a worker gives back some time after a peak: room in its queues, stacks that it keeps warm,
//! memory of payloads.
//!
//! All of that is kept because it is likely to be needed again. A worker that is about to sleep and
//! finds that it keeps more than it uses notes the time; if it still does so a while later, whether
//! it slept or was woken now and then, it tidies up. That is at most one wake-up more in a long
//! sleep, and nothing while there is nothing to give back.
//!
//! # Who calls this, and what it may call
//!
//! The worker, on its root context, before it sleeps and after.

#![forbid(unsafe_code)]

use core::cell::Cell;

use super::worker::Worker;
use crate::arena;
use crate::coroutine::Core;
use crate::stack;

/// How long what is not used is kept, in nanoseconds.
const LINGER: u64 = 1_000_000_000;

/// Idle stacks of each size that the process keeps with their pages.
const KEPT_STACKS: usize = 16;

/// Since when a worker keeps more than it uses.
#[derive(Debug, Default)]
pub(super) struct Surplus {
    /// Nanoseconds of the clock; 0: it does not.
    since: Cell<u64>,
}

impl Surplus {
    /// A worker goes to sleep at `now`; when it should tidy up, if it has a surplus.
    fn note(&self, now: u64, has_surplus: bool) -> Option<u64> {
        if !has_surplus {
            self.since.set(0);
            return None;
        }
        if self.since.get() == 0 {
            self.since.set(now);
        }
        Some(self.since.get() + LINGER)
    }

    /// Whether it has lasted long enough at `now`; it begins anew then.
    fn take(&self, now: u64) -> bool {
        let since = self.since.get();
        let due = since != 0 && now >= since + LINGER;
        if due {
            self.since.set(0);
        }
        due
    }
}

impl Worker {
    /// The worker is about to sleep: when it should get up to tidy, if at all.
    pub(super) fn tidy_at(&self, core: &Core, now: u64) -> Option<u64> {
        let has_surplus = core.has_surplus() || self.timers.has_surplus();
        self.surplus.note(now, has_surplus)
    }

    /// Gives back what has not been used for a while, if it is time.
    pub(super) fn tidy(&self, core: &Core, now: u64) {
        if self.surplus.take(now) {
            self.give_back(core);
        }
    }

    #[cold]
    #[inline(never)]
    fn give_back(&self, core: &Core) {
        core.shrink();
        self.timers.shrink();
        arena::release_thread();
        stack::trim(KEPT_STACKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surplus_that_lasts_is_due_once() {
        let surplus = Surplus::default();
        assert_eq!(surplus.note(5, false), None);
        assert_eq!(surplus.note(5, true), Some(5 + LINGER));
        assert_eq!(surplus.note(9, true), Some(5 + LINGER));
        assert!(!surplus.take(4 + LINGER));
        assert!(surplus.take(5 + LINGER) && !surplus.take(6 + LINGER));
        assert_eq!(surplus.note(7, true), Some(7 + LINGER));
        assert_eq!(surplus.note(8, false), None);
        assert!(!surplus.take(u64::MAX - LINGER));
    }
}
