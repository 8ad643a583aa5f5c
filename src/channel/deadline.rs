//! Waits that nothing but the channel and a deadline may end.
//!
//! As `send` and `recv` without limits: planned out of line, parked in the caller's own frame,
//! so that no frame of the library is returned through after a switch. The deadline is a number from
//! the start, because an `Instant` made of one and taken apart again costs as much as the timer.
//!
//! # Invariants
//!
//! Those of `wait`.
//!
//! # Who calls this, and what it may call
//!
//! The handles.

use super::node::{Node, Waiter};
use super::shared::{End, Shared, Side};
use super::wait::Linked;
use crate::sys::clock;
use crate::timer;
use crate::token::{Outcome, Wait};
use std::time::{Duration, Instant};

/// The deadline that is `timeout` from now, in nanoseconds of the monotonic clock.
#[inline]
pub(super) fn after(timeout: Duration) -> Option<u64> {
    Some(clock::after(clock::now(), timeout))
}

/// The deadline that `instant` names, in the same.
#[inline]
pub(super) fn at(instant: Instant) -> Option<u64> {
    Some(timer::deadline(instant))
}

impl<T> Shared<T> {
    /// Sends or receives until `deadline`. The cell says whether it happened; if it did not, the
    /// result says why.
    #[inline(always)]
    pub(super) fn wait_until(&self, node: &Node<T>, side: Side, deadline: u64) -> End {
        let mut end = End::Done;
        // SAFETY: the node stays on this frame; it is unlinked by a partner, by `settle_late`, or by
        // `linked` if the park unwinds.
        if let Some(wait) = unsafe { self.plan_until(node, side, &mut end) } {
            let linked = Linked { shared: self, node, side };
            let outcome = timer::park_deadline(wait, deadline);
            std::mem::forget(linked);
            end = match outcome {
                // SAFETY: a partner has unlinked the node, and its wake has ordered what it did.
                Outcome::Ready(0) => match (unsafe { node.cell() }.is_some(), side) {
                    (true, Side::Recv) | (false, Side::Send) => End::Done,
                    _ => End::Closed,
                },
                _ => self.settle_late(node, side),
            };
        }
        end
    }

    /// The wait, if the operation needs one; otherwise `end` says how it went.
    ///
    /// # Safety
    ///
    /// - If there is a wait, the node stays where it is until it is unlinked, and its owner unlinks
    ///   it before it goes away in any manner.
    #[inline(never)]
    unsafe fn plan_until(&self, node: &Node<T>, side: Side, end: &mut End) -> Option<Wait> {
        // SAFETY: the node is the caller's and not linked; the reference ends with the call below.
        let cell = unsafe { node.cell() };
        let mut engine = match side {
            Side::Send => self.begin_send(cell, end),
            Side::Recv => self.begin_recv(cell, end),
        }?;
        let wait = Wait::begin_for(side.reason(), self.address());
        let (slot, generation) = (wait.slot(), wait.generation());
        // SAFETY: by the contract; the list of the side.
        unsafe { side.list(&mut engine).push(node, Waiter::Shared { slot, generation, arm: 0 }) };
        Some(wait)
    }

    #[cold]
    #[inline(never)]
    fn settle_late(&self, node: &Node<T>, side: Side) -> End {
        self.abandon(node, side);
        End::TimedOut
    }
}
