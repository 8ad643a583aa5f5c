//! The reference word of a block: how many payloads hold it, which life it is in, who may resolve it.
//!
//! Count and generation share one word, so that turning a descriptor into a reference is one
//! compare-and-swap: it can neither miss a recycling nor revive a block whose count has reached
//! zero. The `EXPOSED` bit says that a descriptor was handed out in this life. Without it nobody but
//! the holders can touch the word, and a sole holder needs no locked instruction to let go or write.
//!
//! ```text
//!   63          32   31      30                   0
//!  +--------------+---------+----------------------+
//!  |  generation  | EXPOSED | count                |   count >= STICKY: never freed
//!  +--------------+---------+----------------------+
//! ```
//!
//! | from                 | call         | to                     | who               | order     |
//! |----------------------|--------------|------------------------|-------------------|-----------|
//! | g, 0                 | `begin`      | g, 1                   | who allocates     | Relaxed   |
//! | g, n                 | `retain`     | g, n + 1               | a holder          | Relaxed   |
//! | g, n, EXPOSED        | `try_retain` | g, n + 1, EXPOSED      | anyone with g     | Acquire E |
//! | g, n                 | `release`    | g, n - 1               | a holder          | Release D |
//! | g, 1                 | `release`    | unchanged, `Last`      | the sole holder   | Acquire D |
//! | g, n                 | `expose`     | g, n, EXPOSED          | a holder          | Release E |
//! | g, 1, EXPOSED        | `try_unique` | g + 1, 1               | the sole holder   | Acquire D |
//! | g, 0 or 1            | `retire`     | g + 1, 0               | who got `Last`    | Relaxed   |
//!
//! # Invariants
//!
//! 1. `release` answers `Last` once per life, after every other holder's last access.
//! 2. While `try_unique` has succeeded and no new reference was made, nobody else can make one.
//! 3. A generation that has ended is never resolved again. A word on its last generation says so and
//!    is not used again.
//! 4. A count that reached `STICKY` never comes down: the block leaks rather than being freed early.
//!
//! Pairs: (D) a holder's `release` publishes its reads and writes of the block to whoever finds the
//! count at one or takes it to zero. (E) `expose` publishes the block's contents to `try_retain`; the
//! read-modify-writes between them carry the release sequence on. What orders `retire` and the next
//! `begin` is the magazine or the depot's lock.
//!
//! # Who calls this, and what it may call
//!
//! `Payload` and the arena, from any thread. Pure: no allocation, no suspension.

#![cfg_attr(not(loom), forbid(unsafe_code))]

use crate::prim::{AtomicU64, Ordering};
use std::marker::PhantomData;

const EXPOSED_BIT: u64 = 1 << 31;
const COUNT_MASK: u64 = EXPOSED_BIT - 1;
const GENERATION_SHIFT: u32 = 32;
/// Counts from here on are stuck.
const STICKY: u64 = 1 << 30;
/// Where a stuck count is put, half a billion away from both ends of its range.
const SATURATED: u64 = STICKY + (STICKY >> 1);

/// The orderings in use, a parameter so that the model can weaken one at a time.
pub(super) trait Orders {
    /// Pair D, the side that lets go.
    const DROP: Ordering = Ordering::Release;
    /// Pair D, the side that took the count to zero.
    const LAST: Ordering = Ordering::Acquire;
    /// Pair D, the side that finds itself alone.
    const UNIQUE: Ordering = Ordering::Acquire;
    /// Pair E, the side that hands out a descriptor.
    const EXPOSE: Ordering = Ordering::Release;
    /// Pair E, the side that resolves it.
    const RESOLVE: Ordering = Ordering::Acquire;
}

/// The orderings that ship.
#[derive(Debug)]
pub(super) struct Sound;
impl Orders for Sound {}

/// What `release` leaves to do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// Others still hold the block.
    Shared,
    /// The caller owns the block alone and recycles it.
    Last,
}

/// What `retain` found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retained {
    /// One more holder.
    Counted,
    /// This very call made the count stick.
    BecameSticky,
}

/// The reference word. See the module header; all zeros is generation 0, free.
pub(super) struct RefWord<O = Sound> {
    word: AtomicU64,
    orders: PhantomData<O>,
}

impl<O: Orders> RefWord<O> {
    /// A free word of `generation`. (Blocks come from memory of zeros, which is generation 0.)
    #[cfg(test)]
    pub(super) fn new(generation: u32) -> RefWord<O> {
        let word = u64::from(generation) << GENERATION_SHIFT;
        RefWord { word: AtomicU64::new(word), orders: PhantomData }
    }

