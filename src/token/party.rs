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

use super::kernel;
use super::slot::Kind;
use super::table::{self, Slot};
use super::wait::SlotRef;
use crate::coroutine::{self, ControlRef, WaitReason};
use std::sync::OnceLock;
use std::time::Instant;

/// Who serves the deadlines of coroutines' waits, where there is somebody nearer than the kernel's
/// thread.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Has the slot claimed with `TimedOut` when the instant has passed; returns a key to disarm
    /// that with, on the same thread. `None`: not by me here; the kernel's thread shall do it.
    pub(crate) arm: fn(SlotRef, u32, Instant) -> Option<u64>,
    /// Forgets what `arm` returned.
    pub(crate) disarm: fn(u64),
}

static CLOCK: OnceLock<&'static Clock> = OnceLock::new();

/// Names who serves the deadlines of coroutines; the first call counts.
pub(crate) fn set_clock(clock: &'static Clock) {
    let _ = CLOCK.set(clock);
}

/// A deadline under way; dropped, it is forgotten.
pub(super) enum Served {
    Near(&'static Clock, u64),
    Kernel { _guard: kernel::KernelGuard },
}

impl Drop for Served {
    #[inline]
    fn drop(&mut self) {
        if let Served::Near(clock, key) = self {
            (clock.disarm)(*key);
        }
    }
}

/// Has the wait ended at `deadline`; the result is kept until the wait is over.
pub(super) fn arm_deadline(slot: SlotRef, generation: u32, at: Instant) -> Served {
    if let Some(clock) = CLOCK.get()
        && let Some(key) = (clock.arm)(slot, generation, at)
    {
        return Served::Near(clock, key);
    }
    Served::Kernel { _guard: kernel::end_at(slot, generation, at) }
}

/// The slot of the running coroutine, allocated if it has none; `None` on a plain thread, and while
/// the thread is panicking, when nothing may be suspended.
#[inline(always)]
pub(super) fn current_slot() -> Option<&'static Slot> {
    let me = coroutine::current_waiter()?;
    let slot = me.wait_slot().get().cast::<Slot>();
    if slot.is_null() {
        return Some(attach(me));
    }
    // SAFETY: not null, so it is the address of a slot (invariant 1), and slots live for ever.
    Some(unsafe { &*slot })
}

/// The running coroutine's slot is worn out: gives it another one.
#[cold]
pub(super) fn replace_slot() -> Option<&'static Slot> {
    let me = coroutine::current_waiter()?;
    let worn_out = me.wait_slot().get();
    if !worn_out.is_null() {
        detach(worn_out);
    }
    Some(attach(me))
}

#[cold]
#[inline(never)]
fn attach(me: ControlRef) -> &'static Slot {
    let slot = table::alloc();
    slot.set_owner(Kind::Coroutine, me.address() as *mut ());
    me.wait_slot().set(std::ptr::from_ref(slot).cast());
    me.set_free_slot(detach);
    slot
}

/// Gives back the slot of a control block that ends.
fn detach(slot: *const ()) {
    // SAFETY: the word of a control block is the address of a slot once `attach` has set it.
    table::free(unsafe { &*slot.cast::<Slot>() });
}

/// Records why and on what the running coroutine is about to wait.
#[inline]
pub(super) fn set_reason(reason: WaitReason, on: u64) {
    if let Some(me) = coroutine::current_waiter() {
        me.set_reason(reason, on as usize);
    }
}

/// Notes why the running coroutine, whose slot this is, is about to wait.
#[inline(always)]
pub(super) fn note(slot: &Slot, reason: WaitReason, on: usize) {
    ControlRef::from_address(slot.party() as usize).set_reason(reason, on);
}

/// Suspends the running coroutine until it is made ready.
#[inline(always)]
pub(super) fn wait_for_wake() {
    coroutine::wait_for_wake();
}

/// Takes in a wake that is on its way to the running coroutine, which is being unwound.
#[cold]
pub(super) fn finish_wake(slot: &Slot) {
    coroutine::finish_wake(ControlRef::from_address(slot.party() as usize));
}

/// Makes the coroutine whose control block `party` is run again.
#[inline(always)]
pub(super) fn make_ready(party: *mut ()) {
    ControlRef::from_address(party as usize).make_ready();
}

/// Whether the running coroutine may go on on another thread.
#[inline]
pub(super) fn may_migrate() -> bool {
    coroutine::current_waiter().is_some_and(ControlRef::is_migratable)
}

/// The running coroutine's control block; null on a plain thread.
#[inline]
pub(super) fn current() -> *mut () {
    coroutine::current_waiter().map_or(std::ptr::null_mut(), |me| me.address() as *mut ())
}
