//! What other threads may see of a core: who runs there, and whether anything moves.
//!
//! The owner stores these words atomically and reads them plainly: nobody else writes, and the
//! compiler keeps what it has just stored in a register, as with a cell. With atomic loads it must
//! read it back, which cost a tenth of a switch. An onlooker glances at them now and then. Two
//! equal glances some time apart mean that one coroutine has held the thread in between: each switch
//! changes `current` or the budget.
//!
//! # Invariants
//!
//! 1. Only the owner thread writes, or calls `get`; others call `seen`.
//! 2. A [`Watch`] is used only while the core's thread keeps the core.
//!
//! # Who calls this, and what it may call
//!
//! The core itself; the scheduler's monitor.

use core::panic::Location;
use core::ptr::NonNull;

use super::control::{Control, ControlRef};
use super::core::Core;
use crate::prim::{AtomicPtr, AtomicU32, Ordering};
use crate::stack::Stack;

/// The running coroutine, as a word that others may read.
#[derive(Debug)]
pub(super) struct ShownCurrent(AtomicPtr<Control>);

impl ShownCurrent {
    pub(super) fn new() -> ShownCurrent {
        ShownCurrent(AtomicPtr::new(core::ptr::null_mut()))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> Option<ControlRef> {
        // SAFETY: only the owner calls this, and only the owner writes (invariant 1), so no write
        // is concurrent.
        ControlRef::from_ptr(unsafe { *self.0.as_ptr() })
    }

    /// What another thread sees.
    fn seen(&self) -> usize {
        self.0.load(Ordering::Relaxed).addr()
    }

    #[inline(always)]
    pub(super) fn set(&self, current: Option<ControlRef>) {
        self.0.store(ControlRef::to_ptr(current), Ordering::Relaxed);
    }
}

/// The switch budget, as a word that others may read.
#[derive(Debug)]
pub(super) struct ShownBudget(AtomicU32);

impl ShownBudget {
    pub(super) fn new(budget: u32) -> ShownBudget {
        ShownBudget(AtomicU32::new(budget))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> u32 {
        // SAFETY: as for the running coroutine.
        unsafe { *self.0.as_ptr() }
    }

    /// What another thread sees.
    fn seen(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn set(&self, budget: u32) {
        self.0.store(budget, Ordering::Relaxed);
    }
}

/// What is to be seen of a core at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Glance {
    current: usize,
    budget: u32,
}

/// Another thread's view of a core.
#[derive(Debug)]
pub(crate) struct Watch(NonNull<Core>);

// SAFETY: only the shown words are read through it, which are atomic.
unsafe impl Send for Watch {}

impl Watch {
    pub(crate) fn of(core: &Core) -> Watch {
        Watch(NonNull::from(core))
    }

    /// # Safety
    ///
    /// - The core still exists (invariant 2), for as long as the call takes.
    pub(crate) unsafe fn glance(&self) -> Glance {
        let core = self.0.as_ptr();
        // SAFETY: by the contract; references are made to the two shown words only.
        let (current, budget) = unsafe { (&(*core).current, &(*core).budget) };
        Glance { current: current.seen(), budget: budget.seen() }
    }

    /// Number and spawn site of the coroutine that ran at `seen` and still runs.
    ///
    /// # Safety
    ///
    /// - As [`glance`](Watch::glance).
    pub(crate) unsafe fn running(&self, seen: Glance) -> Option<(u64, &'static Location<'static>)> {
        let top = ControlRef::stack_top_of(NonNull::new(seen.current as *mut Control)?);
        // SAFETY: a control block lies right below the top of a stack, and memory that was a stack's
        // once stays mapped and readable, for stacks of that size.
        let label = unsafe { Stack::label_above(top) };
        // SAFETY: by the contract.
        if unsafe { self.glance() } == seen { label } else { None }
    }
}
