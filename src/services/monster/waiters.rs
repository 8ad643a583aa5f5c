//! A list of parties that wait for the same thing, kept under a lock of its owner.
//!
//! Waking a party takes one compare-and-swap on a word that lives for ever, so a list may hold
//! entries whose wait has ended: they lose. That keeps the lock short: who wakes many takes the
//! list out under the lock and claims after it.
//!
//! # Invariants
//!
//! 1. A party that waits is in the list from before it parks until someone takes the entry out or
//!    the party leaves, by a timeout or because its coroutine is unwound.
//! 2. Wakes happen with no lock held.
//!
//! # Who calls this, and what it may call
//!
//! Pipes and wait states, from coroutines and threads. [`park`] suspends.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::prim::Mutex;
use crate::token::{Claim, Outcome, SlotRef, Wait};

/// One waiting party; `key` tells those of one list apart.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: SlotRef,
    generation: u32,
    key: usize,
}

/// The parties that wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    entries: Vec<Entry>,
}

impl Waiters {
    /// Adds the party whose wait this is.
    pub(super) fn add(&mut self, wait: &Wait, key: usize) {
        self.entries.push(Entry { slot: wait.slot(), generation: wait.generation(), key });
    }

    /// Ends the waits with this key; the claims are to be woken once the lock is released.
    pub(super) fn claim(&mut self, key: usize) -> Vec<Claim> {
        self.entries
            .extract_if(.., |entry| entry.key == key)
            .filter_map(|entry| entry.slot.claim(entry.generation, Outcome::Ready(0)))
            .collect()
    }

    /// Ends all waits of a list that was taken out of its lock, and wakes the parties, in the order
    /// in which they came; returns how many.
    pub(super) fn wake_all(&mut self) -> usize {
        let claims = self
            .entries
            .drain(..)
            .filter_map(|entry| entry.slot.claim(entry.generation, Outcome::Ready(0)));
        claims.map(Claim::wake).count()
    }

    fn remove(&mut self, slot: SlotRef, generation: u32) {
        let found = self
            .entries
            .iter()
            .position(|entry| entry.generation == generation && entry.slot.same(slot));
        if let Some(position) = found {
            self.entries.remove(position);
        }
    }
}

/// The moment that ends a wait of this length; `None` never comes.
pub(super) fn deadline_after(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// Parks the party that was added to the list that `list` finds; true if it was woken, false if
/// the deadline came first.
pub(super) fn park<S>(
    lock: &Mutex<S>,
    list: impl Fn(&mut S) -> &mut Waiters,
    wait: Wait,
    deadline: Option<Instant>,
) -> bool {
    let mut leave =
        Leave { lock, list, slot: wait.slot(), generation: wait.generation(), entered: true };
    let outcome = match deadline {
        Some(deadline) => wait.park_deadline(deadline),
        None => wait.park(),
    };
    let woken = matches!(outcome, Outcome::Ready(_));
    leave.entered = !woken;
    woken
}

/// Takes the party out of the list, also when its coroutine is unwound.
struct Leave<'a, S, L: Fn(&mut S) -> &mut Waiters> {
    lock: &'a Mutex<S>,
    list: L,
    slot: SlotRef,
    generation: u32,
    /// False once whoever woke the party has taken the entry out.
    entered: bool,
}

impl<S, L: Fn(&mut S) -> &mut Waiters> Drop for Leave<'_, S, L> {
    fn drop(&mut self) {
        if self.entered {
            (self.list)(&mut self.lock.lock()).remove(self.slot, self.generation);
        }
    }
}
