//! Futures that wait: for a channel's operation, and for a published ticket.
//!
//! A future is polled on any thread and dropped at any moment, even while a winner is moving a value
//! for it. So the winner never touches the future: it has a share of a small state of its own, where
//! it leaves "done" and finds the waker. A future that is dropped after it lost the race leaves
//! there what is to be done with the value, and the winner does it.
//!
//! # Invariants
//!
//! 1. The party of a slot of kind `Future` is one share of an [`AsyncParty`], taken back by the
//!    winner's wake, or by the owner after it has won itself.
//! 2. `Done` is set by the wake alone, after the value was moved: `poll` looks at it, not at the word.
//!
//! # Who calls this, and what it may call
//!
//! Executors, and winners with no lock held. Wakers and clean-ups run outside the lock in here.

#![forbid(unsafe_code)]

use super::Ticket;
use super::payload::Payload;
use super::state::Outcome;
use super::table::{self, Slot};
use super::wait::SlotRef;
use crate::error::WaitError;
use crate::prim::{Arc, Mutex};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What a future and its winner share.
pub(super) struct AsyncParty(Mutex<State>);

enum State {
    Waiting(Option<Waker>),
    Done,
    Abandoned(Box<dyn FnOnce() + Send>),
}

impl AsyncParty {
    fn attach(slot: &Slot) -> Arc<AsyncParty> {
        let party = Arc::new(AsyncParty(Mutex::new(State::Waiting(None))));
        slot.attach_future(&party);
        party
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        match &mut *self.0.lock() {
            State::Waiting(Some(waker)) => waker.clone_from(context.waker()),
            State::Waiting(empty) => *empty = Some(context.waker().clone()),
            State::Done | State::Abandoned(_) => return Poll::Ready(()),
        }
        Poll::Pending
    }

    /// The owner is gone: `clean_up` runs in the wake, or here if that has been.
    fn abandon(&self, clean_up: Box<dyn FnOnce() + Send>) {
        let mut state = self.0.lock();
        if matches!(*state, State::Done) {
            drop(state);
            return clean_up();
        }
        let _waker = std::mem::replace(&mut *state, State::Abandoned(clean_up));
        drop(state);
    }
}

/// Wakes the future behind `slot`; for [`Slot::wake`].
pub(super) fn wake(slot: &'static Slot) {
    let Some(party) = slot.take_future() else {
        debug_assert!(false, "one wake for a wait");
        return;
    };
    let before = std::mem::replace(&mut *party.0.lock(), State::Done);
    match before {
        State::Waiting(Some(waker)) => waker.wake(),
        State::Abandoned(clean_up) => clean_up(),
        State::Waiting(None) | State::Done => {}
    }
}

/// One wait of a future, for the layers above: the asynchronous sister of `Wait`.
///
/// Dropped without [`retract`](Self::retract) or a finished [`poll`](Self::poll) it retracts itself,
/// and forgets the wait if it lost; who moves values through the wait calls `retract` and `abandon`.
pub(crate) struct AsyncWait {
    slot: Option<&'static Slot>,
    generation: u32,
    party: Arc<AsyncParty>,
}

impl AsyncWait {
    /// Begins a wait; poll it at once, so that it has a waker.
    pub(crate) fn begin() -> AsyncWait {
        let slot = table::alloc();
        let party = AsyncParty::attach(slot);
        let generation = slot.word.arm().expect("a free slot is not worn out");
        AsyncWait { slot: Some(slot), generation, party }
    }

    /// What partners keep, together with the generation.
    pub(crate) fn slot(&self) -> SlotRef {
        SlotRef::new(self.slot.expect("the wait is not over"))
    }

    /// Which wait of the slot this is.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// How the wait ended, once someone has claimed and woken it.
    ///
    /// # Panics
    ///
    /// If it was ready before.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Outcome> {
        if self.party.poll(context).is_pending() {
            return Poll::Pending;
        }
        let slot = self.slot.take().expect("polled after it was ready");
        let outcome = slot.word.outcome();
        table::free(slot);
        Poll::Ready(outcome)
    }

    /// Ends the wait because there is no need for it.
    ///
    /// # Errors
    ///
    /// Gives the wait back if someone has claimed it: it must be polled on, or abandoned.
    pub(crate) fn retract(mut self) -> Result<(), AsyncWait> {
        match self.slot {
            Some(slot) if !slot.word.retract(self.generation) => Err(self),
            Some(slot) => {
                self.slot = None;
                give_back(slot);
                table::free(slot);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Leaves a wait that someone has claimed: `reclaim` gets the outcome after the value was moved,
    /// in the winner's thread, or here if it already was. What the winner touches must stay alive
    /// until then: `reclaim` owns it.
    pub(crate) fn abandon(mut self, reclaim: impl FnOnce(Outcome) + Send + 'static) {
        let Some(slot) = self.slot.take() else { return };
        self.party.abandon(Box::new(move || {
            let outcome = slot.word.outcome();
            table::free(slot);
            reclaim(outcome);
        }));
    }
}

/// The owner has won its own wait.
fn give_back(slot: &'static Slot) {
    drop(slot.take_future());
}

impl Drop for AsyncWait {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if slot.word.retract(self.generation) {
            give_back(slot);
            table::free(slot);
        } else {
            self.party.abandon(Box::new(move || table::free(slot)));
        }
    }
}

/// The result of a ticket, as a future. Dropping it withdraws the ticket.
#[must_use = "a future does nothing unless it is polled"]
pub struct TicketFuture {
    slot: Option<&'static Slot>,
    generation: u32,
    party: Arc<AsyncParty>,
}

impl TicketFuture {
    pub(super) fn publish() -> (Ticket, TicketFuture) {
        let slot = table::alloc_ticket();
        let party = AsyncParty::attach(slot);
        let generation = slot.publish();
        let ticket = Ticket::new(slot.index(), generation);
        if slot.park() == super::event::Park::Done {
            // Someone guessed the number.
            slot.wake();
        }
        (ticket, TicketFuture { slot: Some(slot), generation, party })
    }

    /// The ticket that this future waits for; `None` when it has been ready.
    pub fn ticket(&self) -> Option<Ticket> {
        self.slot.map(|slot| Ticket::new(slot.index(), self.generation))
    }
}

impl Future for TicketFuture {
    type Output = Result<Payload, WaitError>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.party.poll(context).is_pending() {
            return Poll::Pending;
        }
        let slot = self.slot.take().expect("polled after it was ready");
        let result = slot.collect();
        table::free_ticket(slot);
        Poll::Ready(result)
    }
}

impl Drop for TicketFuture {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if let Some(won) = slot.win(self.generation, Outcome::Cancelled) {
            won.keep();
            give_back(slot);
            table::free_ticket(slot);
        } else {
            self.party.abandon(Box::new(move || {
                drop(slot.collect());
                table::free_ticket(slot);
            }));
        }
    }
}

impl fmt::Debug for TicketFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketFuture").field("ticket", &self.ticket()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AsyncWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncWait")
            .field("slot", &self.slot)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
