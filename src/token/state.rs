//! The wait word: one wait of one party, ended by exactly one of many.
//!
//! Everything that can end a wait (partner, close, timeout, cancel, the waiter itself) does one
//! compare-and-swap on this word. The outcome travels inside the word, so a loser writes nothing
//! and has nothing to undo. There is no "parked yet?" state: a coroutine is filed only on its home
//! worker, which cannot run it before it has left, and a thread has a flag of its own.
//!
//! ```text
//!              arm (generation + 1)                claim: the one CAS
//!     +------+ -------------------> +---------+ ----------------------> +---------+
//!     | IDLE |                      | WAITING |                         | CLAIMED |
//!     +------+ <------------------- +---------+ <---------------------- +---------+
//!                    retract                      arm (generation + 1)
//! ```
//!
//! | from    | call            | to      | who        | order ok / fail   | the caller must now                |
//! |---------|-----------------|---------|------------|-------------------|------------------------------------|
//! | IDLE    | arm             | WAITING | owner      | Release           | hand out the slot, then park       |
//! | CLAIMED | arm             | WAITING | owner      | Release           | the same; the last wait was woken  |
//! | WAITING | claim           | CLAIMED | anyone     | Acquire / Relaxed | move the value, unlock, wake       |
//! | WAITING | claim_exclusive | CLAIMED | lock holder| plain             | the same                           |
//! | WAITING | retract         | IDLE    | owner      | Relaxed / Relaxed | nothing: no one will wake it       |
//! | CLAIMED | retract         | CLAIMED | owner      | - / Relaxed       | park: the winner is about to wake  |
//! | CLAIMED | outcome         | CLAIMED | owner      | Relaxed           | act on it; called after the wake   |
//!
//! Every other pair is a bug of the caller and is caught in debug builds, except `claim` on
//! CLAIMED, on IDLE or on another generation: that party lost and keeps what it wanted to give.
//!
//! ```text
//!  63          32 31     16 15      8 7    5 4    3      2      1   0
//! +--------------+---------+---------+------+----+------+------+-----+
//! |  generation  |   arm   | outcome |   0  |DONE|PARKED|PUBLIC|state|
//! +--------------+---------+---------+------+----+------+------+-----+
//! ```
//!
//! PUBLIC, PARKED and DONE belong to published tickets (`event.rs`). They are part of the compare,
//! so a public ticket can never end a wait that a channel began, whatever number it is made from.
//!
//! Who owns the value that the wait is about, and the waiter's frame where it is or will be:
//! IDLE: the owner. WAITING: nobody may touch it. CLAIMED: the winner, until it wakes; then the
//! owner.
//!
//! Pairs: (A) `arm` Release publishes what the owner wrote before it (party, nodes on its frame) to
//! the `claim` Acquire of the winner, however the slot's number got there. What the winner writes
//! reaches the owner through the wake (`parker.rs`, `event.rs`, the run queue), never through this
//! word, which is why `claim` needs no Release.

use crate::prim::{AtomicU64, Ordering};
use std::fmt;
use std::marker::PhantomData;

pub(super) const IDLE: u64 = 0;
pub(super) const WAITING: u64 = 1;
pub(super) const CLAIMED: u64 = 2;
pub(super) const STATE_MASK: u64 = 0b11;
pub(super) const PUBLIC_BIT: u64 = 1 << 2;
pub(super) const PARKED_BIT: u64 = 1 << 3;
pub(super) const DONE_BIT: u64 = 1 << 4;
pub(super) const OUTCOME_SHIFT: u32 = 8;
pub(super) const OUTCOME_MASK: u64 = 0xff << OUTCOME_SHIFT;
pub(super) const ARM_SHIFT: u32 = 16;
pub(super) const GENERATION_SHIFT: u32 = 32;

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// What was waited for happened; the number says which arm of a select it was.
    Ready(u16),
    /// The thing waited on was closed.
    Closed,
    /// The wait was cancelled.
    Cancelled,
    /// The deadline passed.
    TimedOut,
}

impl Outcome {
    /// The outcome and arm fields of a word.
    #[inline(always)]
    pub(super) const fn bits(self) -> u64 {
        match self {
            Outcome::Ready(arm) => (arm as u64) << ARM_SHIFT,
            Outcome::Closed => 1 << OUTCOME_SHIFT,
            Outcome::Cancelled => 2 << OUTCOME_SHIFT,
            Outcome::TimedOut => 3 << OUTCOME_SHIFT,
        }
    }
}

/// The orderings that matter, so that a test can weaken one and see its model fail.
pub(super) trait Orders {
    /// `arm`'s store.
    const ARM: Ordering = Ordering::Release;
    /// A successful `claim`.
    const CLAIM: Ordering = Ordering::Acquire;
}

/// The orderings as they ship.
#[derive(Debug)]
pub(super) struct Shipped;

impl Orders for Shipped {}

/// What [`WaitWord::claim`] found instead of a wait to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Someone else was first, or the wait is over.
    Lost,
    /// The wait is a published ticket: `event.rs` decides.
    Public,
}

