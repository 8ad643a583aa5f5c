//! Who waits for news: parties that all look again when something has happened.
//!
//! Broadcast and watch wake everybody, so there is no hand-off and nobody's frame is touched: an
//! entry is a slot and a generation, or a future's waker. An entry that is out of date loses its
//! claim; it goes with the next call.
//!
//! # Invariants
//!
//! 1. Entries are added under the lock of what is waited for, after the waiter has looked, and taken
//!    out under it after that has changed: nobody sleeps through a change.
//! 2. Nobody is woken under the lock.
//!
//! # Who calls this, and what it may call
//!
//! `broadcast` and `watch`, under their locks; [`wait`] with none.

#![forbid(unsafe_code)]

use crate::coroutine::WaitReason;
use crate::prim::{Mutex, MutexGuard};
use crate::token::{Outcome, SlotRef, Wait};
use std::fmt;
use std::task::Waker;
use std::time::Instant;

enum Party {
    Waiting { slot: SlotRef, generation: u32 },
    Task { key: u64, waker: Waker },
}

/// Parties that wait for the same thing.
#[derive(Default)]
pub(super) struct Parties(Vec<Party>);

impl Parties {
    /// Adds the future with that key, or renews its waker.
    pub(super) fn set_task(&mut self, own: u64, waker: &Waker) {
        for party in &mut self.0 {
            if let Party::Task { key, waker: old } = party
                && *key == own
            {
                old.clone_from(waker);
                return;
            }
        }
        self.0.push(Party::Task { key: own, waker: waker.clone() });
    }

    /// Takes the future with that key out.
    pub(super) fn remove_task(&mut self, own: u64) {
        self.0.retain(|party| !matches!(party, Party::Task { key, .. } if *key == own));
    }

    fn remove(&mut self, own: SlotRef) {
        self.0.retain(|party| !matches!(party, Party::Waiting { slot, .. } if slot.same(own)));
    }

    /// All of them, to be woken after unlocking.
    pub(super) fn take(&mut self) -> Called {
        Called(std::mem::take(&mut self.0))
    }
}

impl fmt::Debug for Parties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parties({})", self.0.len())
    }
}

/// Parties on their way out of a lock.
#[must_use = "the parties sleep until they are woken"]
pub(super) struct Called(Vec<Party>);

impl Called {
    /// Wakes them all. No lock may be held.
    pub(super) fn wake(self) {
        for party in self.0 {
            match party {
                Party::Waiting { slot, generation } => {
                    if let Some(claim) = slot.claim(generation, Outcome::Ready(0)) {
                        claim.wake();
                    }
                }
                Party::Task { waker, .. } => waker.wake(),
            }
        }
    }
}

/// What is waited for: data with its parties.
pub(super) trait Awaited {
    fn parties(&mut self) -> &mut Parties;
}

/// Looks by `look` until it says something, asleep in between; `None`: the deadline has passed.
pub(super) fn wait<S: Awaited, R>(
    state: &Mutex<S>,
    deadline: Option<Instant>,
    mut look: impl FnMut(&mut S) -> Option<R>,
) -> Option<R> {
    let address = std::ptr::from_ref(state).addr();
    loop {
        let mut guard: MutexGuard<'_, S> = state.lock();
        if let Some(seen) = look(&mut guard) {
            return Some(seen);
        }
        let wait = Wait::begin_for(WaitReason::Recv, address);
        let slot = wait.slot();
        guard.parties().0.push(Party::Waiting { slot, generation: wait.generation() });
        drop(guard);
        let outcome = match deadline {
            None => wait.park(),
            Some(deadline) => wait.park_deadline(deadline),
        };
        if outcome == Outcome::TimedOut {
            let mut guard = state.lock();
            guard.parties().remove(slot);
            return look(&mut guard);
        }
    }
}
