//! Waits that something else than the channel may end: deadlines, cancel tokens, the other arms of a
//! select, a future that is dropped, a coroutine that is unwound.
//!
//! # Invariants
//!
//! 1. A node that is linked here is unlinked before its frame or future goes (`shared`, invariant 2).
//! 2. The value cell decides what is reported: a value that has moved is never reported as a timeout
//!    or a cancel.
//!
//! # Who calls this, and what it may call
//!
//! The handles, futures and selects. User code (wakers) is cloned, dropped and called outside of the
//! lock.

use super::node::{Node, Waiter};
use super::select::Place;
use super::shared::{End, Shared, Side};
use crate::cancel::CancelToken;
use crate::timer;
use crate::token::{Outcome, Wait};
use std::cell::Cell;
use std::task::{Context, Poll};

/// What may end a wait besides the channel.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits<'a> {
    /// In nanoseconds of the monotonic clock; see `deadline`.
    pub(super) deadline: Option<u64>,
    pub(super) cancel: Option<&'a CancelToken>,
}

impl Limits<'_> {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(CancelToken::is_cancelled)
    }

    /// Sleeps until `wait` is ended; `Some`: by a limit, and not by what was waited for. A cancel
    /// comes before a deadline.
    pub(super) fn park(&self, wait: Wait) -> Option<End> {
        let (slot, generation) = (wait.slot(), wait.generation());
        let registered = self.cancel.map(|token| {
            // Cancelled already: the wait is ended like by a cancel, and the wake awaited.
            let registered = token.register(slot, generation, Outcome::Cancelled);
            if registered.is_none()
                && let Some(claim) = slot.claim(generation, Outcome::Cancelled)
            {
                claim.wake();
            }
            registered
        });
        let outcome = match self.deadline {
            Some(deadline) => timer::park_deadline(wait, deadline),
            None => wait.park(),
        };
        drop(registered);
        match outcome {
            Outcome::Cancelled => Some(End::Cancelled),
            Outcome::TimedOut if self.is_cancelled() => Some(End::Cancelled),
            Outcome::TimedOut => Some(End::TimedOut),
            Outcome::Ready(_) | Outcome::Closed => None,
        }
    }
}

impl<T> Shared<T> {
    /// Sends or receives within `limits`. The cell says whether it happened; if it did not, the
    /// result says why. A cancelled token comes before everything else.
    #[inline(always)]
    pub(super) fn wait_limited(&self, node: &Node<T>, side: Side, limits: Limits<'_>) -> End {
        let end = match limits {
            Limits { deadline: Some(deadline), cancel: None } => {
                self.wait_until(node, side, deadline)
            }
            limits => self.wait_within(node, side, limits),
        };
        if end != End::Done {
            self.count_failure(side, end);
        }
        end
    }

    #[inline(never)]
    fn wait_within(&self, node: &Node<T>, side: Side, limits: Limits<'_>) -> End {
        if limits.is_cancelled() {
            return End::Cancelled;
        }
        // SAFETY: the node is the caller's and not linked; the reference ends with the call.
        let mut engine = match self.start(side, unsafe { node.cell() }) {
            Ok(end) => return end,
            Err(engine) => engine,
        };
        let wait = Wait::begin_for(side.reason(), self.address());
        let (slot, generation) = (wait.slot(), wait.generation());
        // SAFETY: the list of the side; the node stays on the caller's frame, and is unlinked by a
        // partner, below, or by `linked`.
        unsafe { side.list(&mut engine).push(node, Waiter::Shared { slot, generation, arm: 0 }) };
        drop(engine);
        let linked = Linked { shared: self, node, side };
        let ended = limits.park(wait);
        std::mem::forget(linked);
        if let Some(end) = ended {
            self.abandon(node, side);
            return end;
        }
        // SAFETY: a partner has unlinked the node, and its wake has ordered what it did.
        let full = unsafe { node.cell() }.is_some();
        if full == (side == Side::Recv) { End::Done } else { End::Closed }
    }