/// One word that says whose turn it is to touch a waiter.
pub(super) struct WaitWord<O = Shipped> {
    word: AtomicU64,
    orders: PhantomData<O>,
}

impl<O: Orders> WaitWord<O> {
    /// An idle word of generation 0, which no wait ever has.
    #[cfg(all(test, loom))]
    pub(super) fn new() -> WaitWord<O> {
        WaitWord { word: AtomicU64::new(0), orders: PhantomData }
    }

    /// The bare word, for the transitions of published tickets.
    #[inline(always)]
    pub(super) fn bare(&self) -> &AtomicU64 {
        &self.word
    }

    /// The generation of the present or last wait.
    #[inline(always)]
    pub(super) fn generation(&self) -> u32 {
        (self.word.load(Ordering::Relaxed) >> GENERATION_SHIFT) as u32
    }

    /// Begins a wait and returns its generation; `None` when the generations are used up and the
    /// owner must take another slot.
    #[inline(always)]
    pub(super) fn arm(&self) -> Option<u32> {
        let word = self.word.load(Ordering::Relaxed);
        debug_assert_ne!(word & STATE_MASK, WAITING, "one wait at a time");
        let generation = ((word >> GENERATION_SHIFT) as u32).checked_add(1)?;
        // (A) to the Acquire of `claim`.
        self.word.store(u64::from(generation) << GENERATION_SHIFT | WAITING, O::ARM);
        Some(generation)
    }

    /// Ends the wait of `generation` with `outcome`, if nobody else has.
    #[inline(always)]
    pub(super) fn claim(&self, generation: u32, outcome: Outcome) -> Result<(), Refused> {
        let tag = u64::from(generation) << GENERATION_SHIFT;
        // (A) from the Release of `arm`.
        match self.word.compare_exchange(
            tag | WAITING,
            tag | CLAIMED | outcome.bits(),
            O::CLAIM,
            Ordering::Relaxed,
        ) {
            Ok(_) => Ok(()),
            Err(seen) if seen & PUBLIC_BIT != 0 => Err(Refused::Public),
            Err(_) => Err(Refused::Lost),
        }
    }

    /// Like [`claim`](Self::claim) without the compare-and-swap.
    ///
    /// For a wait that is registered in exactly one place, without deadline and without cancel
    /// token, where the lock of that place is held by every party that could end it, the owner's
    /// retraction included. The lock orders everything, so a load and a store are enough. Used
    /// where that does not hold, two parties win: the debug build checks the store.
    #[inline(always)]
    pub(super) fn claim_exclusive(&self, generation: u32, outcome: Outcome) -> bool {
        let tag = u64::from(generation) << GENERATION_SHIFT;
        if self.word.load(Ordering::Relaxed) != tag | WAITING {
            return false;
        }
        let claimed = tag | CLAIMED | outcome.bits();
        if cfg!(debug_assertions) {
            let before = self.word.swap(claimed, Ordering::Relaxed);
            assert_eq!(before, tag | WAITING, "claim_exclusive raced: the wait has other claimers");
        } else {
            self.word.store(claimed, Ordering::Relaxed);
        }
        true
    }

    /// The owner ends its own wait: nothing happened, nobody will wake it. `false`: someone was
    /// first and is about to.
    #[inline(always)]
    pub(super) fn retract(&self, generation: u32) -> bool {
        let tag = u64::from(generation) << GENERATION_SHIFT;
        self.word
            .compare_exchange(tag | WAITING, tag | IDLE, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether the wait of `generation` has neither ended nor been retracted. A hint.
    #[inline]
    pub(super) fn is_waiting(&self, generation: u32) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        (word >> GENERATION_SHIFT) as u32 == generation && word & STATE_MASK == WAITING
    }

    /// How the last wait ended; for the owner, after it was woken.
    #[inline(always)]
    pub(super) fn outcome(&self) -> Outcome {
        let word = self.word.load(Ordering::Relaxed);
        debug_assert_eq!(word & STATE_MASK, CLAIMED, "woken without a claim");
        decode(word)
    }
}

/// The outcome field of `word`.
#[inline(always)]
pub(super) const fn decode(word: u64) -> Outcome {
    match (word & OUTCOME_MASK) >> OUTCOME_SHIFT {
        0 => Outcome::Ready((word >> ARM_SHIFT) as u16),
        1 => Outcome::Closed,
        2 => Outcome::Cancelled,
        _ => Outcome::TimedOut,
    }
}

impl<O> fmt::Debug for WaitWord<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        let state = match word & STATE_MASK {
            IDLE => "Idle",
            WAITING => "Waiting",
            _ => "Claimed",
        };
        f.debug_struct("WaitWord")
            .field("generation", &(word >> GENERATION_SHIFT))
            .field("state", &state)
            .field("outcome", &decode(word))
            .field("public", &(word & PUBLIC_BIT != 0))
            .field("parked", &(word & PARKED_BIT != 0))
            .field("done", &(word & DONE_BIT != 0))
            .finish()
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/wait_word.rs"]
mod loom_tests;

#[cfg(all(test, loom))]
#[path = "../../tests/loom/timer_fire.rs"]
mod loom_timer_tests;