    /// Starts a life with one holder. The caller owns the block.
    #[inline(always)]
    pub(super) fn begin(&self) {
        let word = self.word.load(Ordering::Relaxed);
        debug_assert_eq!(word & (COUNT_MASK | EXPOSED_BIT), 0, "the block is in use");
        self.word.store(word | 1, Ordering::Relaxed);
    }

    /// Adds a holder. The caller holds the block.
    #[inline]
    pub(super) fn retain(&self) -> Retained {
        let before = self.word.fetch_add(1, Ordering::Relaxed) & COUNT_MASK;
        debug_assert_ne!(before, 0, "nobody holds the block");
        if before >= STICKY - 1 { self.saturate(before) } else { Retained::Counted }
    }

    /// Adds a holder if the life named by `generation` goes on and a descriptor of it was handed out.
    #[inline]
    pub(super) fn try_retain(&self, generation: u32) -> Option<Retained> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let alive = word & EXPOSED_BIT != 0 && word & COUNT_MASK != 0;
            if !alive || (word >> GENERATION_SHIFT) as u32 != generation {
                return None;
            }
            if word & COUNT_MASK >= STICKY - 1 {
                let before = self.word.fetch_add(1, O::RESOLVE) & COUNT_MASK;
                return Some(self.saturate(before));
            }
            match self.word.compare_exchange_weak(word, word + 1, O::RESOLVE, Ordering::Relaxed) {
                Ok(_) => return Some(Retained::Counted),
                Err(now) => word = now,
            }
        }
    }

    /// Removes a holder, the caller.
    #[inline(always)]
    pub(super) fn release(&self) -> Released {
        if self.word.load(O::UNIQUE) & (COUNT_MASK | EXPOSED_BIT) == 1 {
            return Released::Last;
        }
        self.release_shared()
    }

    #[inline]
    fn release_shared(&self) -> Released {
        let before = self.word.fetch_sub(1, O::DROP) & COUNT_MASK;
        debug_assert_ne!(before, 0, "nobody holds the block");
        if before >= STICKY {
            let _ = self.saturate(before);
            return Released::Shared;
        }
        if before > 1 {
            return Released::Shared;
        }
        self.word.load(O::LAST);
        Released::Last
    }

    /// Whether the caller is the only one who can reach the block; its descriptors become stale then.
    #[inline]
    pub(super) fn try_unique(&self) -> bool {
        let mut word = self.word.load(O::UNIQUE);
        loop {
            if word & COUNT_MASK != 1 {
                return false;
            }
            if word & EXPOSED_BIT == 0 {
                return true;
            }
            let generation = (word >> GENERATION_SHIFT) as u32;
            let Some(next) = generation.checked_add(1) else { return false };
            let alone = u64::from(next) << GENERATION_SHIFT | 1;
            match self.word.compare_exchange(word, alone, O::UNIQUE, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Lets descriptors of this life be resolved and returns its generation. The caller holds the
    /// block.
    #[inline]
    pub(super) fn expose(&self) -> u32 {
        let mut word = self.word.load(Ordering::Relaxed);
        if word & EXPOSED_BIT == 0 {
            word = self.word.fetch_or(EXPOSED_BIT, O::EXPOSE);
        }
        (word >> GENERATION_SHIFT) as u32
    }

    /// Ends a life; `false` if that was the word's last one. The caller got [`Released::Last`].
    #[inline]
    pub(super) fn retire(&self) -> bool {
        let generation = (self.word.load(Ordering::Relaxed) >> GENERATION_SHIFT) as u32;
        let next = generation.wrapping_add(1);
        self.word.store(u64::from(next) << GENERATION_SHIFT, Ordering::Relaxed);
        next != 0
    }

    /// How many payloads hold the block, for diagnosis: it may be out of date at once.
    pub(super) fn count(&self) -> u32 {
        (self.word.load(Ordering::Relaxed) & COUNT_MASK) as u32
    }

    #[cold]
    #[inline(never)]
    fn saturate(&self, before: u64) -> Retained {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let stuck = word & !COUNT_MASK | SATURATED;
            match self.word.compare_exchange_weak(word, stuck, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        if before == STICKY - 1 { Retained::BecameSticky } else { Retained::Counted }
    }

    /// Pretends that `count` payloads hold the block.
    #[cfg(all(test, not(loom)))]
    pub(super) fn set_count(&self, count: u32) {
        let word = self.word.load(Ordering::Relaxed) & !COUNT_MASK;
        self.word.store(word | u64::from(count), Ordering::Relaxed);
    }
}

impl<O: Orders> std::fmt::Debug for RefWord<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        f.debug_struct("RefWord")
            .field("generation", &(word >> GENERATION_SHIFT))
            .field("exposed", &(word & EXPOSED_BIT != 0))
            .field("count", &(word & COUNT_MASK))
            .finish()
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/refcount.rs"]
mod loom_tests;
