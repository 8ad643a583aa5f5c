//! Data behind a [`Gate`], and what the gate needs from the worker and the kernel.
//!
//! # Invariants
//!
//! 1. A [`Guard`] is alive exactly while its holder is alone inside the gate.
//! 2. No guard is alive across a suspension (the gate's invariant 3).
//! 3. Nobody is suspended on the way in. A coroutine that is suspended may be unwound, and those who
//!    come here to take their node out of a list must get in before their frame goes; one that has
//!    begun a wait may be woken, and would be queued twice.
//!
//! # Who calls this, and what it may call
//!
//! `shared`, from any thread. Who finds the gate taken gives up its time slice; the holder is never
//! suspended, so it is running or about to. Nothing blocks in the kernel.

use super::gate::{Entry, Gate, Platform};
use crate::prim::{Ordering, UnsafeCell, compiler_fence, spin_loop, thread_yield};
use crate::sys::membarrier;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Looks at a taken gate before giving way. An operation inside takes some ten nanoseconds, but a
/// gate that changes hands costs ten times that: who waits a microsecond lets the holder do many
/// operations in a row, and all of them finish sooner.
const SPINS: u32 = 4;

/// Pauses before the second look; each wait is twice the one before.
const PAUSES: u32 = 16;

/// This process.
pub(super) struct Process;

impl Platform for Process {
    #[inline(always)]
    fn me() -> usize {
        crate::arch::thread_word()
    }

    fn wait(round: u32) {
        if round < SPINS {
            for _ in 0..PAUSES << round {
                spin_loop();
            }
            return;
        }
        thread_yield();
    }

    fn can_bias() -> bool {
        membarrier::available()
    }

    #[inline(always)]
    fn light() {
        // SeqCst for the compiler alone: nothing moves over it; (D) in `gate` says the rest.
        compiler_fence(Ordering::SeqCst);
    }

    fn heavy() {
        membarrier::all_threads();
    }
}

/// A channel's state, for one at a time.
pub(super) struct Lock<S> {
    gate: Gate<Process>,
    state: UnsafeCell<S>,
}

// SAFETY: the gate lets one thread at a time reach the state, and orders them (L, B); that needs
// the state to be sendable, no more.
unsafe impl<S: Send> Sync for Lock<S> {}

impl<S> Lock<S> {
    pub(super) fn new(state: S) -> Lock<S> {
        Lock { gate: Gate::new(), state: UnsafeCell::new(state) }
    }

    /// Waits until the caller is alone with the state.
    #[inline(always)]
    pub(super) fn enter(&self) -> Guard<'_, S> {
        Guard { entry: self.gate.enter(), lock: self }
    }

    /// For reports: whether the gate is biased, revoked, taken.
    pub(super) fn gate(&self) -> &impl fmt::Debug {
        &self.gate
    }
}

/// Alone with the state, until dropped.
pub(super) struct Guard<'a, S> {
    lock: &'a Lock<S>,
    entry: Entry,
}

impl<S> Deref for Guard<'_, S> {
    type Target = S;

    #[inline(always)]
    fn deref(&self) -> &S {
        // SAFETY: the guard's holder is alone inside (invariant 1).
        self.lock.state.with(|state| unsafe { &*state })
    }
}

impl<S> DerefMut for Guard<'_, S> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut S {
        // SAFETY: the guard's holder is alone inside (invariant 1), and lends the guard mutably.
        self.lock.state.with_mut(|state| unsafe { &mut *state })
    }
}

impl<S> Drop for Guard<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.gate.leave(self.entry);
    }
}
