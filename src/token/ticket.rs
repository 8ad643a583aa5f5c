//! Published tickets: an event that has a number, from anywhere, to whoever asked for it.
//!
//! A coroutine or thread publishes a ticket, gives its number away, and waits for it when it likes.
//! Whoever completes or cancels the ticket first has done it; the others get their payload back.
//! The number is safe to forge: it names a slot and a generation, and whatever does not match an
//! open ticket is stale.
//!
//! # Invariants
//!
//! 1. The party in a ticket's slot is who published it, and only that party waits for, withdraws, or
//!    gives the ticket to a callback. So the owner's side of a ticket is never contended.
//! 2. A ticket's slot is given back once: after the result was collected, or by an owner that won.
//!
//! # Who calls this, and what it may call
//!
//! Anyone. The waits suspend the coroutine or block the thread.

#![forbid(unsafe_code)]

use super::event::{self, Park};
use super::future::TicketFuture;
use super::payload::Payload;
use super::slot::{Cargo, Kind, SystemFutex};
use super::state::Outcome;
use super::table::{self, Slot, Won};
use super::wait::{Claim, SlotRef};
use super::{kernel, party, shard, thread};
use crate::coroutine::WaitReason;
use crate::error::{CancelReason, Stale, WaitError};
use std::fmt;
use std::time::{Duration, Instant};

/// Names one wait. Copy it to wherever the event will come from.
///
/// Equal tickets name the same event. A number is reused after four billion events of its slot at
/// the earliest, and in truth never: the slot is taken out of use before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    pub(super) fn new(index: u32, generation: u32) -> Ticket {
        Ticket(u64::from(index) << 32 | u64::from(generation))
    }

    /// The ticket that has this number. Any number is safe: one that names no open ticket is stale.
    pub const fn from_raw(raw: u64) -> Ticket {
        Ticket(raw)
    }

    /// The ticket as a number, to be carried through a C callback, a message or a completion queue.
    pub const fn into_raw(self) -> u64 {
        self.0
    }

    #[inline]
    fn generation(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    fn slot(self) -> Option<&'static Slot> {
        table::get((self.0 >> 32) as u32)
    }

    /// Ends the wait it names with `outcome`, if nobody else has; what a timer does.
    #[inline]
    pub(crate) fn claim(self, outcome: Outcome) -> Option<Claim> {
        SlotRef::new(self.slot()?).claim(self.generation(), outcome)
    }

    /// Completes the ticket: its owner gets the payload. From any thread; one call has effect.
    ///
    /// A callback of [`publish_callback`] runs within this call.
    ///
    /// # Errors
    ///
    /// [`Stale`] with the payload, if the ticket has ended already.
    #[inline(always)]
    pub fn complete(self, payload: Payload) -> Result<(), Stale<Payload>> {
        match self.win() {
            Some(won) => {
                won.finish(Cargo::Delivered(payload));
                Ok(())
            }
            None => Err(Stale(payload)),
        }
    }

    #[inline(never)]
    fn win(self) -> Option<Won> {
        let won = self.slot().and_then(|slot| slot.win(self.generation(), Outcome::Ready(0)));
        shard::with(|shard| match won {
            Some(won) => {
                shard.counters.completed.bump();
                Some(won.seen_from(shard))
            }
            None => {
                shard.counters.stale.bump();
                None
            }
        })
    }

    /// Like [`complete`](Self::complete), for a signal handler: no lock, no allocation, no foreign
    /// code. The kernel's thread wakes the owner.
    ///
    /// The caller keeps a [`KernelGuard`](super::KernelGuard) for as long as the signal can come.
    ///
    /// # Errors
    ///
    /// [`Stale`] with the payload, if the ticket has ended already, if the kernel does not run, or if
    /// the payload is a boxed value, which could not be dropped in a handler.
    pub fn complete_from_signal(self, payload: Payload) -> Result<(), Stale<Payload>> {
        if !payload.is_plain() || !kernel::Kernel::is_running() {
            return Err(Stale(payload));
        }
        match self.slot().and_then(|slot| slot.win(self.generation(), Outcome::Ready(0))) {
            Some(won) => {
                shard::count_signal();
                won.finish_by_kernel(Cargo::Delivered(payload));
                Ok(())
            }
            None => Err(Stale(payload)),
        }
    }

    /// Cancels the ticket: its owner gets [`WaitError::Cancelled`]. From any thread.
    ///
    /// # Errors
    ///
    /// [`Stale`], if the ticket has ended already.
    pub fn cancel(self, reason: impl Into<CancelReason>) -> Result<(), Stale<()>> {
        let won = self.slot().and_then(|slot| slot.win(self.generation(), Outcome::Cancelled));
        let Some(won) = won else {
            shard::with(|shard| shard.counters.stale.bump());
            return Err(Stale(()));
        };
        shard::with(|shard| shard.counters.cancelled.bump());
        won.finish(Cargo::Cancelled(reason.into()));
        Ok(())
    }

    /// Whether nobody has completed or cancelled it yet. It may happen at any moment.
    pub fn is_open(self) -> bool {
        self.slot().is_some_and(|slot| slot.word.is_waiting(self.generation()))
    }

    /// The slot, if the ticket is the caller's own and has not been waited for.
    fn owned(self) -> Result<&'static Slot, WaitError> {
        let slot = self.slot().ok_or(WaitError::NotOwned)?;
        let (kind, me) = caller();
        let owned = slot.holds(self.generation())
            && !me.is_null()
            && slot.party() == me
            && slot.kind() == kind;
        if owned { Ok(slot) } else { Err(WaitError::NotOwned) }
    }
}

