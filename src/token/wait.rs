//! A wait as channels, joins and locks use it: begin, register, park; claim and wake.
//!
//! ```text
//!   waiter                                   whoever ends the wait
//!   let wait = Wait::begin();
//!   register(wait.slot(), wait.generation())
//!   wait.park() ... sleeps                   slot.claim(generation, Outcome::Ready(0)) -> Some(claim)
//!                                            move the value to or from the waiter's frame
//!                                            unlock
//!   ... returns Outcome::Ready(0)            claim.wake()
//! ```
//!
//! # Invariants
//!
//! 1. A party has at most one `Wait` at a time, and ends it by `park`, or by a `retract` that
//!    succeeds.
//! 2. A winner calls [`Claim::wake`] exactly once, as its last access to the waiter's frame.
//! 3. `park` returns only after that wake, so the frame outlives every winner's access. A coroutine
//!    that is unwound while it waits retracts first, or takes the wake in; whoever registered the
//!    wait removes the registration in a guard of its own, which is dropped after that.
//!
//! # Who calls this, and what it may call
//!
//! Layers above, in a coroutine or on a thread. `park` suspends the coroutine or blocks the thread:
//! no lock may be held. `claim` may be called under a lock, `wake` may not.

#![forbid(unsafe_code)]

use super::slot::{Cargo, SystemFutex};
use super::state::{Outcome, Refused};
use super::table::{self, Slot, Won};
use super::{Ticket, party, thread};
use crate::coroutine::WaitReason;
use std::marker::PhantomData;
use std::time::Instant;

/// The present wait of the calling coroutine or thread. Not `Send`: it belongs to its party.
#[must_use = "a wait that has begun must be parked or retracted"]
#[derive(Debug)]
pub(crate) struct Wait {
    slot: &'static Slot,
    /// Caller << 32 | generation. Two words in all, which travel in registers: in three fields they
    /// would go through memory, written in pieces and read as one, which the processor cannot forward.
    call: u64,
    party: PhantomData<*const ()>,
}

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Caller {
    Coroutine = 0,
    Thread = 1,
    /// A thread that has no slot any more because it exits; this one is borrowed.
    Exiting = 2,
}

impl Wait {
    #[inline(always)]
    fn new(slot: &'static Slot, generation: u32, caller: Caller) -> Wait {
        let call = (caller as u64) << 32 | u64::from(generation);
        Wait { slot, call, party: PhantomData }
    }

    #[inline(always)]
    fn is_called_by(&self, caller: Caller) -> bool {
        self.call >> 32 == caller as u64
    }

    /// Begins a wait of the calling party.
    #[inline(always)]
    pub(crate) fn begin() -> Wait {
        if let Some(slot) = party::current_slot()
            && let Some(generation) = slot.word.arm()
        {
            return Wait::new(slot, generation, Caller::Coroutine);
        }
        Wait::begin_slow()
    }

    /// Begins a wait, and notes why and on what, for reports.
    #[inline(always)]
    pub(crate) fn begin_for(reason: WaitReason, on: usize) -> Wait {
        let wait = Wait::begin();
        if wait.is_coroutine() {
            party::note(wait.slot, reason, on);
        }
        wait
    }

    /// A plain thread, or a coroutine whose slot is worn out.
    #[cold]
    #[inline(never)]
    fn begin_slow() -> Wait {
        if let Some(slot) = party::replace_slot() {
            let generation = slot.word.arm().expect("a free slot is not worn out");
            return Wait::new(slot, generation, Caller::Coroutine);
        }
        let arm = |slot: &'static Slot| slot.word.arm().map(|generation| (slot, generation));
        let own = thread::slot().and_then(arm).or_else(|| thread::replace_slot().and_then(arm));
        let caller = if own.is_some() { Caller::Thread } else { Caller::Exiting };
        let (slot, generation) =
            own.unwrap_or_else(|| arm(thread::fresh_slot()).expect("a free slot is not worn out"));
        Wait::new(slot, generation, caller)
    }

    /// Whether a coroutine waits, not a thread.
    #[inline(always)]
    pub(crate) fn is_coroutine(&self) -> bool {
        self.is_called_by(Caller::Coroutine)
    }

    /// What partners keep, together with the generation.
    #[inline(always)]
    pub(crate) fn slot(&self) -> SlotRef {
        SlotRef { slot: self.slot }
    }

    /// Which wait of the slot this is.
    #[inline(always)]
    pub(crate) fn generation(&self) -> u32 {
        self.call as u32
    }

