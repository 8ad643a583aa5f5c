//! The bytes a limited arena may still hand out, and whether anyone waits for some.
//!
//! The flag stands in the word that counts, so "is there room, otherwise wake me" and "here is some
//! room, does anyone wait" cannot miss each other, and giving back costs one instruction.
//!
//! # Invariants
//!
//! 1. `used <= limit` always.
//! 2. If `wait_unless_room` said to wait, the first `give_back` after it says that someone waits.
//!
//! # Who calls this, and what it may call
//!
//! The arena's store, any thread. Pure. Every access is Relaxed: the number guards no memory, and the
//! list of those who wait has a lock, under which both of them change the flag.

#![forbid(unsafe_code)]

use crate::prim::{AtomicU64, Ordering};

const WAITING_BIT: u64 = 1 << 63;

/// Bytes in use out of a limit. See the module header.
#[derive(Debug)]
pub(super) struct Budget {
    word: AtomicU64,
    limit: u64,
}

impl Budget {
    /// Nothing used out of `limit` bytes.
    pub(super) fn new(limit: u64) -> Budget {
        Budget { word: AtomicU64::new(0), limit: limit.min(WAITING_BIT - 1) }
    }

    /// The most bytes in use at a time.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !WAITING_BIT
    }

    /// Takes `bytes`, or says how many are in use if that is too much.
    #[inline]
    pub(super) fn take(&self, bytes: u64) -> Result<(), u64> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if !self.fits(word, bytes) {
                return Err(word & !WAITING_BIT);
            }
            match self.exchange(word, word + bytes) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Gives `bytes` back; `true` if someone waits, who must then be told.
    #[inline]
    #[must_use]
    pub(super) fn give_back(&self, bytes: u64) -> bool {
        let before = self.word.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before & !WAITING_BIT >= bytes);
        before & WAITING_BIT != 0
    }

    /// Notes that someone waits for `bytes`, unless they fit now (`false`). Under the list's lock.
    #[must_use]
    pub(super) fn wait_unless_room(&self, bytes: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if self.fits(word, bytes) {
                return false;
            }
            match self.exchange(word, word | WAITING_BIT) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Notes that nobody waits. Under the list's lock.
    pub(super) fn nobody_waits(&self) {
        self.word.fetch_and(!WAITING_BIT, Ordering::Relaxed);
    }

    fn fits(&self, word: u64, bytes: u64) -> bool {
        (word & !WAITING_BIT).checked_add(bytes).is_some_and(|sum| sum <= self.limit)
    }

    fn exchange(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.word.compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed)
    }

    /// Looks for room and sets the flag in two steps: the mistake the model must notice.
    #[cfg(all(test, loom))]
    fn wait_unless_room_in_two_steps(&self, bytes: u64) -> bool {
        if self.fits(self.word.load(Ordering::Relaxed), bytes) {
            return false;
        }
        self.word.fetch_or(WAITING_BIT, Ordering::Relaxed);
        true
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/budget.rs"]
mod loom_tests;