/// Who asks: a coroutine by its control block, a thread by the slot it waits in.
#[inline]
fn caller() -> (Kind, *mut ()) {
    let coroutine = party::current();
    if !coroutine.is_null() {
        let kind = if party::may_migrate() { Kind::Migrant } else { Kind::Coroutine };
        return (kind, coroutine);
    }
    let own = thread::slot().map_or(std::ptr::null(), std::ptr::from_ref);
    (Kind::Thread, own.cast_mut().cast())
}

/// Publishes a ticket that the caller, a coroutine or a thread, will wait for.
///
/// A ticket that is neither waited for, withdrawn nor given to a callback keeps its slot: 64 bytes
/// and what it was completed with.
pub fn publish() -> Ticket {
    let (kind, me) = caller();
    let slot = table::alloc_ticket();
    slot.set_owner(kind, me);
    slot.parker.reset();
    let generation = slot.publish();
    Ticket::new(slot.index(), generation)
}

/// Publishes a ticket whose end runs `callback`, on the thread that completes or cancels it.
///
/// The callback should be short. Its panic is reported by the panic hook and goes no further.
///
/// ```
/// use kcoro::token::{self, Payload};
///
/// let (tx, rx) = std::sync::mpsc::channel();
/// let ticket = token::publish_callback(move |result| tx.send(result.unwrap().len()).unwrap());
/// ticket.complete(Payload::bytes(b"OK")).unwrap();
/// assert_eq!(rx.recv().unwrap(), 2);
/// ```
pub fn publish_callback(
    callback: impl FnOnce(Result<Payload, WaitError>) + Send + 'static,
) -> Ticket {
    let slot = table::alloc_ticket();
    slot.attach_callback(Kind::Callback, Box::new(callback));
    let ticket = Ticket::new(slot.index(), slot.publish());
    settle(slot);
    ticket
}

/// Has a ticket end with a timeout at `at`, unless it has ended by then. The guard is kept for as
/// long as that matters.
pub(crate) fn end_at(ticket: Ticket, at: Instant) -> kernel::KernelGuard {
    let slot = ticket.slot().expect("a published ticket has a slot");
    kernel::end_at(SlotRef::new(slot), ticket.generation(), at)
}

/// Publishes a ticket and the future of its result.
///
/// ```
/// use kcoro::token::{self, Payload};
///
/// let (ticket, future) = token::publish_future();
/// std::thread::spawn(move || ticket.complete(Payload::empty()));
/// assert!(futures::executor::block_on(future).is_ok());
/// ```
pub fn publish_future() -> (Ticket, TicketFuture) {
    TicketFuture::publish()
}

/// Gives a ticket that the caller published to `callback`, which runs on the kernel's thread when
/// the ticket ends (on the completer's if the kernel does not run).
///
/// # Errors
///
/// [`Stale`] with the callback, if the ticket is not the caller's or has been waited for.
pub fn on_complete<F>(ticket: Ticket, callback: F) -> Result<(), Stale<F>>
where
    F: FnOnce(Result<Payload, WaitError>) + Send + 'static,
{
    let Ok(slot) = ticket.owned() else { return Err(Stale(callback)) };
    slot.attach_callback(Kind::KernelCallback, Box::new(callback));
    settle(slot);
    Ok(())
}

/// The party of the slot is not the caller: marks it as parked, and wakes it if that is too late.
fn settle(slot: &'static Slot) {
    if slot.park() == Park::Done {
        slot.wake();
    }
}

