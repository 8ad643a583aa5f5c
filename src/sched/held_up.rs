//! How many workers are held up, and whether a spare may therefore take work.
//!
//! The monitor writes the count, spares act on it. A spare that sleeps while it may not take work is
//! not counted among the sleepers, so no poster of work looks for it; when the count changes, it has
//! to look again, and one that is about to fall asleep has to notice:
//!
//! ```text
//!   spare                                    monitor
//!   T   may it take?                         M1  write the count
//!   W1  state := SLEEPING                    M2  light fence
//!       count as a sleeper, if T             M3  SLEEPING -> NOTIFIED, ring
//!   W2  heavy fence
//!   W3  may it take? as at T, or stay up
//! ```
//!
//! It is the protocol of `parker.rs` with the count in the place of the work: either W3 sees M1, or M3
//! sees W1. Work that was posted while nobody could be woken for it is found in W3 or after the ring,
//! because the spare looks at the queues again then.

use crate::prim::{AtomicUsize, Ordering};

/// The count.
#[derive(Debug, Default)]
pub(super) struct HeldUp {
    count: AtomicUsize,
}

impl HeldUp {
    pub(super) fn new() -> HeldUp {
        HeldUp { count: AtomicUsize::new(0) }
    }

    /// How many there are.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether spares may take work.
    #[inline(always)]
    pub(super) fn is_any(&self) -> bool {
        self.count() != 0
    }

    /// M1. The caller fences and notifies every spare next, if this says that the count changed.
    #[must_use = "spares must be told"]
    pub(super) fn set(&self, count: usize) -> bool {
        self.count.swap(count, Ordering::Relaxed) != count
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/held_up.rs"]
mod loom_tests;
