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
use crate::coroutine::core;
use crate::sys::clock;
use crate::token::{Claim, Outcome, Ticket, Wait};
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

    /// This thread's timers, if it is a worker.
    #[inline(always)]
    fn here<'a>() -> Option<&'a Timers> {
        // SAFETY: set by the worker for as long as it runs, on this thread; no reference made here
        // outlives a switch of a coroutine, which stays on the thread anyway.
        unsafe { core()?.timers.get().cast::<Timers>().as_ref() }
    }
}

/// An armed timer; dropping it disarms.
#[derive(Debug)]
#[must_use = "dropping it disarms the timer"]
pub(crate) struct Armed {
    timers: *const Timers,
    key: Option<TimerKey>,
}

impl Drop for Armed {
    #[inline]
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // SAFETY: armed on this thread's worker, which outlives its coroutines' frames.
            unsafe { (*self.timers).wheel.borrow_mut().cancel(key) };
        }
    }
}

/// Arms a timer that ends `wait` at `deadline` (monotonic nanoseconds), on the worker of this
/// thread; `None` if the thread is not a worker's.
#[inline]
pub(crate) fn arm(wait: &Wait, deadline: u64) -> Option<Armed> {
    let timers = Timers::here()?;
    let key = if deadline == FOREVER {
        None
    } else {
        timers.wheel.borrow_mut().insert(deadline, wait.ticket().into_raw())
    };
    Some(Armed { timers, key })
}

/// Parks until somebody ends the wait, or ends it with [`Outcome::TimedOut`] at `deadline`.
///
/// Coroutines of a worker use its wheel, everybody else the clock of the ticket layer.
#[inline]
pub(crate) fn park_deadline(wait: Wait, deadline: u64) -> Outcome {
    if wait.is_coroutine()
        && let Some(armed) = arm(&wait, deadline)
    {
        let outcome = wait.park();
        drop(armed);
        return outcome;
    }
    match clock::to_instant(deadline) {
        Some(at) => wait.park_deadline(at),
        None => wait.park(),
    }
}

/// The deadline `at`, for [`arm`] and [`park_deadline`].
pub(crate) fn deadline(at: Instant) -> u64 {
    clock::from_instant(at)
}