/// Waits until the ticket, which the caller has published, was completed, and takes the payload.
///
/// # Errors
///
/// Why there is no payload: cancelled, or not the caller's ticket.
#[inline(always)]
pub fn wait(ticket: Ticket) -> Result<Payload, WaitError> {
    let slot = match prepare(ticket) {
        Plan::Refuse => return Err(WaitError::NotOwned),
        Plan::Collect(slot) => slot,
        Plan::Suspend(slot) => {
            suspend(slot, ticket);
            slot
        }
    };
    finish(slot)
}

/// What is left to be done in the caller's frame. Small, so that it travels in registers, and the
/// result is written once, to where it belongs.
enum Plan {
    Refuse,
    Collect(&'static Slot),
    Suspend(&'static Slot),
}

#[inline(never)]
fn prepare(ticket: Ticket) -> Plan {
    let Ok(slot) = ticket.owned() else { return Plan::Refuse };
    if slot.park() == Park::Sleep {
        if slot.kind().is_coroutine() {
            party::set_reason(WaitReason::Ticket, ticket.0);
            return Plan::Suspend(slot);
        }
        slot.parker.park(&SystemFutex, None);
    }
    Plan::Collect(slot)
}

#[inline(always)]
fn suspend(slot: &'static Slot, ticket: Ticket) {
    let unwound = Unwound { slot, generation: ticket.generation() };
    party::wait_for_wake();
    std::mem::forget(unwound);
}

/// In the caller's own frame, as `Won::finish`.
#[inline(always)]
fn finish(slot: &'static Slot) -> Result<Payload, WaitError> {
    let result = slot.collect();
    table::free_ticket(slot);
    result
}

/// Ends the ticket of a coroutine that is unwound while it waits.
struct Unwound {
    slot: &'static Slot,
    generation: u32,
}

impl Drop for Unwound {
    #[cold]
    fn drop(&mut self) {
        if let Some(won) = self.slot.win(self.generation, Outcome::Cancelled) {
            won.keep();
            table::free_ticket(self.slot);
        } else {
            party::finish_wake(self.slot);
            drop(finish(self.slot));
        }
    }
}

/// [`wait`], for at most `timeout`.
///
/// # Errors
///
/// As [`wait`]; [`WaitError::Timeout`] if the time is up: then the ticket has ended.
pub fn wait_timeout(ticket: Ticket, timeout: Duration) -> Result<Payload, WaitError> {
    match Instant::now().checked_add(timeout) {
        Some(deadline) => wait_deadline(ticket, deadline),
        None => wait(ticket),
    }
}

/// [`wait`], until `deadline` at the latest.
///
/// # Errors
///
/// As [`wait`]; [`WaitError::Timeout`] if the deadline has passed: then the ticket has ended.
pub fn wait_deadline(ticket: Ticket, deadline: Instant) -> Result<Payload, WaitError> {
    let slot = ticket.owned()?;
    let generation = ticket.generation();
    if slot.kind().is_coroutine() {
        let _served = party::arm_deadline(SlotRef::new(slot), generation, deadline);
        let result = wait(ticket);
        if result.as_ref().is_err_and(|error| *error == WaitError::Timeout) {
            shard::with(|shard| shard.counters.timed_out.bump());
        }
        return result;
    }
    if slot.park() == Park::Sleep && !slot.parker.park(&SystemFutex, Some(deadline)) {
        if let Some(won) = slot.win(generation, Outcome::TimedOut) {
            won.keep();
            table::free_ticket(slot);
            shard::with(|shard| shard.counters.timed_out.bump());
            return Err(WaitError::Timeout);
        }
        // Someone won in the last moment; the wake is on its way.
        slot.parker.park(&SystemFutex, None);
    }
    finish(slot)
}

/// Takes the result of the ticket if it is there; `None` if the ticket is still open.
///
/// # Errors
///
/// `Some` with the reason, as [`wait`].
pub fn try_wait(ticket: Ticket) -> Option<Result<Payload, WaitError>> {
    match ticket.owned() {
        Err(error) => Some(Err(error)),
        Ok(slot) if event::is_done(slot.word.bare()) => Some(finish(slot)),
        Ok(_) => None,
    }
}

/// Gives up a ticket that the caller has published. If it was completed before, that payload is
/// returned.
pub fn withdraw(ticket: Ticket) -> Option<Payload> {
    let slot = ticket.owned().ok()?;
    if event::revoke(slot.word.bare(), ticket.generation()) {
        table::free_ticket(slot);
        return None;
    }
    wait(ticket).ok()
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}@{})", self.0 >> 32, self.generation())
    }
}
