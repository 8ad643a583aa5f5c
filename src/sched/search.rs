//! How many workers look for work, so that posters need not wake another one.
//!
//! While the count is not 0 a poster of stealable work wakes nobody. A worker that searches keeps
//! that promise by looking once more, after its heavy fence, before it sleeps; if it finds something
//! then, it counts as searching again, for there may be more than it takes. A poster that wakes a
//! sleeper counts it beforehand; if it then finds no sleeper it has promised something to others in
//! the meantime that nobody will keep:
//!
//! ```text
//!   poster A                  worker                    poster B
//!   count 0 -> 1
//!   nobody sleeps
//!                             SLEEPING, fence, look: nothing
//!                                                       push; count is 1: wakes nobody
//!   count 1 -> 0
//! ```
//!
//! So A looks again after it has taken its count back. B read the count before that, and the worker
//! slept before B pushed, or it would have found the work: A sees it asleep.
//!
//! A searcher that finds work and was the last has promised the same, and keeps it by looking once
//! more after it has counted itself out: what was posted while it counted it wakes somebody for. Where
//! nobody sleeps there is nobody to wake, and whoever is about to looks for himself after his fence.
//!
//! Pairs: (S) `summon`'s fence, between taking the count back and looking again, with the worker's
//! heavy fence between SLEEPING and its look. (F) the heavy fence of a searcher that found work,
//! between `end` and its look at the queues, with the poster's between its push and its look at the
//! count. (G) its light one, between `end` and its look at the sleepers, with that of a worker between
//! counting itself among them and its look at the queues.

use super::parker::{SUMMONED, Sleep};
use crate::prim::{AtomicUsize, Ordering, fence};

/// The count.
#[derive(Debug)]
pub(super) struct Searchers {
    count: AtomicUsize,
}

impl Searchers {
    pub(super) fn new() -> Searchers {
        Searchers { count: AtomicUsize::new(0) }
    }

    /// How many there are, or are about to be.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// One more worker searches.
    pub(super) fn begin(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker searches no more; true: it was the last.
    pub(super) fn end(&self) -> bool {
        self.count.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Tells one sleeper to search, unless somebody does already; which one, to be rung.
    pub(super) fn summon<'a>(
        &self,
        sleepers: impl Iterator<Item = &'a Sleep> + Clone,
    ) -> Option<usize> {
        loop {
            match self.summon_once(sleepers.clone()) {
                Summoned::One(index) => return Some(index),
                Summoned::Needless => return None,
                Summoned::Nobody => {}
            }
            // (S) with the fence of a worker that went to sleep meanwhile.
            fence(Ordering::SeqCst);
            if !sleepers.clone().any(Sleep::is_sleeping) {
                return None;
            }
        }
    }

    /// [`summon`](Searchers::summon) without the second look.
    pub(super) fn summon_once<'a>(&self, sleepers: impl Iterator<Item = &'a Sleep>) -> Summoned {
        // Counted on behalf of the worker before it is told, so that it can only count down later.
        if self.count.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Summoned::Needless;
        }
        for (index, sleep) in sleepers.enumerate() {
            if sleep.notify(SUMMONED) {
                return Summoned::One(index);
            }
        }
        self.end();
        Summoned::Nobody
    }
}

/// What came of an attempt to get a searcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summoned {
    /// That worker was told.
    One(usize),
    /// Somebody searches already.
    Needless,
    /// No worker sleeps.
    Nobody,
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/searchers.rs"]
mod loom_tests;
