//! The end of a spawned job: its result, the one who joins it, and who frees it.
//!
//! | from               | call     | to                 | who     | order   | the caller must now               |
//! |--------------------|----------|--------------------|---------|---------|-----------------------------------|
//! | -                  | pin      | H                  | spawner | Relaxed | give the job to thread H only     |
//! | -, H               | register | WAITER             | joiner  | AcqRel  | park                              |
//! | -                  | register | WAITER + J         | joiner  | AcqRel  | park                              |
//! | H                  | register | WAITER + H         | joiner  | Relaxed | park; on H                        |
//! | DONE               | register | the same           | joiner  | Acquire | take the result                   |
//! | -, H               | complete | + DONE             | worker  | AcqRel  | nothing, never look again         |
//! | WAITER             | complete | + DONE             | worker  | AcqRel  | copy the waiter, release, wake it |
//! | WAITER + J, on J   | complete | DONE, WAITER, RELEASED | worker | Relaxed | wake the waiter               |
//! | DROPPED            | complete | + DONE             | worker  | AcqRel  | free the job                      |
//! | DROPPED + H, on H  | complete | the same           | worker  | Acquire | free the job                      |
//! | DONE, WAITER       | release  | + RELEASED         | worker  | Release | wake the copy, never look again   |
//! | WAITER             | withdraw | -                  | joiner  | AcqRel  | nothing                           |
//! | DONE, WAITER       | withdraw | the same           | joiner  | Acquire | wait for RELEASED, take the result|
//! | -, H               | abandon  | + DROPPED          | handle  | AcqRel  | nothing, never look again         |
//! | H                  | abandon  | DROPPED + H        | handle  | Relaxed | the same; on H                    |
//! | DONE               | abandon  | + DROPPED          | handle  | AcqRel  | free the job                      |
//!
//! H and J are threads, by number: the only one that will complete the job, and the one on which
//! a coroutine is parked to join it, with nothing else to end its wait. Where both parties of a step
//! are one thread they cannot race, and a load and a store do for what is a locked instruction
//! otherwise. That is the common case: a coroutine that joins what it has spawned. (One that may
//! migrate does so only while it is ready: parked, it stays on J.)
//!
//! The waiter cell belongs to the joiner until WAITER is set, to the worker from DONE to RELEASED.
//!
//! Pairs: (R) `complete`'s Release publishes the result to the Acquire of whoever finds DONE.
//! (W) `register`'s Release publishes the waiter cell to `complete`'s Acquire. (L) `release`
//! publishes that the worker is through with the cell. (D) `abandon`'s Release lets the worker that
//! finds DROPPED free what the handle last touched.

use crate::prim::{AtomicU32, Ordering};

const DONE: u32 = 1;
const WAITER: u32 = 2;
const DROPPED: u32 = 4;
const RELEASED: u32 = 8;

/// The bits of a thread's number that are used otherwise.
const FLAGS: u32 = 15;

/// What the worker that completed a job must do now.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// Nothing; the job belongs to its handle.
    Left,
    /// Copy the waiter, call [`Completion::release`], wake the copy.
    Wake,
    /// Wake the waiter, a coroutine of this thread that nobody else can wake.
    WakeHere,
    /// Free the job.
    Free,
}

/// The state of a job's end.
#[derive(Debug)]
pub(super) struct Completion {
    word: AtomicU32,
}

impl Completion {
    pub(super) fn new() -> Completion {
        Completion { word: AtomicU32::new(0) }
    }

    /// Says that only the thread `here` will complete the job, before anybody else knows of it.
    #[inline]
    pub(super) fn pin(&self, here: u32) {
        debug_assert_eq!(here & FLAGS, 0, "a number with room for the flags");
        self.word.store(here, Ordering::Relaxed);
    }

    /// Whether the result is there.
    #[inline(always)]
    pub(super) fn is_done(&self) -> bool {
        // (R) from `complete`.
        self.word.load(Ordering::Acquire) & DONE != 0
    }

    /// Announces the waiter in the cell; false: the result is there already.
    ///
    /// `here` is 0, or the number of the calling thread if the waiter is a coroutine of it whose
    /// wait nothing but the job ends.
    #[inline]
    pub(super) fn register(&self, here: u32) -> bool {
        // (R) from `complete`.
        let seen = self.word.load(Ordering::Acquire);
        if seen & DONE != 0 {
            return false;
        }
        if here != 0 && seen == here {
            self.word.store(here | WAITER, Ordering::Relaxed);
            return true;
        }
        // (W) to `complete`; (R) from it on failure.
        let (ok, failed) = (Ordering::AcqRel, Ordering::Acquire);
        self.word.compare_exchange(seen, here | WAITER, ok, failed).is_ok()
    }

    /// Announces the result. `here` is the number of the calling thread, or 0.
    #[inline]
    pub(super) fn complete(&self, here: u32) -> Completed {
        self.complete_with(here, Ordering::Acquire, Ordering::AcqRel)
    }

    /// [`complete`](Completion::complete) with orderings that a test may weaken.
    #[inline(always)]
    pub(super) fn complete_with(&self, here: u32, look: Ordering, order: Ordering) -> Completed {
        if here != 0 {
            // (D) from `abandon`.
            let seen = self.word.load(look);
            if seen == here | WAITER {
                self.word.store(DONE | WAITER | RELEASED, Ordering::Relaxed);
                return Completed::WakeHere;
            }
            if seen == here | DROPPED {
                return Completed::Free;
            }
        }
        // (R) to whoever finds DONE; (W), (D) from `register` and `abandon`.
        let before = self.word.fetch_or(DONE, order);
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
        self.word.store(DONE | WAITER | RELEASED, Ordering::Release);
    }

    /// Takes the waiter back after its wait ended otherwise; true: the result is there and the
    /// worker is through.
    pub(super) fn withdraw(&self) -> bool {
        let seen = self.word.load(Ordering::Relaxed);
        let (ok, failed) = (Ordering::AcqRel, Ordering::Acquire);
        if seen & DONE == 0 && self.word.compare_exchange(seen, 0, ok, failed).is_ok() {
            return false;
        }
        // (L) from `release`, which is a few instructions away.
        while self.word.load(Ordering::Acquire) & RELEASED == 0 {
            crate::prim::thread_yield();
        }
        true
    }

    /// The handle goes; true: the job is the caller's to free. `here` is the address of the calling
    /// thread, or 0.
    #[inline]
    pub(super) fn abandon(&self, here: u32) -> bool {
        // (R) from `complete`.
        let seen = self.word.load(Ordering::Acquire);
        if seen & DONE != 0 {
            return true;
        }
        if here != 0 && seen == here {
            self.word.store(here | DROPPED, Ordering::Relaxed);
            return false;
        }
        // (D) to `complete`; (R) from it.
        self.word.fetch_or(DROPPED, Ordering::AcqRel) & DONE != 0
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/completion.rs"]
mod loom_tests;
