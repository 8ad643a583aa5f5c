//! The timers of one worker: the wheel, and what happens when an entry falls due.
//!
//! An entry carries a ticket: a slot and a generation. Falling due claims it, like any partner
//! would; a wait that ended otherwise meanwhile makes that claim fail, so a late entry is harmless.
//!
//! # Invariants
//!
//! 1. Only the owner thread touches the wheel.
//! 2. A claim is woken after the wheel was left: the woken may arm timers again.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines of the worker arm and disarm; the worker's loop advances.

use core::cell::RefCell;

use super::wheel::{FOREVER, TimerKey, Wheel};
use crate::coroutine::{ControlRef, Core, core};
use crate::sys::clock;
use crate::token::{Claim, Clock, Outcome, SlotRef, Ticket, Wait};
use std::time::Instant;

/// Timers that fire in one go before the worker looks at its other work.
const BATCH: usize = 256;

/// One worker's timers.
#[derive(Debug)]
pub(crate) struct Timers {
    wheel: RefCell<Wheel>,
}

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers { wheel: RefCell::new(Wheel::new(clock::now())) }
    }

    /// Whether nothing is armed.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.wheel.borrow().len() == 0
    }

    /// When the next one falls due, in nanoseconds of the monotonic clock.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.wheel.borrow_mut().next_deadline()
    }

    /// Fires what is due at `now`.
    pub(crate) fn advance(&self, now: u64) {
        if self.wheel.borrow().next_deadline_bound().is_none_or(|bound| bound > now) {
            return;
        }
        let mut due: Vec<Claim> = Vec::new();
        let _ = self.wheel.borrow_mut().advance_some(now, BATCH, |payload| {
            due.extend(Ticket::from_raw(payload).claim(Outcome::TimedOut));
        });
        for claim in due {
            claim.wake();
        }
    }

    /// Whether memory of a peak is kept that could be given back now.
    pub(crate) fn has_surplus(&self) -> bool {
        self.wheel.borrow().has_surplus()
    }

    /// Gives it back.
    pub(crate) fn shrink(&self) {
        self.wheel.borrow_mut().shrink();
    }

    /// This thread's timers, if it is a worker.
    #[inline(always)]
    fn here<'a>() -> Option<&'a Timers> {
        Timers::of(core()?)
    }

    #[inline(always)]
    fn of(core: &Core) -> Option<&Timers> {
        // SAFETY: set by the worker for as long as it runs, on this thread; no reference made here
        // outlives a switch of a coroutine.
        unsafe { core.timers.get().cast::<Timers>().as_ref() }
    }
}

/// The clock of the ticket layer: deadlines of coroutines go to their own worker's wheel.
pub(crate) static CLOCK: Clock = Clock { arm, disarm };

/// The key of a deadline that never comes.
const NEVER: u64 = u64::MAX;

#[inline]
fn arm(slot: SlotRef, generation: u32, at: Instant) -> Option<u64> {
    arm_at(slot, generation, clock::from_instant(at))
}

#[inline(never)]
fn arm_at(slot: SlotRef, generation: u32, deadline: u64) -> Option<u64> {
    let core = core()?;
    if core.current().is_some_and(ControlRef::is_migratable) {
        // It may be elsewhere when it has to disarm. The kernel's thread belongs to nobody.
        return None;
    }
    let timers = Timers::of(core)?;
    if deadline == FOREVER {
        return Some(NEVER);
    }
    let payload = slot.ticket(generation).into_raw();
    let key = timers.wheel.borrow_mut().insert(deadline, payload);
    Some(key.map_or(NEVER, TimerKey::into_raw))
}

#[inline(never)]
fn disarm(key: u64) {
    if key != NEVER
        && let Some(timers) = Timers::here()
    {
        // A key of another worker's wheel cannot come here: who may leave its worker gets none.
        timers.wheel.borrow_mut().cancel(TimerKey::from_raw(key));
    }
}

/// A timer that is disarmed when it goes out of scope.
struct Armed(u64);

impl Drop for Armed {
    #[inline]
    fn drop(&mut self) {
        disarm(self.0);
    }
}

/// Parks until somebody ends the wait, or ends it with [`Outcome::TimedOut`] at `deadline`
/// (monotonic nanoseconds, rounded by nobody).
#[inline(always)]
pub(crate) fn park_deadline(wait: Wait, deadline: u64) -> Outcome {
    if wait.is_coroutine()
        && let Some(key) = arm_at(wait.slot(), wait.generation(), deadline)
    {
        let _armed = Armed(key);
        return wait.park();
    }
    park_elsewhere(wait, deadline)
}

/// A thread, or a coroutine that no worker runs.
#[cold]
#[inline(never)]
fn park_elsewhere(wait: Wait, deadline: u64) -> Outcome {
    match clock::to_instant(deadline) {
        Some(at) => wait.park_deadline(at),
        None => wait.park(),
    }
}

/// The deadline `at`, for [`park_deadline`].
pub(crate) fn deadline(at: Instant) -> u64 {
    clock::from_instant(at)
}
