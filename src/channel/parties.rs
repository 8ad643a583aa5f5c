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
//! 2. Nobody is woken under the lock, and no waker is cloned or dropped there: that is code of the
//!    user's.
//!
//! # Who calls this, and what it may call
//!
//! `broadcast` and `watch`, under their locks; [`wait`] with none.

#![forbid(unsafe_code)]

use super::shared::End;
use super::wait::Limits;
use crate::coroutine::WaitReason;
use crate::prim::{Mutex, MutexGuard};
use crate::token::{Outcome, SlotRef, Wait};
use crate::util::Panics;
use std::fmt;
use std::task::{Context, Poll, Waker};

enum Party {
    Waiting { slot: SlotRef, generation: u32 },
    Task { key: u64, waker: Waker },
}

/// Parties that wait for the same thing.
#[derive(Default)]
pub(super) struct Parties(Vec<Party>);

impl Parties {
    /// Adds the future with that key, or renews its waker. The one before is dropped after
    /// unlocking.
    #[must_use = "a waker is dropped outside of the lock"]
    pub(super) fn set_task(&mut self, own: u64, waker: Waker) -> Option<Waker> {
        for party in &mut self.0 {
            if let Party::Task { key, waker: old } = party
                && *key == own
            {
                return Some(std::mem::replace(old, waker));
            }
        }
        self.0.push(Party::Task { key: own, waker });
        None
    }

    /// Takes the future with that key out. Its waker is dropped after unlocking.
    #[must_use = "a waker is dropped outside of the lock"]
    pub(super) fn remove_task(&mut self, own: u64) -> Option<Waker> {
        let is_own = |party: &Party| matches!(party, Party::Task { key, .. } if *key == own);
        let place = self.0.iter().position(is_own)?;
        match self.0.remove(place) {
            Party::Task { waker, .. } => Some(waker),
            Party::Waiting { .. } => None,
        }
    }

    /// Adds the party that has begun that wait.
    pub(super) fn add(&mut self, slot: SlotRef, generation: u32) {
        self.0.push(Party::Waiting { slot, generation });
    }

    /// Takes a party out that waits no more.
    pub(super) fn remove(&mut self, own: SlotRef) {
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
    ///
    /// # Panics
    ///
    /// If a waker does, after all have been woken.
    pub(super) fn wake(self) {
        let mut panics = Panics::new();
        for party in self.0 {
            match party {
                Party::Waiting { slot, generation } => {
                    if let Some(claim) = slot.claim(generation, Outcome::Ready(0)) {
                        claim.wake();
                    }
                }
                Party::Task { waker, .. } => panics.catch(|| waker.wake()),
            }
        }
        panics.resume();
    }
}

/// What is waited for: data with its parties.
pub(super) trait Awaited {
    fn parties(&mut self) -> &mut Parties;
}

/// Looks by `look`; if it says nothing, adds the future with that key.
pub(super) fn poll<S: Awaited, R>(
    state: &Mutex<S>,
    key: u64,
    context: &Context<'_>,
    mut look: impl FnMut(&mut S) -> Option<R>,
) -> Poll<R> {
    if let Some(seen) = look(&mut state.lock()) {
        return Poll::Ready(seen);
    }
    let waker = context.waker().clone();
    let mut guard = state.lock();
    if let Some(seen) = look(&mut guard) {
        return Poll::Ready(seen);
    }
    let before = guard.parties().set_task(key, waker);
    drop(guard);
    drop(before);
    Poll::Pending
}

/// Looks by `look` until it says something, asleep in between; `Err`: a limit was reached first.
pub(super) fn wait<S: Awaited, R>(
    state: &Mutex<S>,
    limits: Limits<'_>,
    mut look: impl FnMut(&mut S) -> Option<R>,
) -> Result<R, End> {
    if limits.is_cancelled() {
        return Err(End::Cancelled);
    }
    let address = std::ptr::from_ref(state).addr();
    loop {
        let mut guard: MutexGuard<'_, S> = state.lock();
        if let Some(seen) = look(&mut guard) {
            return Ok(seen);
        }
        let wait = Wait::begin_for(WaitReason::Recv, address);
        let slot = wait.slot();
        guard.parties().add(slot, wait.generation());
        drop(guard);
        if let Some(end) = limits.park(wait) {
            let mut guard = state.lock();
            guard.parties().remove(slot);
            return look(&mut guard).ok_or(end);
        }
    }
}
