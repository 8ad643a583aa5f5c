//! The coroutine as this module sees it: four calls of the layer below, and who keeps its time.
//!
//! A coroutine's control block holds one opaque word for us: the address of the slot it waits in,
//! allocated at its first wait and kept for as long as the control block.
//!
//! # Invariants
//!
//! 1. That word is null or the address of a slot, and only this file writes it.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module. Nothing here suspends but [`wait_for_wake`].

use super::slot::Slot;

/// The slot of the running coroutine, allocated if it has none; `None` on a plain thread.
#[inline(always)]
pub(super) fn current_slot() -> Option<&'static Slot> {
    None
}

/// The running coroutine's slot is worn out: gives it another one.
#[cold]
pub(super) fn replace_slot() -> Option<&'static Slot> {
    None
}

/// Suspends the running coroutine until it is made ready.
#[inline(always)]
pub(super) fn wait_for_wake() {}

/// Makes the coroutine whose control block `party` is run again.
#[inline(always)]
pub(super) fn make_ready(_party: *mut ()) {}

/// The running coroutine's control block; null on a plain thread.
#[inline]
pub(super) fn current() -> *mut () {
    std::ptr::null_mut()
}