    /// Sends or receives for a future; once ready, the cell says whether it happened.
    ///
    /// # Safety
    ///
    /// - The node stays where it is until it is dropped; while `linked` is set, its owner calls
    ///   [`abandon`](Shared::abandon) before that.
    /// - `linked` is clear when the future begins, and changed by nobody else.
    ///
    /// # Panics
    ///
    /// If a send is polled that was ready before.
    pub(super) unsafe fn poll(
        &self,
        node: &Node<T>,
        side: Side,
        linked: &Cell<bool>,
        context: &Context<'_>,
    ) -> Poll<()> {
        if !linked.get() {
            // SAFETY: not linked, so the node is the caller's; the reference ends with the call.
            let cell = unsafe { node.cell() };
            // A send without a value would hand a receiver nothing.
            assert!(side == Side::Recv || cell.is_some(), "polled after it was ready");
            match self.start(side, cell) {
                Ok(_) => return Poll::Ready(()),
                Err(engine) => drop(engine),
            }
        }
        // A waker's clone and drop are code of the user's: outside of the lock.
        let mut waker = Some(context.waker().clone());
        let poll = if linked.get() {
            let mut engine = self.lock.enter();
            if node.is_linked() {
                // SAFETY: it is linked in the list of its side.
                unsafe { side.list(&mut engine).swap_waker(node, &mut waker) };
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        } else {
            // SAFETY: as above.
            match self.start(side, unsafe { node.cell() }) {
                Ok(_) => Poll::Ready(()),
                Err(mut engine) => {
                    let waker = waker.take().expect("cloned above");
                    // SAFETY: not linked; by the contract it stays until it is unlinked.
                    unsafe { side.list(&mut engine).push(node, Waiter::Task(waker)) };
                    Poll::Pending
                }
            }
        };
        linked.set(poll.is_pending());
        poll
    }

    /// Does the operation if that needs no waiting: true, and the cell says whether it happened.
    ///
    /// # Panics
    ///
    /// If an arm that has sent its value is to send it again.
    pub(super) fn try_now(&self, node: &Node<T>, side: Side) -> bool {
        debug_assert!(!node.is_linked());
        // SAFETY: a select's arm, which is not linked; the reference ends with the call.
        let cell = unsafe { node.cell() };
        match side {
            Side::Send => assert!(cell.is_some(), "this arm has no value to send any more"),
            // It was received by this arm and not taken out. Another on top of it would have the
            // first one dropped under the lock.
            Side::Recv if cell.is_some() => return true,
            Side::Recv => {}
        }
        self.start(side, cell).is_ok()
    }

    /// Links the node of a select's arm; false: the operation need not wait, and nothing is linked.
    ///
    /// # Safety
    ///
    /// - The node is not linked; it stays where it is until it is unlinked, and its owner calls
    ///   [`abandon`](Shared::abandon) before it goes away in any manner.
    pub(super) unsafe fn enlist(&self, node: &Node<T>, side: Side, place: Place) -> bool {
        let Place { slot, generation, arm, watch } = place;
        // SAFETY: not linked, so the cell is the owner's, which calls.
        if side == Side::Recv && unsafe { node.cell() }.is_some() {
            return false;
        }
        let mut engine = self.lock.enter();
        let ready = match side {
            Side::Send => engine.can_send(slot),
            Side::Recv => engine.can_recv(slot),
        };
        if !ready {
            if !watch {
                // What they wait for is an operation like this one.
                side.other().list(&mut engine).call_watchers();
            }
            let waiter = match watch {
                false => Waiter::Shared { slot, generation, arm },
                true => Waiter::Watch { slot, generation, arm },
            };
            // SAFETY: by the contract; the list of the side.
            unsafe { side.list(&mut engine).push(node, waiter) };
        }
        !ready
    }

    /// Takes a node out whose owner will not wait for it. A value that a partner has already given
    /// to it goes to the next receiver.
    #[cold]
    #[inline(never)]
    pub(super) fn abandon(&self, node: &Node<T>, side: Side) {
        let mut engine = self.lock.enter();
        // SAFETY: the side's own list.
        let linked = unsafe { side.list(&mut engine).remove(node) };
        if let (Some(figures), true) = (&self.figures, linked.is_some()) {
            figures.waiter_left();
        }
        let mut wake = None;
        if side == Side::Recv && linked.is_none() {
            // SAFETY: we hold the lock.
            let value = unsafe { node.cell() }.take();
            if value.is_some() {
                wake = engine.put_back(value);
                if wake.is_none() {
                    self.count_handed_back();
                }
            }
        }
        drop(engine);
        if let Some(wake) = wake {
            wake.wake();
        }
    }
}

/// A node that is linked while its owner is suspended. Dropped only if the owner is unwound.
pub(super) struct Linked<'a, T> {
    pub(super) shared: &'a Shared<T>,
    pub(super) node: &'a Node<T>,
    pub(super) side: Side,
}

impl<T> Drop for Linked<'_, T> {
    #[cold]
    fn drop(&mut self) {
        self.shared.abandon(self.node, self.side);
    }
}
