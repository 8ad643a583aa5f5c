//! The end of a spawned job: its result, the one who joins it, and who frees it.
//!
//! | from               | call     | adds     | who     | order   | the caller must now               |
//! |--------------------|----------|----------|---------|---------|-----------------------------------|
//! | -                  | register | WAITER   | joiner  | AcqRel  | park                              |
//! | DONE               | register | -        | joiner  | Acquire | take the result                   |
//! | -                  | complete | DONE     | worker  | AcqRel  | nothing, never look again         |
//! | WAITER             | complete | DONE     | worker  | AcqRel  | copy the waiter, release, wake it |
//! | DROPPED            | complete | DONE     | worker  | AcqRel  | free the job                      |
//! | DONE, WAITER       | release  | RELEASED | worker  | Release | wake the copy, never look again   |
//! | WAITER             | withdraw | - WAITER | joiner  | AcqRel  | nothing                           |
//! | DONE, WAITER       | withdraw | -        | joiner  | Acquire | wait for RELEASED, take the result|
//! | -                  | abandon  | DROPPED  | handle  | AcqRel  | nothing, never look again         |
//! | DONE               | abandon  | DROPPED  | handle  | AcqRel  | free the job                      |
//!
//! The waiter cell belongs to the joiner until WAITER is set, to the worker from DONE to RELEASED.
//!
//! Pairs: (R) `complete`'s Release publishes the result to the Acquire of whoever finds DONE.
//! (W) `register`'s Release publishes the waiter cell to `complete`'s Acquire. (L) `release`
//! publishes that the worker is through with the cell. (D) `abandon`'s Release lets the worker that
//! finds DROPPED free what the handle last touched.

use crate::prim::{AtomicU8, Ordering};

const DONE: u8 = 1;
const WAITER: u8 = 2;
const DROPPED: u8 = 4;
const RELEASED: u8 = 8;

/// What the worker that completed a job must do now.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// Nothing; the job belongs to its handle.
    Left,
    /// Copy the waiter, call [`Completion::release`], wake the copy.
    Wake,
    /// Free the job.
    Free,
}

/// The state of a job's end.
#[derive(Debug)]
pub(super) struct Completion {
    bits: AtomicU8,
}

impl Completion {
    pub(super) fn new() -> Completion {
        Completion { bits: AtomicU8::new(0) }
    }

    /// Whether the result is there.
    #[inline(always)]
    pub(super) fn is_done(&self) -> bool {
        // (R) from `complete`.
        self.bits.load(Ordering::Acquire) & DONE != 0
    }

    /// Announces the waiter in the cell; false: the result is there already.
    pub(super) fn register(&self) -> bool {
        // (W) to `complete`; (R) from it on failure.
        self.bits.compare_exchange(0, WAITER, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Announces the result.
    #[inline]
    pub(super) fn complete(&self) -> Completed {
        self.complete_with(Ordering::AcqRel)
    }

    /// [`complete`](Completion::complete) with an ordering that a test may weaken.
    #[inline(always)]
    pub(super) fn complete_with(&self, order: Ordering) -> Completed {
        // (R) to whoever finds DONE; (W), (D) from `register` and `abandon`.
        let before = self.bits.fetch_or(DONE, order);
        if before & DROPPED != 0 {
            Completed::Free
        } else if before & WAITER != 0 {
            Completed::Wake
        } else {
            Completed::Left
        }
    }

    /// The worker has copied the waiter.
    pub(super) fn release(&self) {
        // (L) to `withdraw`. A plain store: the joiner waits or withdraws, and neither writes; the
        // handle is the joiner's, so nobody abandons.
        self.bits.store(DONE | WAITER | RELEASED, Ordering::Release);
    }

    /// Takes the waiter back after its wait ended otherwise; true: the result is there and the
    /// worker is through.
    pub(super) fn withdraw(&self) -> bool {
        if self.bits.compare_exchange(WAITER, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return false;
        }
        // (L) from `release`, which is a few instructions away.
        while self.bits.load(Ordering::Acquire) & RELEASED == 0 {
            crate::prim::thread_yield();
        }
        true
    }

    /// The handle goes; true: the job is the caller's to free.
    #[inline]
    pub(super) fn abandon(&self) -> bool {
        if self.is_done() {
            return true;
        }
        // (D) to `complete`; (R) from it.
        self.bits.fetch_or(DROPPED, Ordering::AcqRel) & DONE != 0
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/completion.rs"]
mod loom_tests;