    /// Slot and generation in one number, for wait reasons and dumps. It can be claimed only with
    /// [`SlotRef::claim`], never completed as a published ticket.
    #[inline(always)]
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket::new(self.slot.index(), self.generation())
    }

    /// Sleeps until someone has claimed the wait and woken it. Suspends the calling coroutine, or
    /// blocks the thread.
    #[inline(always)]
    pub(crate) fn park(self) -> Outcome {
        if self.is_coroutine() {
            let unwound = Unwound { slot: self.slot, generation: self.generation() };
            party::wait_for_wake();
            std::mem::forget(unwound);
            return self.slot.word.outcome();
        }
        self.park_thread()
    }

    /// Like [`park`](Self::park), for a waiter that is linked somewhere.
    ///
    /// If the coroutine is unwound while it is suspended, `linked` is dropped first: it takes the
    /// waiter out of where it is linked, under the lock there, after which nobody new can win the
    /// wait. Only then is the wait ended, and a wake that was already owed taken in. A wait that is
    /// ended with [`claim_exclusive`](SlotRef::claim_exclusive) needs that order. `linked` is
    /// forgotten after a wake.
    #[inline(always)]
    pub(crate) fn park_linked<G>(self, linked: G) -> Outcome {
        if self.is_coroutine() {
            let unwound = Unwound { slot: self.slot, generation: self.generation() };
            let linked = linked;
            party::wait_for_wake();
            std::mem::forget(linked);
            std::mem::forget(unwound);
            return self.slot.word.outcome();
        }
        std::mem::forget(linked);
        self.park_thread()
    }

    #[inline(never)]
    fn park_thread(self) -> Outcome {
        self.slot.parker.park(&SystemFutex, None);
        self.end()
    }

    /// Like [`park`](Self::park), ending the wait with `TimedOut` when nobody has by `deadline`.
    ///
    /// For a thread the futex keeps the time. For a coroutine the deadline goes to the clock that
    /// is installed, or to the kernel's thread; `sched` files its own timers and calls `park`.
    pub(crate) fn park_deadline(self, deadline: Instant) -> Outcome {
        if self.is_coroutine() {
            // If the kernel's thread cannot be started.
            let unwound = Unwound { slot: self.slot, generation: self.generation() };
            let _served = party::arm_deadline(self.slot(), self.generation(), deadline);
            std::mem::forget(unwound);
            return self.park();
        }
        if !self.slot.parker.park(&SystemFutex, Some(deadline))
            && self.slot.word.claim(self.generation(), Outcome::TimedOut).is_err()
        {
            // Someone won in the last moment; the wake is on its way.
            self.slot.parker.park(&SystemFutex, None);
        }
        self.end()
    }

    /// Ends the wait because there is no need for it: nothing happened and nobody will wake it.
    ///
    /// # Errors
    ///
    /// Gives the wait back if someone has claimed it: it must be parked, for the wake is coming.
    #[inline(always)]
    pub(crate) fn retract(self) -> Result<(), Wait> {
        if !self.slot.word.retract(self.generation()) {
            return Err(self);
        }
        if self.is_called_by(Caller::Exiting) {
            table::free(self.slot);
        }
        Ok(())
    }

    fn end(self) -> Outcome {
        let outcome = self.slot.word.outcome();
        if self.is_called_by(Caller::Exiting) {
            table::free(self.slot);
        }
        outcome
    }
}

/// Ends the wait of a coroutine that is unwound while it is suspended, so that its frame and its
/// slot may go: nobody will touch them once this has been dropped.
struct Unwound {
    slot: &'static Slot,
    generation: u32,
}

impl Drop for Unwound {
    #[cold]
    fn drop(&mut self) {
        if !self.slot.word.retract(self.generation) {
            party::finish_wake(self.slot);
        }
    }
}

/// Where a party waits: what a channel's node or a timer's entry keeps.
///
/// The slot lives for ever; a reference that is out of date loses every claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotRef {
    slot: &'static Slot,
}

impl SlotRef {
    /// The slot and one of its waits in one number, which [`Ticket::from_raw`] and the timers take.
    #[inline]
    pub(crate) fn ticket(self, generation: u32) -> Ticket {
        Ticket::new(self.slot.index(), generation)
    }

    pub(super) fn new(slot: &'static Slot) -> SlotRef {
        SlotRef { slot }
    }

    /// Ends the wait of that generation, if nobody else has. One compare-and-swap.
    ///
    /// Who gets the claim moves the value, unlocks, and calls [`Claim::wake`].
    #[inline(always)]
    pub(crate) fn claim(self, generation: u32, outcome: Outcome) -> Option<Claim> {
        match self.slot.word.claim(generation, outcome) {
            Ok(()) => Some(Claim { slot: self.slot, public: None }),
            Err(Refused::Lost) => None,
            Err(Refused::Public) => self.claim_public(generation, outcome),
        }
    }

    /// Like [`claim`](Self::claim), by a load and a store.
    ///
    /// Only for a wait that is registered in one place, without deadline and cancel token, by the
    /// holder of the lock that all who could end it take.
    #[inline(always)]
    pub(crate) fn claim_exclusive(self, generation: u32, outcome: Outcome) -> Option<Claim> {
        self.slot
            .word
            .claim_exclusive(generation, outcome)
            .then_some(Claim { slot: self.slot, public: None })
    }

    /// Whether that wait is still open. A hint: it may end at any moment.
    #[inline]
    pub(crate) fn is_waiting(self, generation: u32) -> bool {
        self.slot.word.is_waiting(generation)
    }

    /// Whether both name the same party's slot.
    #[inline(always)]
    pub(crate) fn same(self, other: SlotRef) -> bool {
        std::ptr::eq(self.slot, other.slot)
    }

    #[cfg(test)]
    pub(super) fn age_to(self, generation: u32) {
        let word = u64::from(generation) << super::state::GENERATION_SHIFT;
        self.slot.word.bare().store(word, crate::prim::Ordering::Relaxed);
    }

    /// A timer or a cancel token ends a published ticket: nothing is delivered but the outcome.
    #[cold]
    fn claim_public(self, generation: u32, outcome: Outcome) -> Option<Claim> {
        let won = self.slot.win(generation, outcome)?;
        Some(Claim { slot: self.slot, public: Some(won) })
    }
}

/// The right, and the duty, to wake a party whose wait one has ended.
#[must_use = "the party sleeps until the claim is woken"]
#[derive(Debug)]
pub(crate) struct Claim {
    slot: &'static Slot,
    /// Set when the wait is a published ticket.
    public: Option<Won>,
}

impl Claim {
    /// Wakes the party. No lock may be held, and its frame may not be touched afterwards.
    #[inline(always)]
    pub(crate) fn wake(self) {
        match self.public {
            None => self.slot.wake(),
            Some(won) => won.finish(Cargo::Nothing),
        }
    }
}
